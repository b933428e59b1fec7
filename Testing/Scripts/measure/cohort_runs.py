"""Runs of `myops batch` as a user starts them, looked at from outside."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "myops", "batch", "--device", "cpu"]
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
DASK_WORKERS = 2


def start(source: Path, output: Path, *more: str) -> subprocess.Popen[bytes]:
    """The command, its words in a log beside the output."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with log_of(output).open("ab") as log:
        command = [*COMMAND, str(source), "-o", str(output), *more]
        return subprocess.Popen(command, stderr=log, stdout=log)


def log_of(output: Path) -> Path:
    """Where the command's words go."""
    return output.with_name(f"{output.name}.log")


def last_words(output: Path) -> str:
    """The last line of the log."""
    return log_of(output).read_text("utf-8").strip().splitlines()[-1]


def wait_for(output: Path, count: int, running: subprocess.Popen[bytes]) -> None:
    """Until so many patients have results; a command that ended before is an error."""
    while len(times(output)) < count:
        assert running.poll() is None, last_words(output)
        time.sleep(0.2)


def times(output: Path) -> dict[str, float]:
    """Patient to the moment at which its results appeared."""
    return {
        path.parent.name: path.stat().st_mtime for path in output.glob("patients/*/results.json")
    }


def incomplete(output: Path) -> list[str]:
    """Patients whose results lack a file that their note names, or hold an empty one."""
    found = []
    for note in output.glob("patients/*/results.json"):
        files = [note.parent / name for name in json.loads(note.read_text("utf-8"))["files"]]
        if not all(path.is_file() and path.stat().st_size for path in files):
            found.append(note.parent.name)
    return found


def table(output: Path) -> dict[str, Any]:
    """What the table and the page of a run hold."""
    with (output / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "rows": len(rows),
        "patients": len({row["patient"] for row in rows}),
        "statuses": Counter(row["status"] for row in rows),
        "problems": {row["patient"]: row["problem"][:200] for row in rows if row["problem"]},
        "parquet": (output / "results.parquet").exists(),
        "page_kb": (output / "overview.html").stat().st_size // 1000,
        "unfinished": len(list(output.glob("patients/.myops*"))),
    }


def children(pid: int) -> list[int]:
    """Processes that a process has started and that work for it."""
    texts = [path.read_text("ascii") for path in Path(f"/proc/{pid}/task").glob("*/children")]
    found = [int(one) for text in texts for one in text.split()]
    return [one for one in found if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def cluster(place: Path) -> tuple[subprocess.Popen[bytes], list[subprocess.Popen[bytes]]]:
    """A Dask scheduler on this machine, known by a file, and workers of one thread."""
    place.unlink(missing_ok=True)
    by_file = ["--scheduler-file", str(place), "--no-dashboard"]
    scheduler = subprocess.Popen([*_dask("scheduler"), *by_file, "--port", "0"], **QUIET)
    while not place.exists():
        time.sleep(0.2)
    worker = [*_dask("worker"), *by_file, "--nthreads", "1"]
    worker += ["--local-directory", str(place.parent)]
    return scheduler, [subprocess.Popen(worker, **QUIET) for _ in range(DASK_WORKERS)]


def _dask(name: str) -> list[str]:
    """What the command `dask` runs."""
    return [sys.executable, "-m", "dask", name]
