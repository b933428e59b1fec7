"""A cohort on this machine: processes with one patient each, started again where one is killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for

from myops.batch.jobs import Job
from myops.batch.patient import KILLED, Outcome
from myops.io.free_memory import available_bytes

# Takes a job and the device of the process that it runs in; can be sent to another process.
Work = Callable[[Job, str], Outcome]
# Torch, SimpleITK and three sequences of usual size take 1 to 1.5 GB, the largest ones 5.8 GB.
BYTES_PER_WORKER = 2 * 2**30
GPU_WORKERS = 2
# A try, and another in case that something else had taken the memory.
TRIES = 2


def run_local(jobs: Sequence[Job], work: Work, devices: Sequence[str]) -> Iterator[Outcome]:
    """Do all jobs in as many processes as there are devices named, in the order they end.

    A process that is killed takes nobody else's patient with it: each has a pool of its own. Its
    patient is tried once more after all others, and then reported as killed.

    Args:
        jobs: what to do.
        work: does one.
        devices: of each process, such as ("cuda:0", "cuda:1") or ("cpu", "cpu").
    """
    threads = max(1, usable_cores() // max(1, len(devices)))
    free = [_Process(device, threads) for device in devices]
    waiting = deque((job, 1) for job in jobs)
    running: dict[Future[Outcome], tuple[_Process, Job, int]] = {}
    try:
        while waiting or running:
            while waiting and free:
                process, (job, tries) = free.pop(), waiting.popleft()
                running[process.start(work, job)] = (process, job, tries)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                process, job, tries = running.pop(future)
                free.append(process)
                outcome = _outcome(future, job)
                if outcome.status == KILLED:
                    process.close()
                    if tries < TRIES:
                        waiting.append((job, tries + 1))
                        continue
                yield outcome
    finally:
        for process in (*free, *(process for process, *_ in running.values())):
            process.stop()


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def sized_workers(jobs: int, gpus: int = 0) -> int:
    """How many processes: not more than cores, memory or patients allow, two for each GPU."""
    memory = available_bytes()
    fitting = usable_cores() if memory is None else memory // BYTES_PER_WORKER
    most = min(usable_cores(), GPU_WORKERS * gpus) if gpus else usable_cores()
    return max(1, min(most, fitting, jobs))


@dataclass
class _Process:
    """A pool of one process, made when it is needed."""

    device: str
    threads: int
    _pool: ProcessPoolExecutor | None = None
    _pid: Future[int] | None = field(default=None, repr=False)

    def start(self, work: Work, job: Job) -> Future[Outcome]:
        """Begin a job."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1, get_context("spawn"), initializer=_begin, initargs=(self.threads,)
            )
            self._pid = self._pool.submit(os.getpid)
        try:
            return self._pool.submit(work, job, self.device)
        except BrokenProcessPool as error:  # killed while it was idle
            self.close()
            broken: Future[Outcome] = Future()
            broken.set_exception(error)
            return broken

    def close(self) -> None:
        """Let go of a process that is dead."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._pid = None

    def stop(self) -> None:
        """End the process, whatever it does; what it has begun to write is removed."""
        if self._pool is None:
            return
        with suppress(Exception):  # it may be dead, or not have begun
            if self._pid is not None and self._pid.done():
                os.kill(self._pid.result(), signal.SIGTERM)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = self._pid = None


def _outcome(future: Future[Outcome], job: Job) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        words = f"{job.name}: the process that worked on it was killed {TRIES} times"
        return Outcome(
            job.name,
            KILLED,
            f"{words}, as a system does that runs out of memory; run it again with fewer "
            "--workers, or crop its images",
        )
    except SystemExit:
        return Outcome(job.name, KILLED, f"{job.name}: the process that worked on it was ended")


def _begin(threads: int) -> None:
    """Set up a new process: its threads, and who may end it."""
    # Read when torch and SimpleITK are imported, which is later.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ[name] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that unfinished files are removed
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Nobody would read the answers of a process whose parent was killed."""
    parent = parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)
