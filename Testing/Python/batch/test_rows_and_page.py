"""The table and the page of a cohort: every number, and no name that does anything."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from myops.batch.page import doubt, render_cohort
from myops.batch.patient import DONE, FAILED, Outcome
from myops.batch.rows import as_csv, as_parquet, columns_of, row_of_results
from myops.errors import InputError

MASS = {"voxels": 10, "volume_ml": 2.0, "mass_g": 2.1, "percent_of_lv_mass": 5.0, "reason": None}
NONE = {"voxels": None, "volume_ml": None, "mass_g": None, "percent_of_lv_mass": None}


def numbers(**changed: Any) -> dict[str, Any]:
    return {
        "software": "myops 0",
        "spacing_mm_xyz": [1.4, 1.5, 10.0],
        "spacing_known": True,
        "images_sha256": {"bssfp": "b0", "lge": "a0"},
        "labels_sha256": "c0",
        "tissues": {"scar": MASS, "edema": {**NONE, "reason": "no T2 image"}},
        "fwhm": {"fwhm_remote_referenced_volume": {**MASS, "mass_g": 3.3}},
        "conventional": {},
        "image_quality": {"noise": 4.5, "reasons": {}},
        "mean_uncertainty_in_myocardium": 0.25,
        "slices": [{}, {}, {}],
        "regional": {"warnings": ["two", "three"]},
        "warnings": ["one", "two"],
        "seconds": {"ASSN": 1.5, "PRSN": 2.25},
        "weights": {"name": "synthetic"},
        **changed,
    }


def test_a_row_holds_the_numbers_of_the_results(tmp_path: Path) -> None:
    (tmp_path / "measurements.json").write_text(json.dumps(numbers()), "utf-8")
    row = row_of_results(tmp_path)
    assert row["scar_g"] == 2.1 and row["scar_ml"] == 2.0 and row["scar_percent_of_lv"] == 5.0
    assert row["fwhm_remote_referenced_volume_g"] == 3.3
    assert row["edema_g"] is None and row["without_a_number"] == "edema: no T2 image"
    assert (row["warnings"], row["warning_texts"]) == (3, "one | two | three")
    assert (row["slices"], row["spacing_z_mm"], row["seconds"]) == (3, 10.0, 3.75)
    assert (row["sequences"], row["lge_sha256"], row["weights"]) == ("bssfp lge", "a0", "synthetic")
    assert row["noise"] == 4.5 and "reasons" not in row


@pytest.mark.parametrize("text", ["{", "[]", '{"tissues": 3}'])
def test_damaged_numbers_are_no_row(tmp_path: Path, text: str) -> None:
    (tmp_path / "measurements.json").write_text(text, "utf-8")
    with pytest.raises(InputError):
        row_of_results(tmp_path)


ROWS: list[dict[str, Any]] = [
    {"patient": "=HYPERLINK()", "status": "done", "problem": "", "warnings": 2, "scar_g": 1.5},
    {"patient": "b", "status": "failed", "problem": "no image", "edema_g": None},
    {"patient": "c", "status": "done", "problem": "", "warnings": 0, "scar_g": 2},
]


def test_the_csv_has_a_row_for_each_patient_and_no_formula() -> None:
    read = list(csv.DictReader(io.StringIO(as_csv(ROWS))))
    assert columns_of(ROWS) == ["patient", "status", "problem", "warnings", "scar_g", "edema_g"]
    assert read[0]["patient"] == "'=HYPERLINK()"
    assert [row["scar_g"] for row in read] == ["1.5", "", "2"]


def test_the_parquet_has_the_same_table_with_types(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    as_parquet(ROWS, tmp_path / "a.parquet")
    table = parquet.read_table(tmp_path / "a.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {"patient": "string", "status": "string", "problem": "string",
                     "warnings": "int64", "scar_g": "double", "edema_g": "double"}  # fmt: skip
    assert table.column("scar_g").to_pylist() == [1.5, None, 2.0]
    assert table.column("patient").to_pylist() == ["=HYPERLINK()", "b", "c"]


class Tags(HTMLParser):
    """What a browser would make of a page: names of tags, and their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += attrs


def outcome(
    name: str, warnings: tuple[str, ...] = (), status: str = DONE, message: str = ""
) -> Outcome:
    row = {"warnings": len(warnings), "warning_texts": " | ".join(warnings), "scar_g": 12.34}
    return Outcome(name, status, message, row if status == DONE else {}, b"\xff\xd8")


def test_the_page_begins_with_those_that_need_a_reader() -> None:
    given = [outcome("clear"), outcome("one", ("w",)), outcome("bad", status=FAILED, message="no"),
             outcome("three", ("w", "v", "u"))]  # fmt: skip
    page = render_cohort(given, "patients")
    titles = re.findall(r"<h2>(?:<a [^>]*>)?([^<]*)", page)
    assert titles == ["bad", "three", "one", "clear"]
    assert "<b>3</b>with results" in page and "<b>2</b>of these with warnings" in page
    assert "Scar 12.3 g" in page and "Edema not assessed" in page
    assert doubt(given[2]) > doubt(given[3]) > doubt(given[1]) > doubt(given[0])


def test_names_and_messages_stay_text_on_the_page() -> None:
    name = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    words = "<svg onload=alert(3)> {{ 7*7 }}"
    page = render_cohort(
        [outcome(name, (words,)), outcome("javascript:alert(4)", status=FAILED, message=words)],
        "patients",
        stopped=words,
    )
    tags = Tags()
    tags.feed(page)
    assert tags.names.isdisjoint({"script", "svg", "iframe", "object", "embed"})
    assert [name for name, _ in tags.attributes if name.startswith("on")] == []
    assert html.escape(words) in page
    links = {value for name, value in tags.attributes if name == "href"}
    assert len(links) == 1 and links.pop().startswith("patients/%2522%253E%253Cscript")
    assert "default-src 'none'" in page
