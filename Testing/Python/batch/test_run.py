"""A cohort from its start to its table: what is kept, what stops it, and what it says."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from myops.batch import patient as one_patient
from myops.batch.jobs import Job
from myops.batch.patient import (
    DONE,
    FAILED,
    KILLED,
    MARK,
    STOPPED,
    WAITING,
    BatchOptions,
    Outcome,
    is_finished,
    run_job,
)
from myops.batch.run import find_jobs, run_cohort, start_cohort
from myops.cli import cli
from myops.errors import InputError
from myops.patients.provenance import find_inputs

JOBS = [Job("a"), Job("b"), Job("c")]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Give the folder of a cohort that has begun."""
    (tmp_path / "images").mkdir()
    start_cohort(tmp_path / "images", tmp_path / "out", BatchOptions())
    return tmp_path / "out"


def giving(*outcomes: Outcome) -> Callable[[Sequence[Job]], Iterator[Outcome]]:
    return lambda jobs: iter(outcomes)


def rows(output: Path) -> list[tuple[str, str, str]]:
    with (output / "results.csv").open(encoding="utf-8", newline="") as file:
        return [(r["patient"], r["status"], r["problem"]) for r in csv.DictReader(file)]


def test_the_table_has_every_job_in_order_and_progress_counts(output: Path) -> None:
    told: list[tuple[float, str]] = []
    said: list[str] = []
    engine = giving(
        Outcome("c", DONE, row={"warnings": 1}),
        Outcome("a", FAILED, "no image", details="Traceback"),
        Outcome("b", DONE),
    )
    cohort = run_cohort(JOBS, output, engine, lambda *now: told.append(now), said.append)
    assert (cohort.done, cohort.stopped) == (2, "")
    assert rows(output) == [("a", FAILED, "no image"), ("b", DONE, ""), ("c", DONE, "")]
    assert told[-1] == (1.0, "3 of 3 patients, 1 without results")
    assert said == ["a: no image"]
    assert (output / "errors" / "a.txt").read_text("utf-8") == "Traceback"
    assert (output / "overview.html").exists()


def test_the_remaining_time_counts_what_this_run_has_to_do(output: Path) -> None:
    told: list[float] = []
    engine = giving(Outcome("a", DONE, resumed=True), Outcome("b", DONE), Outcome("c", DONE))
    run_cohort(JOBS, output, engine, lambda share, _: told.append(share), lambda _: None)
    assert told == [0.0, 0.5, 1.0]


def test_what_every_patient_would_meet_stops_the_cohort(output: Path) -> None:
    engine = giving(
        Outcome("a", DONE), Outcome("b", STOPPED, "the disk is full"), Outcome("c", DONE)
    )
    cohort = run_cohort(JOBS, output, engine, lambda *_: None, lambda _: None)
    assert cohort.stopped == "the disk is full"
    assert [status for _, status, _ in rows(output)] == [DONE, STOPPED, WAITING]
    assert "<b>Not finished.</b> the disk is full" in (output / "overview.html").read_text("utf-8")


def test_a_lost_scheduler_leaves_a_table_of_what_is_done(output: Path) -> None:
    def engine(jobs: Sequence[Job]) -> Iterator[Outcome]:
        yield Outcome("a", DONE)
        raise InputError("the scheduler is gone")

    cohort = run_cohort(JOBS, output, engine, lambda *_: None, lambda _: None)
    assert cohort.stopped == "the scheduler is gone"
    assert [status for _, status, _ in rows(output)] == [DONE, WAITING, WAITING]


def test_ctrl_c_leaves_a_table_too(output: Path) -> None:
    def engine(jobs: Sequence[Job]) -> Iterator[Outcome]:
        yield Outcome("a", DONE)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cohort(JOBS, output, engine, lambda *_: None, lambda _: None)
    assert [status for _, status, _ in rows(output)] == [DONE, WAITING, WAITING]


def test_a_folder_that_is_gone_is_not_made_anew(output: Path) -> None:
    def engine(jobs: Sequence[Job]) -> Iterator[Outcome]:
        shutil.rmtree(output)
        yield run_job(jobs[0], output, BatchOptions(), "cpu")

    cohort = run_cohort(JOBS, output, engine, lambda *_: None, lambda _: None)
    assert "found it gone" in cohort.stopped
    assert not output.exists()


def test_a_full_disk_stops_before_the_next_patient(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(free=one_patient.LEAST_FREE_BYTES - 1)
    monkeypatch.setattr(one_patient.shutil, "disk_usage", lambda _: usage)
    found = run_job(Job("a"), output, BatchOptions(), "cpu")
    assert found.status == STOPPED
    assert "expected 50 MB free for the next results, found 50 MB" in found.message


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InputError("no heart"), FAILED, "no heart"),
        (ZeroDivisionError("by zero"), FAILED, "unexpected ZeroDivisionError: by zero"),
        (MemoryError(), KILLED, "memory"),
    ],
)
def test_no_error_of_a_patient_gets_out(
    output: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str, words: str
) -> None:
    def fail(self: Job) -> None:
        raise error

    monkeypatch.setattr(Job, "inputs", fail)
    found = run_job(Job("a"), output, BatchOptions(), "cpu")
    assert (found.status, words in found.message) == (status, True)
    assert ("ZeroDivisionError" in found.details) == isinstance(error, ZeroDivisionError)


def test_results_count_as_done_only_for_the_same_images_and_weights(
    patient_folder: Path, tmp_path: Path
) -> None:
    inputs = find_inputs(patient_folder, {}).with_model("synthetic")
    results = tmp_path / "results"
    assert not is_finished(results, inputs)
    results.mkdir()
    noted = inputs.to_dict()
    noted["images"]["lge"]["path"] = "/elsewhere/before/the/move.nii.gz"
    (results / "inputs.json").write_text(json.dumps(noted), "utf-8")
    assert not is_finished(results, inputs)  # without numbers
    (results / "measurements.json").write_text("{}", "utf-8")
    assert is_finished(results, inputs)
    assert not is_finished(results, inputs.with_model("public-hearts"))
    noted["images"]["lge"]["sha256"] = "0" * 64
    (results / "inputs.json").write_text(json.dumps(noted), "utf-8")
    assert not is_finished(results, inputs)


def test_a_cohort_keeps_its_options(output: Path, tmp_path: Path) -> None:
    start_cohort(tmp_path / "images", output, BatchOptions())
    with pytest.raises(InputError, match="begun with the same options, found model default, reg"):
        start_cohort(tmp_path / "images", output, BatchOptions(register="auto"))


def test_a_cohort_begun_before_an_option_existed_goes_on_without_it(
    output: Path, tmp_path: Path
) -> None:
    noted = json.loads((output / MARK).read_text("utf-8"))
    noted["options"] = {"model": "default", "register": "off", "probabilities": False}  # of 0.3
    (output / MARK).write_text(json.dumps(noted), "utf-8")
    start_cohort(tmp_path / "images", output, BatchOptions())
    with pytest.raises(InputError, match="begun with the same options"):
        start_cohort(tmp_path / "images", output, BatchOptions(dicom=True))


def test_foreign_files_and_the_images_own_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    with pytest.raises(InputError, match=r"letter\.txt"):
        start_cohort(tmp_path / "images", tmp_path, BatchOptions())
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match="expected results outside of the images"):
        start_cohort(tmp_path / "images", tmp_path / "images" / "out", BatchOptions())


def test_what_killed_processes_left_is_removed(output: Path, tmp_path: Path) -> None:
    left = output / "patients" / ".myops-unfinished-x"
    left.mkdir(parents=True)
    (left / "report.html").touch()
    start_cohort(tmp_path / "images", output, BatchOptions())
    assert not left.exists()
    assert (output / MARK).exists()


def test_a_source_that_is_nothing_is_refused(output: Path, tmp_path: Path) -> None:
    for source in (tmp_path / "nothing", tmp_path / "images"):
        with pytest.raises(InputError, match="expected .* found none"):
            find_jobs(source, output)


def test_rows_whose_files_or_folders_are_missing_do_not_stop_the_others(
    output: Path, tmp_path: Path, patient_folder: Path
) -> None:
    table = tmp_path / "cohort.csv"
    image = f"{patient_folder}/nothing_DE.nii.gz"
    rows = [f"good,{patient_folder},", f"moved,{tmp_path}/nobody,", f"file,,{image}"]
    table.write_text("\n".join(["patient,folder,lge", *rows]), "utf-8")
    good, moved, file = find_jobs(table, output)
    assert set(good.inputs().files) == {"bssfp", "lge", "t2"}
    with pytest.raises(InputError, match="nobody: expected a folder of images, found none"):
        moved.inputs()
    outcomes = [run_job(one, output, BatchOptions(), "cpu") for one in (moved, file)]
    assert [one.status for one in outcomes] == [FAILED, FAILED]
    assert "nothing_DE.nii.gz" in outcomes[1].message


def test_an_archive_that_is_refused_is_a_patient_with_a_problem(
    output: Path, tmp_path: Path, patient_folder: Path
) -> None:
    (tmp_path / "images" / "bad.zip").write_bytes(b"PK")
    shutil.make_archive(str(tmp_path / "images" / "good"), "zip", patient_folder)
    bad, good = find_jobs(tmp_path / "images", output)
    assert (bad.name, good.name) == ("bad.zip", "good.zip")
    assert "expected an archive that can be unpacked" in bad.problem
    assert set(good.inputs().files) == {"bssfp", "lge", "t2"}


@pytest.mark.slow
def test_the_command_gives_what_segment_gives_and_goes_on_where_it_was(tmp_path: Path) -> None:
    def run(*arguments: object) -> object:
        return CliRunner().invoke(cli, [str(argument) for argument in arguments])

    source, out, alone = (tmp_path / name for name in ("source", "out", "alone"))
    assert run("phantom", source / "good", "--seed", 7, "--complete").exit_code == 0
    (source / "broken").mkdir()
    (source / "broken" / "a_DE.nii.gz").write_bytes(b"not an image")
    command = ("batch", source, "-o", out, "--device", "cpu", "--workers", 1)
    first = run(*command)
    assert first.exit_code == 1, first.output
    assert "1 of 2 patients have results" in first.stdout
    assert "broken: a_DE.nii.gz" in first.stderr
    assert [(name, status) for name, status, _ in rows(out)] == [("broken", FAILED), ("good", DONE)]
    assert run("segment", source / "good", "-o", alone, "--device", "cpu").exit_code == 0
    names = sorted(path.name for path in alone.iterdir())
    assert names == sorted(path.name for path in (out / "patients" / "good").iterdir())
    for name in ("segmentation.nii.gz", "measurements.csv", "regional.csv", "overview.png"):
        made = [(folder / name).read_bytes() for folder in (alone, out / "patients" / "good")]
        assert made[0] == made[1], name
    before = (out / "patients" / "good" / "report.html").stat().st_mtime_ns
    shutil.rmtree(source / "broken")
    again = run(*command)
    assert (again.exit_code, rows(out)) == (0, [("good", DONE, "")])
    assert (out / "patients" / "good" / "report.html").stat().st_mtime_ns == before
