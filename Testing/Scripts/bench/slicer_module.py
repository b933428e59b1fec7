"""How the Slicer module feels: longest stall of the main thread, a click's way to mask and grams.

    python Testing/Scripts/bench/slicer_module.py
    python Testing/Scripts/bench/slicer_module.py --clicks 60 --json slicer.json --markdown slicer.md

Needs slicer-core. The sample patient is loaded, segmented, encoded, corrected by simulated mouse
clicks in a real slice view and measured, on two cores with the embedded models.

The event loop is played as PythonQt runs it: nothing in Slicer or CTK gives the interpreter away
while Qt waits for events, so it is held between two ticks, and the background only has it while a
tick hands it over. The timer is Qt's: its next tick comes one interval after the last one began, or
at once where that took longer.

Beside the loop / free: the same segmentation once with this loop and once with a main thread that
waits and gives the interpreter away, in turns, networks loaded; the ratio of the medians.

Stall: the time from one moment at which the main thread could react to the next. Rendering is no
part of a stall; its time is given by itself, in software (llvmpipe), where desktop Slicer has a
graphics card.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import segment as benchmark  # beside this file; puts the library on the path

sys.path.insert(0, str(Path(__file__).parents[2] / "Slicer"))

# As the panel does, see Panels/Workflow.py.
TICK_MS, GIVE_MS = 10, 8
LIMIT_STALL_MS, LIMIT_CLICK_MS, LIMIT_RATIO = 100.0, 150.0, 1.5
TIMEOUT_S = 1800.0
PARTS = ("decode", "write", "measure", "total", "render")
# Between two clicks a reader looks: the full measurement starts, and runs into the next click.
LOOK_S = 0.5


class MainThread:
    """The event loop of an application, with a stopwatch.

    Attributes:
        stalls_ms: phase to the length of each of its ticks.
    """

    def __init__(self, logic: Any, tick_ms: int = TICK_MS, give_ms: int = GIVE_MS) -> None:
        self.logic = logic
        self.tick_s, self.give_ms = tick_ms / 1000, give_ms
        self.stalls_ms: dict[str, list[float]] = {}
        # Unlike time.sleep, a call through PyDLL keeps the interpreter, as Qt's loop does.
        self._hold = ctypes.PyDLL(None).usleep

    def run(self, phase: str, until: Callable[[], bool]) -> None:
        """Tick until something is so.

        Raises:
            TimeoutError: it does not come.
        """
        end = time.monotonic() + TIMEOUT_S
        tick = time.monotonic()
        while not until():
            if time.monotonic() > end:
                raise TimeoutError(f"expected {phase} to end within {TIMEOUT_S:.0f} s")
            self._hold(max(0, int(1e6 * (tick + self.tick_s - time.monotonic()))))
            tick = time.monotonic()
            with self.watched(phase):
                self.logic.poll(giveMs=self.give_ms)

    def wait(self, phase: str, seconds: float) -> None:
        """Tick for a while."""
        end = time.monotonic() + seconds
        self.run(phase, lambda: time.monotonic() > end)

    @contextmanager
    def watched(self, phase: str) -> Iterator[None]:
        """Count what is done inside as one stall."""
        began = time.perf_counter()
        yield
        self.stalls_ms.setdefault(phase, []).append(1000 * (time.perf_counter() - began))


def main() -> None:
    """Measure, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=40, help="simulated mouse clicks")
    parser.add_argument(
        "--runs", type=int, default=3, help="segmentations beside the loop, and free"
    )
    parser.add_argument("--threads", type=int, default=2, help="torch threads (0 = torch's choice)")
    parser.add_argument("--tick-ms", type=int, default=TICK_MS, help="interval of the timer")
    parser.add_argument("--give-ms", type=int, default=GIVE_MS, help="what a tick gives the thread")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    options = parser.parse_args()
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        numbers = measure(Path(folder), options)
    text = table(numbers)
    print(text)
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Play a session and take its times."""
    from made_scene import Scene
    from offscreen import OffscreenViews

    from MyoPSSegmenterLib.ModuleLogic import MyoPSLogic
    from MyoPSSegmenterLib.SampleData import makeSamplePatient
    from MyoPSSegmenterLib.Scene.Views import VIEWS, showSequences

    benchmark.set_threads(options.threads)
    sample = folder / "sample"
    makeSamplePatient(sample)
    made = Scene(folder)
    views = OffscreenViews(made)
    logic = MyoPSLogic(made.scene)
    thread = MainThread(logic, options.tick_ms, options.give_ms)
    logic.patient.loadFolder(sample)
    automatic_s = automatic(thread, logic, options.runs)
    slices = set(range(len(logic.correction.labels)))
    thread.run("encoding", lambda: logic.correction.encodedSlices >= slices)
    thread.run("measurement", lambda: not logic.work.isBusy and not logic.quantify.stale)
    showSequences(made.scene, logic.patient.volumes, logic.correction.node, logic.patient.case)
    views.shown()
    drawn = [views.view(VIEWS[name]) for name in logic.patient.volumes]
    clicks = clickThrough(thread, logic, views.view(VIEWS["lge"]), drawn, options.clicks)
    shape = logic.patient.case.geometry.array_shape
    numbers = {
        "hardware": benchmark.hardware("cpu"),
        "threads": options.threads,
        "pace": f"{options.give_ms} of {options.tick_ms} ms",
        "load_average": round(os.getloadavg()[0], 1),
        "patient": f"sample patient, {shape[0]} slices of {shape[1]} x {shape[2]}",
        "automatic_s": automatic_s,
        "stalls_ms": {phase: summary(times) for phase, times in thread.stalls_ms.items()},
        "clicks_ms": {part: summary(times) for part, times in clicks.items()},
    }
    logic.close()
    views.close()
    made.close()
    return numbers


def automatic(thread: MainThread, logic: Any, runs: int) -> dict[str, Any]:
    """Segment with the loop and free, in turns; seconds of each, and the ratio of the medians."""
    first = segment(thread, logic, beside=True)
    times: dict[str, list[float]] = {"beside": [], "free": []}
    for _ in range(runs):
        for kind, taken in times.items():
            logic.work.waitForAll(TIMEOUT_S)
            taken.append(segment(thread, logic, beside=kind == "beside"))
    medians = {kind: round(float(np.median(taken)), 2) for kind, taken in times.items()}
    ratio = round(medians["beside"] / medians["free"], 2)
    return {"first": round(first, 1), **times, "medians": medians, "ratio": ratio}


def segment(thread: MainThread, logic: Any, beside: bool) -> float:
    """Seconds of one automatic segmentation.

    Raises:
        RuntimeError: none came.
    """
    began = time.monotonic()
    task = logic.automatic.run("cpu")
    if beside:
        thread.run("automatic segmentation", lambda: task.isOver)
    else:
        logic.work.waitFor(task, TIMEOUT_S)
    if logic.correction.session is None:
        raise RuntimeError(f"expected a segmentation, found {task.state}: {task.error}")
    return time.monotonic() - began


def clickThrough(
    thread: MainThread, logic: Any, view: Any, drawn: list[Any], count: int
) -> dict[str, list[float]]:
    """Click here and there on the heart wall; part to its times in ms."""
    from myops import labels as regions
    from MyoPSSegmenterLib.Scene.SceneBridge import worldFromVoxel
    from MyoPSSegmenterLib.Scene.Views import setSlice

    correction = logic.correction
    generator = np.random.default_rng(5)
    times: dict[str, list[float]] = {part: [] for part in PARTS}
    for view_ in drawn:
        view_.render()
    while len(times["total"]) < count:
        wall = regions.myocardium(correction.labels)
        index = int(generator.choice(np.flatnonzero(wall.any(axis=(1, 2)))))
        row, column = (int(v) for v in generator.choice(np.argwhere(wall[index])))
        positive = not regions.scar(correction.labels)[index, row, column]
        setSlice(logic.scene, logic.patient.case, index)
        correction.setCurrentSlice(index)
        correction.startPlacing("positive" if positive else "negative")
        had = len(correction.clickTimings)
        began = time.perf_counter()
        view.click(worldFromVoxel(logic.patient.case, index, row, column))
        total = 1000 * (time.perf_counter() - began)
        if len(correction.clickTimings) > had:
            for part in ("decode", "write", "measure"):
                times[part].append(correction.lastTiming[part])
            times["total"].append(total)
            began = time.perf_counter()
            for view_ in drawn:
                view_.render()
            times["render"].append(1000 * (time.perf_counter() - began))
        thread.wait("between clicks", LOOK_S)
    return times


def summary(times: list[float]) -> dict[str, float]:
    """Count, median, 95th percentile and longest of times in ms."""
    values = np.array(times)
    found = {"p50": np.percentile(values, 50), "p95": np.percentile(values, 95)}
    return {
        "count": len(times),
        **{name: round(float(value), 1) for name, value in found.items()},
        "longest": round(float(values.max()), 1),
    }


def table(numbers: dict[str, Any]) -> str:
    """The numbers as Markdown."""
    segmented = numbers["automatic_s"]
    medians = segmented["medians"]
    lines = [
        f"{numbers['hardware']}, {numbers['threads']} threads, load average "
        f"{numbers['load_average']}; {numbers['patient']}; the background gets "
        f"{numbers['pace']}; automatic segmentation with loading "
        f"the networks {segmented['first']} s; loaded, median of {len(segmented['free'])}: "
        f"{medians['beside']} s beside the loop, {medians['free']} s free, ratio "
        f"{segmented['ratio']} (limit {LIMIT_RATIO}).",
        "",
        f"| main thread is busy, ms (limit {LIMIT_STALL_MS:.0f}) | ticks | p50 | p95 | longest |",
        "|---|---|---|---|---|",
        *(row(name, found) for name, found in numbers["stalls_ms"].items()),
        "",
        f"| click, ms (limit of total: p95 {LIMIT_CLICK_MS:.0f}) | clicks | p50 | p95 | longest |",
        "|---|---|---|---|---|",
        *(row(name, found) for name, found in numbers["clicks_ms"].items()),
    ]
    return "\n".join(lines) + "\n"


def row(name: str, found: dict[str, float]) -> str:
    """One row of a table."""
    values = (found["count"], found["p50"], found["p95"], found["longest"])
    return f"| {name} | " + " | ".join(str(value) for value in values) + " |"


if __name__ == "__main__":
    main()
