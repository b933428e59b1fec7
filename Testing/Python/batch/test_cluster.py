"""A cohort on a cluster of Dask, here one worker in this process."""

from __future__ import annotations

import pytest

from myops.batch import cluster
from myops.batch.cluster import run_on_cluster
from myops.batch.jobs import Job
from myops.batch.patient import DONE, FAILED, Outcome
from myops.errors import InputError


def work(job: Job, device: str) -> Outcome:
    """Fail as no job does: `run_job` never raises."""
    if job.name == "bad":
        raise ZeroDivisionError("by zero")
    return Outcome(job.name, DONE, device)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_jobs_come_back_from_a_cluster_whatever_one_of_them_does() -> None:
    distributed = pytest.importorskip("distributed")
    jobs = [Job("a"), Job("bad"), Job("c")]
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as local:
        found = run_on_cluster(jobs, work, local.scheduler_address, "cpu")
        outcomes = {one.name: (one.status, one.message) for one in found}
    assert outcomes == {
        "a": (DONE, "cpu"),
        "bad": (FAILED, "unexpected ZeroDivisionError: by zero"),
        "c": (DONE, "cpu"),
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    with pytest.raises(InputError, match="expected a scheduler of Dask at tcp://127.0.0.1:9"):
        list(run_on_cluster([Job("a")], work, "tcp://127.0.0.1:9"))


def test_without_dask_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r'pip install "myops-segmenter\[cluster\]"'):
        list(run_on_cluster([Job("a")], work, "tcp://127.0.0.1:9"))
