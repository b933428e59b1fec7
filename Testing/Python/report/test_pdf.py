"""The PDF: pages that are read back by poppler, and the layout of text and tables."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest
from circle_heart import circle_case, circle_labels, circle_segmentation
from circle_report import WHEN
from circle_report import parts as report_parts

from myops.quantify.measure import measure
from myops.report.compose import make_content
from myops.report.document import Table
from myops.report.panels import make_tiles
from myops.report.pdf import write_pdf
from myops.report.pdf_page import INNER, column_widths, width_of, wrapped

needs_poppler = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="pdftotext (poppler) is not installed"
)


def run(*command) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def content():
    return make_content(*report_parts(slices=12), None, WHEN)


@pytest.fixture(scope="module")
def pdf(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("pdf") / "report.pdf"
    write_pdf(content, path)
    return path


@pytest.mark.slow
@needs_poppler
def test_every_word_of_the_content_is_in_the_pdf(pdf, content):
    text = "".join(run("pdftotext", "-layout", pdf, "-").split())
    for section in content.sections:
        assert "".join(section.title.split()) in text, section.title
        for block in section.blocks:
            if block.kind == "table":
                cells = [cell for row in block.rows for cell in row if len(cell.split()) == 1]
                assert [cell for cell in cells if cell not in text] == []
    assert "".join(content.summary.split()) in text
    assert text.count("Researchuseonly.Notamedicaldevice.") >= 3


@needs_poppler
def test_the_pages_are_a4_and_few(pdf):
    facts = run("pdfinfo", pdf)
    assert "(A4)" in facts
    pages = int(next(line for line in facts.splitlines() if line.startswith("Pages")).split()[1])
    assert 3 <= pages <= 7


@pytest.mark.slow
@needs_poppler
def test_the_file_s_fields_do_not_hold_the_name_of_the_case(tmp_path):
    labels = circle_labels()
    case = circle_case(labels, name="Jane Doe")
    segmentation = circle_segmentation(case, labels)
    measurements = measure(case, segmentation)
    tiles = make_tiles(case, segmentation, measurements)
    write_pdf(make_content(case, segmentation, measurements, tiles), tmp_path / "a.pdf")
    assert "Doe" not in run("pdfinfo", tmp_path / "a.pdf")
    assert "Jane Doe" in run("pdftotext", tmp_path / "a.pdf", "-")


@pytest.mark.slow
def test_a_name_with_dollar_signs_is_not_read_as_a_formula(content, tmp_path):
    write_pdf(replace(content, title="$\\frac{1}$ {x} $"), tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_text_is_folded_so_that_every_line_fits_and_no_word_is_lost():
    text = "scar " * 60 + "x" * 200
    lines = wrapped(text, 120.0, 8.0)
    assert all(width_of(line, 8.0) <= 121.0 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_the_columns_of_a_table_fill_the_width_and_never_more():
    few = Table(("a", "b"), (("1", "2"),))
    many = Table(("a", "Note"), (("1", "word " * 80),), frozenset({1}))
    for table in (few, many):
        assert sum(column_widths(table)) == pytest.approx(INNER)
    # Words are folded; the number keeps its place.
    assert column_widths(many)[0] < 20
