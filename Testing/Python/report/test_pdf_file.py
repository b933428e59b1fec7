"""The PDF file itself, read back by poppler."""

from __future__ import annotations

import io
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from myops.report.pdf_file import PdfFile, read_png
from myops.report.raster import encoded_png

needs_poppler = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="pdftotext (poppler) is not installed"
)
PIXELS = np.random.default_rng(1).integers(0, 256, (30, 40, 3)).astype(np.uint8)


def run(*command) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, encoding="utf-8")
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def written(tmp_path, draw):
    file = PdfFile(200, 100)
    draw(file, file.new_sheet())
    path = tmp_path / "a.pdf"
    path.write_bytes(file.content({"Title": "T 1 (é)"}))
    return path


def rendered(path) -> np.ndarray:
    run("pdftoppm", "-r", "72", "-png", "-singlefile", path, path.with_suffix(""))
    return np.asarray(Image.open(path.with_suffix(".png")).convert("RGB"))


@needs_poppler
def test_a_picture_comes_back_pixel_by_pixel_and_is_stored_once(tmp_path):
    def draw(file, sheet):
        for x in (0, 50):
            sheet.picture(file.add_picture(encoded_png(PIXELS)), x, 20, 40, 30)
        flat = encoded_png(np.full((3, 4, 3), (255, 0, 0), np.uint8))
        sheet.picture(file.add_picture(flat), 100, 20, 40, 30)

    path = written(tmp_path, draw)
    assert path.read_bytes().count(b"/Subtype /Image") == 2
    run("pdfimages", "-png", path, tmp_path / "found")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "found-000.png")), PIXELS)
    # 20 points above the lower edge of a page of 100: rows 50 to 80.
    page = rendered(path)
    assert (page[51:79, 101:139] == (255, 0, 0)).all()
    assert (page[:49, 100:] == 255).all() and (page[81:, 100:] == 255).all()
    assert (page[:, 142:] == 255).all()


@needs_poppler
def test_boxes_lines_and_dashes_are_where_they_were_put(tmp_path):
    def draw(file, sheet):
        sheet.box(10, 60, 30, 20, "#ff0000")
        sheet.line(50, 30, 40, "#0000ff", "solid", 2)
        sheet.line(100, 30, 74, "#0000ff", "dashed", 2)
        sheet.line(10, 10, 74, "#0000ff", "none", 2)

    page = rendered(written(tmp_path, draw)).astype(int)
    assert (page[20:40, 10:40] == (255, 0, 0)).all()
    assert (page[69:71, 50:90] == (0, 0, 255)).all()
    # Strokes of 3.7 and gaps of 1.6 widths of 2 points.
    blue = (page[69:71, 100:174, 0] < 128).mean()
    assert blue == pytest.approx(3.7 / 5.3, abs=0.06)
    assert (page[85:] == 255).all()


@needs_poppler
def test_words_are_found_again_and_their_fonts_are_inside(tmp_path):
    words = "LV ≥ 16.1 g − École"

    def draw(file, sheet):
        file.words(sheet, words, 10, 50, 9, "#000000", bold=False)
        file.words(sheet, "Scar", 10, 70, 9, "#000000", bold=True)

    path = written(tmp_path, draw)
    assert words in run("pdftotext", path, "-")
    rows = run("pdffonts", path).splitlines()[2:]
    assert [row.split()[0] for row in rows] == ["MYOPSA+DejaVuSans", "MYOPSA+DejaVuSans-Bold"]
    # Embedded, a part of the font, and with a table of its letters.
    assert all(row.split()[-5:-2] == ["yes", "yes", "yes"] for row in rows)
    assert "T 1 (é)" in run("pdfinfo", path)
    # Two fonts with a dozen letters each: not the 757 and 705 kB of the whole files.
    assert path.stat().st_size < 40_000


@pytest.mark.parametrize("mode", ["RGBA", "P", "1", "I;16"])
def test_a_png_that_a_pdf_cannot_hold_is_refused(mode):
    buffer = io.BytesIO()
    Image.new(mode, (4, 3)).save(buffer, format="png")
    with pytest.raises(ValueError, match="expected a PNG of 8 bits in gray or RGB, found"):
        read_png(buffer.getvalue())


def test_what_is_not_a_png_is_refused():
    with pytest.raises(ValueError, match="expected a PNG, found b'GIF89a'"):
        read_png(b"GIF89a")


def test_a_gray_png_has_one_channel():
    buffer = io.BytesIO()
    Image.new("L", (4, 3)).save(buffer, format="png")
    data = read_png(buffer.getvalue())
    assert (data.width, data.height, data.channels) == (4, 3, 1)
