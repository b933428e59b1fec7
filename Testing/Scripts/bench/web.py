"""Time the browser front end by a real browser: first page, clicks, scrolling, and an idle server.

    python Testing/Scripts/bench/web.py [--clicks 20] [--idle 60] [--heart] [--patients FOLDER]

Needs the extra `web-test` and Chromium. Prints milliseconds, and how many times longer a click takes
to the screen than the logic alone took for the same click. Two small synthetic patients if no folder
is given; a folder is copied without the readings in it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / "MyoPSSegmenter"), str(ROOT / "Testing" / "Web")]

from conftest import FLAGS, SIZE, find_browser  # noqa: E402
from reader_tab import Tab  # noqa: E402
from web_server import Server, make_patients  # noqa: E402

HEALTHY = [200]
SCROLL = """
  const wait = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const canvas = document.querySelector('.view canvas'), found = [];
  for (let k = 0; k < 40; k++) {
    const began = performance.now();
    canvas.dispatchEvent(new WheelEvent('wheel', { deltaY: k % 2 ? 100 : -100, cancelable: true }));
    await wait();
    found.push(performance.now() - began);
  }
  return found;"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=20)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds to watch an idle server")
    parser.add_argument("--heart", action="store_true", help="with the 3D view shown")
    parser.add_argument("--patients", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        patients = Path(place) / "patients"
        if chosen.patients is None:
            make_patients(patients)
        else:
            without = shutil.ignore_patterns("myops-study")
            shutil.copytree(chosen.patients, patients, ignore=without)
        server = Server(patients)
        server.start()
        try:
            _measure(server, chosen)
        finally:
            server.stop()


def _measure(server: Server, chosen: argparse.Namespace) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        context = browser.new_context(viewport=SIZE)
        context.set_default_timeout(900_000)
        page = context.new_page()
        began = time.perf_counter()
        page.goto(server.address)
        page.wait_for_selector("#initials")
        _show("first page", [1000 * (time.perf_counter() - began)])
        tab = Tab(page)
        tab.enter(server.address)
        tab.open(0)
        page.wait_for_selector("#status:not(:empty)")
        if page.inner_text("#status") == "new":
            tab.segment()
        page.wait_for_selector("#positive:not([disabled])")
        page.wait_for_selector("#fwhm:not(.waiting)")
        if chosen.heart:
            page.keyboard.press("d")
            page.wait_for_selector(".heart[data-drawn]")
        _clicks(tab, server, chosen.clicks)
        _show("scroll step to the screen", tab.run(SCROLL))
        _idle(server, chosen.idle)
        browser.close()


def _clicks(tab: Tab, server: Server, clicks: int) -> None:
    shown = []
    tab.page.click("#positive")
    for _ in range(clicks):
        shown.append(tab.click(*tab.placeOf(HEALTHY)))
    tab.page.wait_for_timeout(8000)
    path = next(server.folder.glob("myops-study/*/AB/1/case.json"))
    records = json.loads(path.read_text(encoding="utf-8"))["clicks"][-clicks:]
    logic = [one["total_ms"] for one in records]
    _show("click to the new mask on the screen", shown)
    _show("of it the logic", logic)
    _show("times the logic", list(np.array(shown) / np.array(logic)), "")


def _idle(server: Server, idle_s: float) -> None:
    processes = [psutil.Process(server.process.pid)]
    processes += processes[0].children(recursive=True)
    before = _seconds(processes)
    time.sleep(idle_s)
    used = 1000 * (_seconds(processes) - before)
    print(
        f"idle server, a case open: {used:.0f} ms of CPU in {idle_s:.0f} s; memory (PSS), MB:",
        end=" ",
    )
    print(", ".join(f"{one.memory_full_info().pss / 2**20:.0f}" for one in processes))


def _seconds(processes: list[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in processes)


def _show(what: str, values: Any, unit: str = " ms") -> None:
    middle, high = np.percentile(values, 50), np.percentile(values, 95)
    print(f"{what}: median {middle:.3g}{unit}, p95 {high:.3g}{unit} ({len(values)})", flush=True)


if __name__ == "__main__":
    main()
