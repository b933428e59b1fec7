"""One writer each of CSV, JSON and PNG, and one home of mask geometry: no file has its own."""

from __future__ import annotations

import ast
import json
import struct
from pathlib import Path

import pytest

from myops.io.atomic import json_text, write_bytes, write_json
from myops.report.canvas import DPI, new_chart, png
from myops.report.figures import DPI as PIXEL_DPI

MODULE = Path(__file__).parents[3] / "MyoPSSegmenter"
SOURCES = sorted(path for path in MODULE.rglob("*.py") if "__pycache__" not in path.parts)
# What is done in one file alone.
HOMES = {
    "JSON with lines": "atomic.py",
    "CSV": "csv_files.py",
    "PNG": "raster.py",
    "components": "masks.py",
}


def jobs(source: Path) -> set[str]:
    """Which of the jobs in `HOMES` a file does by itself."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "scipy.ndimage":
            found |= {"components" for alias in node.names if alias.name == "label"}
        if isinstance(node, ast.Constant) and node.value == b"IHDR":
            found.add("PNG")
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        called, keywords = ast.unparse(node.func), {keyword.arg for keyword in node.keywords}
        if called == "json.dumps" and "indent" in keywords:
            found.add("JSON with lines")
        elif called in ("csv.writer", "csv.DictWriter"):
            found.add("CSV")
        elif called.endswith((".print_png", ".savefig")):
            found.add("PNG")
        elif called == "ndimage.label":
            found.add("components")
    return found


@pytest.mark.slow
def test_each_job_is_done_in_one_file() -> None:
    found = {job: {path.name for path in SOURCES if job in jobs(path)} for job in HOMES}
    assert found == {job: {home} for job, home in HOMES.items()}


def test_json_is_utf_8_with_lines_and_without_nan(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", {"name": "Jürgen", "mass_g": 16.1, "slices": [1, None]})
    text = '{\n  "name": "Jürgen",\n  "mass_g": 16.1,\n  "slices": [\n    1,\n    null\n  ]\n}\n'
    assert path.read_bytes() == text.encode()
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"mass_g": float("nan")})
    assert path.read_bytes() == text.encode()


def test_a_name_that_is_not_utf_8_comes_back_from_json(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", {"file": "M\udcfcller"})
    assert json.loads(path.read_bytes()) == {"file": "M\udcfcller"}
    assert json_text({}) == "{}\n"


def test_bytes_are_written_into_a_folder_that_is_made(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "new" / "a.png", b"123")
    assert path.read_bytes() == b"123"
    assert [one.name for one in path.parent.iterdir()] == ["a.png"]


@pytest.mark.parametrize("dpi", [DPI, PIXEL_DPI])
def test_a_picture_has_its_inches_times_dots_and_names_no_program_or_date(dpi: int) -> None:
    figure = new_chart(4.0, 3.0, dpi)
    figure.text(0.5, 0.5, "16.1 g")
    content = png(figure)
    assert struct.unpack(">II", content[16:24]) == (4 * dpi, 3 * dpi)
    assert b"Software" not in content and b"tIME" not in content
    assert png(figure) == content
