"""Does `myops batch` bring a cohort to its end through everything that goes wrong on the way?

    python Testing/Scripts/measure/cohort.py WORK --patients 200

Makes small synthetic patients (see `cohort_patients`), spoils five of them, and runs the command as
a user would, always into one folder:

1. on this machine: a process is killed (SIGKILL) while it works on a patient, then the command;
2. on a Dask cluster: a worker is killed, then the scheduler;
3. on this machine: the disk (a tmpfs) is filled while a patient's results are being written;
4. with room again, to the end: one table.

After each it is noted what the command said, how many results there are, and whether any that
was there before was made again or is incomplete. Needs Linux, root (for the disk) and Dask. An
interrupted measurement goes on where it was. Writes WORK/cohort.json and prints it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cohort_patients import patients_in
from cohort_runs import (
    children,
    cluster,
    incomplete,
    last_words,
    start,
    table,
    times,
    wait_for,
)

from myops.batch.local import usable_cores
from myops.output.results import STAGE_PREFIX

# Results of such a patient take 1.9 MB.
MB_PER_PATIENT, MB_BESIDE = 2.5, 150
# Left free before the disk is filled: more than the limit at which no further patient is begun.
ALMOST_FULL_BYTES = 60_000_000
# Shares of the cohort with results when something goes wrong.
KILL_PROCESS, KILL_COMMAND, KILL_WORKER, KILL_SCHEDULER, FILL_DISK = 0.15, 0.3, 0.4, 0.5, 0.7


def main() -> None:
    """Run the whole way, and write what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--workers", type=int, default=usable_cores())
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    source, spoiled = patients_in(work, arguments.patients)
    found: dict[str, Any] = {"patients": arguments.patients, "spoiled": spoiled}
    output = small_disk(work / "cohort", arguments.patients)
    way = Way(source, output, arguments.patients, ("--workers", str(arguments.workers)))
    for stage in (way.kill_command, way.kill_scheduler, way.fill_disk, way.finish):
        found[stage.__name__] = noted(stage, output)
        print(json.dumps(found[stage.__name__], indent=2), flush=True)
        (work / "cohort.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")


def noted(stage: Callable[[], dict[str, Any]], output: Path) -> dict[str, Any]:
    """What happened in a stage, and what became of the results that were there before."""
    before, began = times(output), time.monotonic()
    said = stage()
    after = times(output)
    return {
        **said,
        "seconds": round(time.monotonic() - began, 1),
        "results": len(after),
        "made_again": sum(after.get(name) != at for name, at in before.items()),
        "incomplete": incomplete(output),
    }


def small_disk(place: Path, patients: int) -> Path:
    """A disk of its own, which can be filled without harm; it stays for the next run."""
    place.mkdir(parents=True, exist_ok=True)
    size = f"size={MB_BESIDE + MB_PER_PATIENT * patients:.0f}M"
    if not place.is_mount():
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", place], check=True)
    return place


class Way:
    """The stages, in which always the same command is run."""

    def __init__(self, source: Path, output: Path, count: int, local: tuple[str, ...]) -> None:
        """Note what is run, and with which options on this machine."""
        self.source, self.output, self.count, self.local = source, output, count, local

    def kill_command(self) -> dict[str, Any]:
        """A process in the middle of a patient, then the command itself."""
        running = self._begin(KILL_PROCESS, *self.local)
        at_work = self._wait_for_writing(running)
        os.kill(children(running.pid)[-1], signal.SIGKILL)
        self._wait(KILL_COMMAND, running)
        workers = children(running.pid)
        running.kill()
        running.wait()
        time.sleep(5)
        left = [pid for pid in workers if Path(f"/proc/{pid}").exists()]
        return {"unfinished_when_killed": at_work, "processes_left": len(left)}

    def kill_scheduler(self) -> dict[str, Any]:
        """A worker of a cluster, then its scheduler."""
        place = self.output.with_name("scheduler.json")
        scheduler, workers = cluster(place)
        try:
            running = self._begin(KILL_WORKER, "--scheduler", str(place))
            os.kill(children(workers[0].pid)[-1], signal.SIGKILL)
            self._wait(KILL_SCHEDULER, running)
            scheduler.kill()
            code = running.wait(timeout=600)
        finally:
            for one in (scheduler, *workers):
                one.terminate()
                one.wait()
        return {"exit_code": code, "said": last_words(self.output)}

    def fill_disk(self) -> dict[str, Any]:
        """No byte is left while results are being written; then there is room again."""
        ballast = [self.output / name for name in (".most", ".rest")]
        running = self._begin(FILL_DISK, *self.local)
        fill(ballast[0], ALMOST_FULL_BYTES)
        at_work = self._wait_for_writing(running)
        fill(ballast[1], 0)
        code = running.wait(timeout=600)
        left = [path.name for path in self.output.glob(f"patients/{STAGE_PREFIX}*")]
        for path in ballast:
            path.unlink()
        said = last_words(self.output)
        return {"written_when_full": at_work, "exit_code": code, "said": said, "unfinished": left}

    def finish(self) -> dict[str, Any]:
        """The same command to its end."""
        code = start(self.source, self.output, *self.local).wait()
        return {"exit_code": code, **table(self.output)}

    def _begin(self, share: float, *options: str) -> subprocess.Popen[bytes]:
        running = start(self.source, self.output, *options)
        self._wait(share, running)
        return running

    def _wait(self, share: float, running: subprocess.Popen[bytes]) -> None:
        """Until that share is done, and a few in any case: an earlier run may have got further."""
        more = len(times(self.output)) + 2
        wait_for(self.output, max(int(share * self.count), more), running)

    def _wait_for_writing(self, running: subprocess.Popen[bytes]) -> int:
        """Until files of a patient are being written; how many there are."""
        while running.poll() is None:
            found = list(self.output.glob(f"patients/{STAGE_PREFIX}*/*"))
            if found:
                return len(found)
            time.sleep(0.02)
        raise RuntimeError(last_words(self.output))


def fill(path: Path, leave: int) -> None:
    """Write a file until so many bytes are left on its disk."""
    with path.open("wb") as file:
        while (room := shutil.disk_usage(path).free - leave) > 0:
            with suppress(OSError):  # somebody else took some of it
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), room)


if __name__ == "__main__":
    main()
