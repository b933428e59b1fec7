"""Draw the pictures of Docs/how-to/web.md: a reader's way in a real browser, on what `make web` shows.

    python Testing/Scripts/draw/web_guide.py [--output Resources/Screenshots] [--patients FOLDER]

Needs the extra `web-test` and Chromium. Each picture is what the browser shows, 1366 x 768.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / "MyoPSSegmenter"), str(ROOT / "Testing" / "Web")]

from conftest import FLAGS, SIZE, find_browser  # noqa: E402
from reader_tab import Tab  # noqa: E402
from web_server import Server  # noqa: E402

from myops.commands.web import OWN_PATIENTS, OWN_SEED  # noqa: E402
from myops.phantom.files import write_cohort  # noqa: E402
from myops.phantom.patient import SAMPLE  # noqa: E402

HEALTHY = [200]


def main() -> None:
    """Play the session and keep a picture of every step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "Resources" / "Screenshots")
    parser.add_argument(
        "--patients", type=Path, help="a copy of it is used; those of `make web` if not given"
    )
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        patients = _copy(chosen.patients, Path(place) / "patients")
        server = Server(patients)
        server.start()
        try:
            _play(server.address, chosen.output)
        finally:
            server.stop()


def _copy(patients: Path | None, place: Path) -> Path:
    import shutil

    if patients is None:
        write_cohort(OWN_SEED, OWN_PATIENTS, place, SAMPLE)
    else:
        shutil.copytree(patients, place, ignore=shutil.ignore_patterns("myops-study"))
    return place


def _play(address: str, output: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        context = browser.new_context(viewport=SIZE)
        context.set_default_timeout(900_000)
        page = context.new_page()
        page.goto(address)
        _keep(page, output, "reader")
        tab = Tab(page)
        tab.enter(address)
        tab.open(0)
        _keep(page, output, "images")
        tab.segment()
        page.wait_for_selector("#bullseye svg")
        _keep(page, output, "segmented")
        page.keyboard.press("a")
        tab.click(*tab.placeOf(HEALTHY))
        page.wait_for_selector("#fwhm:not(.waiting)")
        page.keyboard.press("d")
        page.wait_for_selector(".heart[data-drawn]")
        _keep(page, output, "corrected")
        page.keyboard.press("d")
        page.keyboard.press("c")
        page.wait_for_selector("#proposal:not([hidden])", timeout=60_000)
        _keep(page, output, "proposal")
        page.keyboard.press("Escape")
        page.keyboard.press("e")
        page.wait_for_selector("#report a")
        page.wait_for_selector("#message", state="hidden")
        _keep(page, output, "report")
        page.keyboard.press("d")
        page.click(".heart .title")
        page.focus(".heart canvas")
        for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown", "+"):
            page.keyboard.press(key)
        _keep(page, output, "3d")
        page.keyboard.press("u")
        _keep(page, output, "add")
        browser.close()


def _keep(page: Any, output: Path, name: str) -> None:
    page.mouse.move(2, 2)
    page.wait_for_timeout(400)
    page.screenshot(path=output / f"web_{name}.png")


if __name__ == "__main__":
    main()
