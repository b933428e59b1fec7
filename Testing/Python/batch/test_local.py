"""Processes of a cohort: one patient each, and a killed one takes nobody with it."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from myops.batch import local
from myops.batch.jobs import Job
from myops.batch.local import run_local, sized_workers
from myops.batch.patient import DONE, KILLED, Outcome

JOBS = [Job(f"p{number}") for number in range(5)]


def tell(job: Job, device: str, folder: Path) -> Outcome:
    """Note each try; "p2" kills its process each time, "p3" the first time."""
    tries = folder / job.name
    with tries.open("a", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    count = len(tries.read_text("ascii").splitlines())
    if job.name == "p2" or (job.name == "p3" and count == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return Outcome(job.name, DONE, device)


def sleep(job: Job, device: str, folder: Path) -> Outcome:
    """Note the process, and what is left when it is ended."""
    (folder / job.name).write_text(str(os.getpid()), "ascii")
    try:
        if job.name != "p0":
            time.sleep(60)
    finally:
        (folder / f"{job.name} ended").touch()
    return Outcome(job.name, DONE)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
def test_a_killed_process_costs_its_own_patient_alone_after_a_second_try(tmp_path: Path) -> None:
    found = {one.name: one for one in run_local(JOBS, partial(tell, folder=tmp_path), ("a", "b"))}
    assert {name: one.status for name, one in found.items()} == {
        "p0": DONE, "p1": DONE, "p2": KILLED, "p3": DONE, "p4": DONE
    }  # fmt: skip
    tries = [len((tmp_path / job.name).read_text("ascii").splitlines()) for job in JOBS]
    assert tries == [1, 1, 2, 2, 1]
    assert "was killed 2 times" in found["p2"].message
    assert {found[name].message for name in ("p0", "p1", "p3", "p4")} <= {"a", "b"}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="processes of Windows end without a word")
def test_when_nobody_wants_more_the_processes_end_and_clean_up(tmp_path: Path) -> None:
    running = run_local(JOBS[:2], partial(sleep, folder=tmp_path), ("cpu", "cpu"))
    assert next(running).name == "p0"
    while not (tmp_path / "p1").is_file() or not (tmp_path / "p1").read_text("ascii"):
        time.sleep(0.05)
    running.close()
    pids = [int((tmp_path / name).read_text("ascii")) for name in ("p0", "p1")]
    assert [alive(pid) for pid in pids] == [False, False]
    assert (tmp_path / "p1 ended").exists()


@pytest.mark.parametrize(
    ("cores", "memory_gb", "jobs", "gpus", "expected"),
    [
        (8, 64, 100, 0, 8),  # as many as cores
        (8, 9, 100, 0, 4),  # 2 GB each
        (8, None, 100, 0, 8),  # unknown memory
        (8, 64, 3, 0, 3),  # no more than patients
        (16, 64, 100, 2, 4),  # two for each GPU
        (8, 1, 100, 0, 1),  # one always
    ],
)
def test_the_number_of_processes_fits_the_machine(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    memory_gb: int | None,
    jobs: int,
    gpus: int,
    expected: int,
) -> None:
    monkeypatch.setattr(local, "usable_cores", lambda: cores)
    memory = None if memory_gb is None else memory_gb * 2**30
    monkeypatch.setattr(local, "available_bytes", lambda: memory)
    assert sized_workers(jobs, gpus) == expected


def test_the_machine_tells_its_cores_and_its_memory() -> None:
    assert local.usable_cores() >= 1
    memory = local.available_bytes()
    assert memory is None or memory > 1_000_000
