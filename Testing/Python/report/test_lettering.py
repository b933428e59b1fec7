"""Words in pictures: drawn as they are written, whatever a name holds, and never too wide."""

from __future__ import annotations

import ast
import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from circle_report import WHEN
from circle_report import parts as report_parts
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from myops.report.compose import make_content
from myops.report.figures import overview
from myops.report.lettering import drawable, fitted, plain_figure, shortened, width_of
from myops.report.pdf import write_pdf

LIBRARY = Path(__file__).parents[3] / "MyoPSSegmenter" / "myops"


def drawn(write) -> tuple[Figure, np.ndarray]:
    figure = plain_figure(figsize=(4, 2))
    FigureCanvasAgg(figure)
    write(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return figure, imread(io.BytesIO(buffer.getvalue()), format="png")


def on_ticks(name):
    def write(figure):
        axes = figure.subplots()
        axes.set_yticks([0, 1], [name, "other"])

    return write


def in_legend(name):
    def write(figure):
        axes = figure.subplots()
        axes.plot([0, 1], label=name)
        axes.legend()

    return write


PLACES = {
    "text": lambda name: lambda figure: figure.text(0.1, 0.5, name),
    "title": lambda name: lambda figure: figure.subplots().set_title(name),
    "axis": lambda name: lambda figure: figure.subplots().set_xlabel(name),
    "super title": lambda name: lambda figure: figure.suptitle(name),
    "note": lambda name: lambda figure: figure.subplots().annotate(name, (0.5, 0.5)),
    "ticks": on_ticks,
    "legend": in_legend,
}


@pytest.mark.parametrize("place", PLACES)
def test_dollars_are_drawn_as_dollars_wherever_they_stand(place):
    # As TeX this is an error.
    figure, _ = drawn(PLACES[place]("P $5_{ 2 $"))
    texts = figure.findobj(Text)
    assert "P $5_{ 2 $" in [text.get_text() for text in texts]
    assert not any(text.get_parse_math() for text in texts)


def test_two_dollars_are_as_wide_as_they_are():
    """As TeX "P$1$" would be an italic 1 without its dollars."""
    _, one = drawn(PLACES["text"]("P$1$"))
    _, other = drawn(PLACES["text"]("P1"))
    columns = [np.flatnonzero((picture[..., :3] < 1).any(axis=(0, 2))) for picture in (one, other)]
    assert np.ptp(columns[0]) > 1.8 * np.ptp(columns[1])
    assert width_of("P$1$", 10.0) > 1.8 * width_of("P1", 10.0)


def test_a_letter_without_a_glyph_is_a_box():
    assert drawable("山 a\x1b\n") == "□ a□\n"
    assert drawable("Müller − ≥ שלום") == "Müller − ≥ שלום"


def test_a_long_name_keeps_its_beginning_and_end():
    assert shortened("short", 5) == "short"
    assert shortened("abcdefghijkl", 7) == "abcd…kl"
    assert len(shortened("x" * 99, 32)) == 32


@pytest.mark.parametrize("name", ["word " * 300, "W" * 3000, "山" * 300, "a\nb" * 200])
@pytest.mark.parametrize("width", [40.0, 400.0])
def test_a_line_is_cut_to_its_width_and_no_more_than_needed(name, width):
    line = fitted(name, width, 9.0)
    assert "\n" not in line
    assert width - 15 < width_of(line, 9.0) <= width
    assert fitted("short", 100.0, 9.0) == "short"


NAMES = ("P $5_{ 2 $", "a\r\nb\x00\x1b", "山田 太郎", "W" * 3000, "long name " * 300, "\u202eevil")


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [*NAMES, os.fsdecode(b"M\xfcller")])
def test_no_name_breaks_overview_and_pdf(tmp_path, name):
    case, *others = report_parts(slices=3)
    content = make_content(replace(case, name=name), *others, None, WHEN)
    assert len(content.title) <= 120
    usual = imread(io.BytesIO(overview(others[-1], "P1")), format="png")
    picture = imread(io.BytesIO(overview(others[-1], content.title)), format="png")
    assert picture.shape == usual.shape
    # Below the title nothing is another.
    assert np.array_equal(picture[40:], usual[40:])
    # The title ends before the right edge.
    assert (picture[:40, -3:] == picture[0, -1]).all()
    write_pdf(content, tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").stat().st_size > 1000


def makes_figures(source: Path) -> bool:
    """Whether a file imports matplotlib's own Figure or pyplot to use it, not only as a type."""
    tree = ast.parse(source.read_text("utf-8"))
    typed = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    return any(
        isinstance(node, ast.ImportFrom | ast.Import)
        and node not in typed
        and ("matplotlib.figure" in ast.unparse(node) or "pyplot" in ast.unparse(node))
        for node in ast.walk(tree)
    )


@pytest.mark.slow
def test_every_figure_of_the_library_is_made_in_one_place():
    assert [path.name for path in LIBRARY.rglob("*.py") if makes_figures(path)] == ["lettering.py"]
