"""The font of the reports, held against FreeType and fontTools, which know every table."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from myops.errors import InputError
from myops.report.typeface import font_path, read_typeface, typeface

TEXTS = ("Scar 16.1 g", "LV AV To Ty", "≥ ± − ° É", "", "שלום")


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("bold", [False, True])
def test_words_are_as_wide_as_freetype_says_kerning_included(text, bold):
    font = FontProperties(fname=str(font_path(bold)), size=100)
    expected = text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]
    # FreeType rounds each letter to 1/64 of a point.
    assert 100 * typeface(bold).width(text) == pytest.approx(expected, abs=0.1)


def test_kerned_letters_stand_closer_than_their_own_widths():
    face = typeface()
    apart = face.width("A") + face.width("V")
    assert face.width("AV") < apart - 0.05


def test_a_letter_that_the_font_lacks_is_its_box():
    assert typeface().glyphs_of("山") == [0]


def test_a_part_of_the_font_has_the_same_outlines_and_no_others():
    face = typeface()
    # "É" is composed of "E" and an accent, which come with it.
    kept = face.glyphs_of("gÉ")
    part = TTFont(io.BytesIO(face.subset(kept)))["glyf"]
    whole = TTFont(font_path())["glyf"]
    names = TTFont(font_path()).getGlyphOrder()
    own_names = part.glyphOrder
    for glyph in kept:
        drawn = [table[order[glyph]].getCoordinates(table)[0] for table, order in
                 ((part, own_names), (whole, names))]  # fmt: skip
        assert len(drawn[0]) > 10
        assert np.array_equal(np.array(drawn[0]), np.array(drawn[1]))
    other = face.glyphs_of("x")[0]
    assert part[own_names[other]].numberOfContours == 0
    assert len(face.subset(kept)) < len(font_path().read_bytes()) / 5


@pytest.mark.parametrize("content", [None, b"", b"no font at all", b"\0\1\0\0\0\1" + bytes(60)])
def test_a_font_that_is_missing_or_broken_is_said_so(tmp_path: Path, content):
    path = tmp_path / "DejaVuSans.ttf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"expected the font.*DejaVuSans.*install matplotlib"):
        read_typeface(path)
