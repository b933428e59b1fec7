"""Patients per minute of `myops batch` with one process for each core, over one process on one core.

    python Testing/Scripts/measure/cohort_rate.py WORK --patients 12

Each is run twice, in turn, on small synthetic patients (see `cohort_patients`); other programs must
rest. Counted is from the first results of the processes to the last: how long they take to start
does not depend on the cohort. What two cores give a program that needs nothing but a processor is
measured beside it. Prints JSON. Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from cohort_patients import make_patients
from cohort_runs import COMMAND, QUIET, times

from myops.batch.local import usable_cores

# Counts for a second and says how far it came.
SPIN = "import time\nend=time.time()+1;n=0\nwhile time.time()<end:\n n+=sum(range(999))>0\nprint(n)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    source, cores = arguments.work / "for_rate", usable_cores()
    if not source.exists():
        make_patients(source, arguments.patients)
    found: dict[int, list[float]] = {1: [], cores: []}
    spun: dict[int, list[int]] = {1: [], cores: []}
    for number in range(arguments.rounds):
        for workers in (1, cores):
            output = arguments.work / f"rate_{workers}_{number}"
            found[workers].append(rate(source, output, workers))
            spun[workers].append(spin(workers))
    print(
        json.dumps(
            {
                "patients_per_minute": found,
                "share_of_cores_x_one": share(found, cores),
                "share_of_a_bare_loop": share(spun, cores),
            }
        )
    )


def rate(source: Path, output: Path, workers: int) -> float:
    """Patients per minute of so many processes with a core each."""
    shutil.rmtree(output, ignore_errors=True)
    options = [str(source), "-o", str(output), "--workers", str(workers)]
    allowed = sorted(os.sched_getaffinity(0))[:workers]
    command = ["taskset", "-c", ",".join(map(str, allowed)), *COMMAND, *options]
    subprocess.run(command, check=True, **QUIET)
    ended = sorted(times(output).values())
    return round(60 * (len(ended) - workers) / (ended[-1] - ended[workers - 1]), 2)


def spin(processes: int) -> int:
    """How far so many processes count together in a second."""
    time.sleep(0.5)
    command = [sys.executable, "-c", SPIN]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    return sum(int(one.communicate()[0]) for one in running)


def share(found: dict[int, list[float]] | dict[int, list[int]], cores: int) -> float:
    """What several reach of so many times what one does."""
    return round(sum(found[cores]) / (cores * sum(found[1])), 3)


if __name__ == "__main__":
    main()
