"""Cohorts whose results name nobody: planted identifiers are in no byte that is written."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from dicom_heart import PLANTED, heart_labels, heart_segmentation, write_heart
from planted_words import files_with, words_in
from pydicom import dcmread

from myops.batch.jobs import Job
from myops.batch.pseudonymous import check_pseudonyms, under_pseudonyms
from myops.cli import cli
from myops.errors import InputError

# A number alone would be found in the time of day of a DICOM file once in a while.
FIRST, SECOND, BROKEN = "Zaunkoenig_Berta_geb1939", "Nachtigall_Ottokar", "Kuckuck_Edeltraud"
IN_HEADERS = [word for text in PLANTED.values() for word in text.split("^")]
IN_FOLDERS = [word for name in (FIRST, SECOND, BROKEN) for word in name.split("_")]


@pytest.fixture
def cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give two examinations of one patient and a third patient's folder that cannot be read.

    Networks need no time, and the patients are done in this process.
    """
    source = tmp_path / "source"
    for number, name in enumerate((FIRST, SECOND)):
        labels = heart_labels()
        labels[:, 48 + number, 48:50] = 200  # another image
        write_heart(
            source / name / "lge",
            labels=labels,
            SeriesDescription="LGE sa Mustermann",
            StudyInstanceUID=f"1.2.3.{number}",
            SeriesInstanceUID=f"1.2.3.{number}.1",
            **PLANTED,
        )
    (source / BROKEN).mkdir()
    (source / BROKEN / f"{BROKEN}_DE.nii.gz").write_bytes(b"no image of Kuckuck")
    monkeypatch.setattr("myops.weights.files.load_models", lambda *_, **__: None)
    monkeypatch.setattr(
        "myops.cascade.segment.segment",
        lambda case, models, progress=None: heart_segmentation(case, heart_labels()),
    )
    monkeypatch.setattr(
        "myops.batch.local.run_local",
        lambda jobs, work, devices: (work(job, devices[0]) for job in jobs),
    )
    return source


def batch(*arguments: object) -> Result:
    words = ["batch", "--device", "cpu", *(str(one) for one in arguments)]
    return CliRunner().invoke(cli, words)


def rows(output: Path) -> list[tuple[str, str]]:
    with (output / "results.csv").open(encoding="utf-8", newline="") as file:
        return [(row["patient"], row["status"]) for row in csv.DictReader(file)]


def parquet_rows(path: Path) -> list[dict[str, Any]]:
    from pyarrow import parquet

    found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return found


@pytest.mark.slow
def test_under_pseudonyms_no_byte_of_a_cohort_names_a_patient_or_a_folder(
    cohort: Path, tmp_path: Path
) -> None:
    out, table = tmp_path / "out", tmp_path / "key" / "table.csv"
    table.parent.mkdir()
    command = (cohort, "-o", out, "--dicom", "--pseudonyms", table)
    done = batch(*command)
    assert done.exit_code == 1, done.output
    assert sorted(rows(out)) == [("P0001", "failed"), ("P0002", "done"), ("P0002 (2)", "done")]
    assert files_with(out, IN_HEADERS + IN_FOLDERS) == {}
    if find_spec("pyarrow"):  # its columns are packed
        table_text = str(parquet_rows(out / "results.parquet")).encode()
        assert words_in(table_text, [*IN_HEADERS, *IN_FOLDERS, "P0002"]) == ["P0002"]
    names = {path.name for path in (out / "patients" / "P0002").iterdir()}
    assert {"report.pdf", "segmentation.dcm", "measurements.dcm", "inputs.json"} <= names
    assert dcmread(out / "patients" / "P0002 (2)" / "segmentation.dcm").PatientID == "P0002"
    assert f"{PLANTED['PatientID']},P0002" in table.read_text("utf-8")
    # Whoever sits at the terminal learns whose images were damaged.
    assert words_in(done.stderr.encode(), [BROKEN]) == [BROKEN]
    before = (out / "patients" / "P0002" / "report.html").stat().st_mtime_ns
    assert batch(*command).exit_code == 1
    assert (out / "patients" / "P0002" / "report.html").stat().st_mtime_ns == before


@pytest.mark.slow
def test_identity_is_in_the_dicom_files_of_a_cohort_alone_when_it_is_asked_for(
    cohort: Path, tmp_path: Path
) -> None:
    for name in (SECOND, BROKEN):  # one patient will do
        shutil.rmtree(cohort / name)
    out = tmp_path / "out"
    done = batch(cohort, "-o", out, "--dicom", "--keep-identity")
    assert done.exit_code == 0, done.output
    found = files_with(out, IN_HEADERS)
    assert {Path(name).name for name in found} == {"segmentation.dcm", "measurements.dcm"}
    assert len(found) == 2


def test_a_patient_whom_nothing_identifies_is_named_by_the_place(tmp_path: Path) -> None:
    jobs = [Job("Anna", problem="expected an image"), Job("Bert", problem="found none")]
    first, second = under_pseudonyms(jobs, tmp_path / "key.csv", tmp_path / "out")
    assert (first.name, second.name) == ("patient 1 of the source", "patient 2 of the source")
    assert (second.known_as, second.anonymous, second.problem) == ("Bert", True, "found none")
    assert not (tmp_path / "key.csv").exists()


def test_a_column_of_names_contradicts_pseudonyms(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"or a column name, found both \(for p1\)"):
        under_pseudonyms([Job("p1", title="Anna")], tmp_path / "key.csv", tmp_path / "out")


Prepare = Callable[[Path], dict[str, Any]]
REFUSED: dict[str, tuple[Prepare, str]] = {
    "identity": (lambda folder: {"keep_identity": True}, "--pseudonyms or --keep-identity"),
    "table in the results": (
        lambda folder: {"table": folder / "out" / "key.csv"},
        "table of pseudonyms outside of the results",
    ),
    "archive": (
        lambda folder: {"source": Path(shutil.make_archive(str(folder / "a"), "zip", folder))},
        r"expected patients in folders with --pseudonyms, found a\.zip",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_contradicts_pseudonyms_is_refused_before_the_search(
    tmp_path: Path, kind: str
) -> None:
    prepare, words = REFUSED[kind]
    given = {"source": tmp_path, "output": tmp_path / "out", "table": tmp_path / "key.csv"}
    with pytest.raises(InputError, match=words):
        check_pseudonyms(**{**given, **prepare(tmp_path)})
