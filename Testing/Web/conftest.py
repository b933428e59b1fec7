"""A real server, a real browser, and synthetic patients; skipped with the reason where one is missing."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
# Module -> where it comes from.
NEEDED = {
    "aiohttp": 'pip install "myops-segmenter[web]"',
    "slicer": 'pip install "myops-segmenter[web]"',
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
SIZE = {"width": 1366, "height": 768}
START_S = 240.0
SLICES = 4


def lacking(browser: bool) -> str | None:
    """What is missing here, in words; None if nothing is."""
    for module, remedy in NEEDED.items():
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed: {remedy}"
    if not browser:
        return None
    if importlib.util.find_spec("playwright") is None:
        return 'playwright is not installed: pip install "myops-segmenter[web-test]"'
    if not any(map(shutil.which, BROWSERS)):
        return "there is no Chromium: apt-get install chromium"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot run here."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        reason = lacking(browser="page" in getattr(item, "fixturenames", ()))
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


@dataclass
class Server:
    """`myops web` as a process of its own.

    Attributes:
        folder: of patients.
        address: with the token, as it was printed.
    """

    folder: Path
    address: str = ""
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    process: Any = None

    def start(self) -> None:
        """Start it, and wait until it says where it is."""
        command = [sys.executable, "-m", "myops", "web", str(self.folder), "--device", "cpu"]
        paths = [str(ROOT / "MyoPSSegmenter"), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "MYOPS_MODEL": "synthetic",
            **self.environment,
        }
        port = re.search(r":(\d+)/", self.address)
        ports = ("--port", port[1] if port else "0")
        self.process = subprocess.Popen(
            [*command, *ports, *self.options],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"Open (\S+)", line):
                self.address = found[1]
                return
        raise AssertionError("the server ended before it said where it is")

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def kill(self) -> None:
        """End it as a power cut does: nothing of it is asked."""
        self.process.kill()
        self.process.wait(10)


@pytest.fixture(scope="session")
def madePatients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of two synthetic patients with all sequences, each of the middle slices alone.

    The networks are quick on them, which a whole heart's tests are not.
    """
    from myops.phantom.files import write_patient
    from myops.phantom.patient import PhantomConfig, generate_patient

    folder = tmp_path_factory.mktemp("web") / "patients"
    config = PhantomConfig(dropout=False, upright=True, normal_share=0.0)
    for name, seed in (("first", 7), ("second", 11)):
        write_patient(generate_patient(seed, config), folder / name, name)
        _keep_middle(folder / name)
    return folder


def _keep_middle(folder: Path, slices: int = SLICES) -> None:
    import SimpleITK as sitk

    for path in folder.glob("*.nii.gz"):
        image = sitk.ReadImage(str(path))
        first = (image.GetDepth() - slices) // 2
        sitk.WriteImage(image[:, :, first : first + slices], str(path))


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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Give a headless Chromium."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield made
        made.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """Give a new tab, without anything of an earlier one; an error of a script fails the test."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(120_000)
    made = context.new_page()
    errors: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.errors = errors
    yield made
    context.close()
    assert errors == []


def waitUntil(question: Any, timeout_s: float = START_S) -> Any:
    """Ask again and again until the answer is true; returns it."""
    end = time.monotonic() + timeout_s
    while not (answer := question()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.2)
    return answer
