"""One writer for all tables: no cell is a formula, no name breaks a row, and all is read again."""

from __future__ import annotations

import ast
import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myops.evaluation.metrics import Agreement
from myops.io.csv_files import csv_rows, csv_text
from myops.io.readable import readable
from myops.quantify.tables import COLUMNS
from myops.quantify.tables import csv_text as measurement_table
from myops.reproduce.table import CaseScore, read_scores, write_scores

LIBRARY = Path(__file__).parents[3] / "MyoPSSegmenter" / "myops"
FORMULAS = (
    '=HYPERLINK("http://x","y")',
    "@SUM(1)",
    "+1",
    "-2+3",
    "\t=1",
    "\r=1",
    "'=1",
    "''-1",
    "＝1+1",
)


def written(value: object) -> str:
    """The bare cell, as a spreadsheet sees it."""
    (_, (cell,)) = csv.reader(io.StringIO(csv_text(["name"], [{"name": value}])))
    return cell


@pytest.mark.parametrize("name", FORMULAS)
def test_a_text_is_never_a_formula_and_is_read_as_it_was(name):
    assert written(name).startswith("'")
    ((_, columns), (line, cells)) = csv_rows(csv_text(["name"], [{"name": name}]))
    assert (columns, line, cells) == (["name"], 2, [readable(name)])


@pytest.mark.parametrize(
    ("value", "cell"),
    [(-1.5, "-1.5"), (-2, "-2"), (None, ""), (True, "True"), ("12 g", "12 g"), ("−3", "−3")],
)
def test_numbers_and_other_texts_stay_as_they_are(value, cell):
    assert written(value) == cell


def test_a_column_may_be_missing_in_a_row_and_none_may_be_unknown():
    assert csv_text(["a", "b"], [{"b": 1}]) == "a,b\n,1\n"
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        csv_text(["a"], [{"a": 1, "c": 2}])


def test_a_name_with_line_breaks_and_direction_marks_keeps_to_its_row():
    text = csv_text(["name", "g"], [{"name": "P\r\n1\u202e,2;\x00", "g": 3}])
    assert text == 'name,g\n"P 1,2;",3\n'


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_any_texts_come_back_in_their_readable_form(texts):
    columns = [f"c{number}" for number in range(len(texts))]
    table = csv_text([*columns, "end"], [dict(zip(columns, texts), end="x")])
    _, (_, cells) = csv_rows(table)
    assert cells == [*map(readable, texts), "x"]


def test_a_cell_without_end_is_an_error_and_not_a_traceback_of_the_reader():
    with pytest.raises(ValueError, match="row 2"):
        list(csv_rows('a\n"' + "x" * 200_000))


def test_measurements_of_a_case_with_a_formula_as_a_name():
    row = dict.fromkeys(COLUMNS) | {"case": "=1+1", "value": -0.5}
    assert measurement_table([row]).splitlines()[1].startswith("'=1+1,")
    assert ",-0.5," in measurement_table([row])


def test_scores_are_read_as_they_were_written(tmp_path):
    agreement = Agreement(0.5, None, 1.0, 1.0, 0.9, 0.8, 1.0, 2.0, -1.0, -1.05, "-no hd")
    scores = [CaseScore("@row", 0, "=case", "scar", agreement)]
    write_scores(tmp_path / "below" / "scores.csv", scores)
    text = (tmp_path / "below" / "scores.csv").read_text("utf-8")
    assert text.splitlines()[1].startswith("'@row,0,'=case,scar,0.5,,1.0")
    assert ",-1.05,'-no hd" in text
    assert read_scores(tmp_path / "below" / "scores.csv") == scores


def test_damaged_scores_are_refused_in_one_line(tmp_path):
    for content in ("", "row,seed\nx\n", "row,seed\nx,one\n"):
        (tmp_path / "scores.csv").write_text(content, "utf-8")
        with pytest.raises(ValueError, match=r"expected the scores that myops reproduce wrote"):
            read_scores(tmp_path / "scores.csv")


@pytest.mark.parametrize("source", sorted(LIBRARY.rglob("*.py")), ids=lambda path: path.name)
def test_no_other_file_of_the_library_writes_or_reads_csv(source):
    if source.name != "csv_files.py":
        tree = ast.parse(source.read_text("utf-8"))
        names = [
            a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names
        ]
        assert "csv" not in names
