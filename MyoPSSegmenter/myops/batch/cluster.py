"""A cohort on an existing cluster of Dask: its workers see the same folders by the same names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

from myops.batch.jobs import Job
from myops.batch.local import Work
from myops.batch.patient import KILLED, Outcome, failed
from myops.errors import InputError

CONNECT_S = 30
LOST = (
    "expected the cluster's scheduler to answer until the end, found it gone; start it again and "
    "run the same command: patients that are done are kept"
)


def run_on_cluster(
    jobs: Sequence[Job], work: Work, address: str, device: str = "auto"
) -> Iterator[Outcome]:
    """Do all jobs on the workers of a scheduler, in the order they end.

    A worker that is killed, by the system or by Dask's own limit on memory, has its patient tried
    again as often as the scheduler's `allowed-failures` says, and then reported as killed.

    Args:
        jobs: what to do.
        work: does one; its modules are those that the workers have installed.
        address: such as "tcp://10.0.0.5:8786", or the path of a scheduler's file.
        device: of the networks on every worker.

    Raises:
        InputError: Dask is not installed, or the scheduler does not answer or is lost.
    """
    with _client(address) as client:
        from distributed import as_completed

        # Another cohort on the same scheduler would get the answers of equal keys.
        cohort = uuid4().hex
        keys = [f"myops-{cohort}-{number}" for number in range(len(jobs))]
        futures = {
            client.submit(work, job, device, key=key, pure=False): job
            for key, job in zip(keys, jobs, strict=True)
        }
        try:
            for future in as_completed(futures, loop=client.loop):
                yield _outcome(future, futures[future])
        finally:
            client.cancel(list(futures))


def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "expected the package distributed for --scheduler, found none; run: pip install "
            '"myops-segmenter[cluster]"'
        ) from None
    place = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    try:
        return Client(**place, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"expected a scheduler of Dask at {address}, found none that answers within "
            f"{CONNECT_S} s ({error}); check the address, and that its version is the same"
        ) from None


def _outcome(future: Any, job: Job) -> Outcome:
    from distributed import KilledWorker

    if future.status in ("cancelled", "lost"):
        raise InputError(LOST)
    if future.status == "finished":
        try:
            found: Outcome = future.result()
        except Exception as error:  # the answer was on a worker that is gone with the scheduler
            raise InputError(LOST) from error
        return found
    raised = future.exception()
    if isinstance(raised, KilledWorker):
        return Outcome(job.name, KILLED, f"{job.name}: {_words(raised)}")
    return failed(job, f"unexpected {type(raised).__name__}: {raised}")


def _words(error: Any) -> str:
    return (
        f"the workers that worked on it were killed {error.allowed_failures + 1} times, as happens "
        "when memory runs out; give the workers more memory, or crop its images"
    )
