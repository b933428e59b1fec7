"""A real server, a real browser and synthetic patients; skipped where one is missing."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from web_server import Server, make_patients

# Module -> where it comes from.
NEEDED = {
    "aiohttp": 'pip install "myops-segmenter[web]"',
    "slicer": 'pip install "myops-segmenter[web]"',
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
SIZE = {"width": 1366, "height": 768}


@cache
def find_browser() -> str | None:
    """A Chromium that starts; some distributions have a script of its name that does not."""
    for path in filter(None, map(shutil.which, BROWSERS)):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            command = [path, "--version"]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            return path
    return None


def lacking(browser: bool) -> str | None:
    """What is missing here, in words; None if nothing is."""
    for module, remedy in NEEDED.items():
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed: {remedy}"
    if not browser:
        return None
    if importlib.util.find_spec("playwright") is None:
        return 'playwright is not installed: pip install "myops-segmenter[web-test]"'
    if find_browser() is None:
        return "there is no Chromium that starts: apt-get install chromium"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot run here."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        reason = lacking(browser="page" in getattr(item, "fixturenames", ()))
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def madePatients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of two small synthetic patients with all sequences."""
    folder = tmp_path_factory.mktemp("web") / "patients"
    make_patients(folder)
    return folder


@pytest.fixture
def patients(madePatients: Path, tmp_path: Path) -> Path:
    """Give a copy of the patients that a test may change."""
    return Path(shutil.copytree(madePatients, tmp_path / "patients"))


@pytest.fixture
def server(patients: Path) -> Iterator[Server]:
    """Give a server over two patients."""
    made = Server(patients)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Give a headless Chromium; it ends with the file, as its event loop hinders other tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        yield made
        made.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """Give a new tab, without anything of an earlier one; an error of a script fails the test."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(300_000)
    made = context.new_page()
    errors: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.errors = errors
    yield made
    context.close()
    assert errors == []
