"""What share of cores x (one process on one core) `myops batch` reaches with a process for each core.

    python Testing/Scripts/measure/cohort_rate.py WORK --patients 12

Runs small synthetic patients (see `cohort_patients`) through the engine of the command, on one core
and on all, in turn. Of each process the first patient, in which it imports its libraries, is left
out. Two ways to the share: patients per minute by the clock, which needs a machine on which nothing
else runs; and processor seconds per patient with the share of time in which processes have a
patient, which other programs change little. Prints JSON. Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from cohort_patients import make_patients

from myops.batch.jobs import Job
from myops.batch.local import run_local, usable_cores
from myops.batch.patient import BatchOptions, Outcome, run_job
from myops.batch.run import find_jobs, start_cohort


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    source, allowed = arguments.work / "for_rate", sorted(os.sched_getaffinity(0))
    cores = usable_cores()
    if not source.exists():
        make_patients(source, arguments.patients)
    found: dict[int, list[dict[str, float]]] = {1: [], cores: []}
    for number in range(arguments.rounds):
        for used in (1, cores):
            os.sched_setaffinity(0, allowed[:used])  # for this process and those it starts
            found[used].append(run(source, arguments.work / f"rate_{used}_{number}", used))
    one, many = (mean_of(found[used]) for used in (1, cores))
    print(
        json.dumps(
            {
                "rounds": found,
                "by_the_clock": round(many["per_minute"] / (cores * one["per_minute"]), 3),
                "by_processor_seconds": round(many["busy"] * one["cpu_s"] / many["cpu_s"], 3),
            },
            indent=2,
        )
    )


def mean_of(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each number."""
    return {name: float(np.mean([one[name] for one in rounds])) for name in rounds[0]}


def run(source: Path, output: Path, workers: int) -> dict[str, float]:
    """Patients per minute, processor seconds per patient, and the share of time with a patient."""
    shutil.rmtree(output, ignore_errors=True)
    options = BatchOptions()
    start_cohort(source, output, options)
    work = partial(timed, output=output, options=options)
    for outcome in run_local(find_jobs(source, output), work, ["cpu"] * workers):
        assert outcome.status == "done", outcome.message
    noted = [json.loads(path.read_text("ascii")) for path in output.glob(".time-*")]
    by_process: dict[int, list[dict[str, Any]]] = {}
    for one in sorted(noted, key=lambda one: one["began"]):
        by_process.setdefault(one["process"], []).append(one)
    counted = [one for own in by_process.values() for one in own[1:]]
    # Until the first process has nothing left: what the last one does alone is the cohort's end.
    end = min(own[-1]["ended"] for own in by_process.values())
    starts = [own[0]["ended"] for own in by_process.values()]
    inside = sum(max(0.0, min(one["ended"], end) - one["began"]) for one in counted)
    whole = sum(end - start for start in starts)
    done = sum(
        (min(one["ended"], end) - one["began"]) / (one["ended"] - one["began"])
        for one in counted
        if one["began"] < end
    )
    return {
        "per_minute": 60 * done / (whole / len(starts)),
        "cpu_s": float(np.mean([one["cpu_s"] for one in counted])),
        "busy": inside / whole,
    }


def timed(job: Job, device: str, output: Path, options: BatchOptions) -> Outcome:
    """Do a patient and note when, where, and with how much of a processor."""
    began, processor = time.monotonic(), time.process_time()
    outcome = run_job(job, output, options, device)
    note = {
        "process": os.getpid(),
        "began": began,
        "ended": time.monotonic(),
        "cpu_s": time.process_time() - processor,
    }
    (output / f".time-{job.place}").write_text(json.dumps(note), "ascii")
    return outcome


if __name__ == "__main__":
    main()
