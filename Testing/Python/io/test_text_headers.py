"""NRRD and MetaImage: units, and spacings that nobody stated. Right values are counted by hand."""

from __future__ import annotations

import numpy as np
import odd_heart
import pytest
from odd_heart import WALL_G, metaimage, nrrd

from myops.case import load_case
from myops.errors import InputError
from myops.io.geometry_notes import geometry_notes
from myops.io.images import read_image
from myops.quantify.label_map import measure_label_map

LABELS, LGE = odd_heart.labels(), odd_heart.lge()


def wall_g(write, folder, suffix, fields):
    """LV mass and warnings of the heart in files with these fields."""
    image = write(folder / f"DE{suffix}", LGE, fields)
    drawn = write(folder / f"gd{suffix}", LABELS, fields)
    found = measure_label_map(load_case(lge=image), drawn)
    return found.tissues["lv_myocardium"].mass_g, found.warnings


def space(factor: float, units: str) -> str:
    x, z = 1.5 * factor, 10 * factor
    origin = f"({-70 * factor},{-60 * factor},{-40 * factor})"
    return (
        f"space: left-posterior-superior\nspace directions: ({x},0,0) (0,{x},0) (0,0,{z})\n"
        f"space origin: {origin}\nspace units: {units}"
    )


@pytest.mark.parametrize(
    ("factor", "units"),
    [
        (1, '"mm" "mm" "mm"'),
        (1, '"" "" ""'),
        (1000, '"um" "um" "um"'),
        (1000, '"µm" "µm" "µm"'),
        (1000, '"microns" "microns" "microns"'),
        (0.1, '"cm" "cm" "cm"'),
        (0.001, '"m" "m" "m"'),
        (0.001, '"meters" "meters" "meters"'),
        (1 / 25.4, '"inch" "inch" "inch"'),
    ],
)
def test_units_of_the_space_of_a_nrrd_count(tmp_path, factor, units):
    mass, warnings = wall_g(nrrd, tmp_path, ".nrrd", space(factor, units))
    assert mass == pytest.approx(WALL_G, rel=1e-4)
    assert warnings == ()


def test_a_unit_of_one_axis_of_the_space_scales_that_axis(tmp_path):
    """Slices in centimeters: 1 cm is 10 mm."""
    fields = (
        "space: left-posterior-superior\nspace directions: (1.5,0,0) (0,1.5,0) (0,0,1)\n"
        'space origin: (-70,-60,-4)\nspace units: "mm" "mm" "cm"'
    )
    mass, _ = wall_g(nrrd, tmp_path, ".nrrd", fields)
    assert mass == pytest.approx(WALL_G, rel=1e-5)
    image = read_image(tmp_path / "DE.nrrd")
    assert image.GetOrigin() == pytest.approx((-70, -60, -40))


def test_units_of_the_axes_of_a_nrrd_without_a_space_count(tmp_path):
    fields = 'spacings: 0.15 0.15 1\nunits: "cm" "cm" "cm"'
    assert wall_g(nrrd, tmp_path, ".nrrd", fields)[0] == pytest.approx(WALL_G, rel=1e-5)


def test_an_unknown_unit_is_refused_by_its_name(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", LGE, space(1, '"mm" "furlong" "mm"'))
    with pytest.raises(InputError, match="unit of length such as mm, found 'furlong'"):
        read_image(path)


@pytest.mark.parametrize(
    "fields",
    [
        "kinds: domain domain domain",
        "space: left-posterior-superior\nspace origin: (-70,-60,-40)",
        "spacings: nan nan nan",
        "spacings: 1.5 1.5 nan",
    ],
)
def test_a_nrrd_without_spacing_gives_no_grams(tmp_path, fields):
    mass, warnings = wall_g(nrrd, tmp_path, ".nrrd", fields)
    assert mass is None
    assert any("header holds no spacing" in text for text in warnings)


@pytest.mark.parametrize(
    "fields",
    [
        "Offset = -70 -60 -40",
        "Offset = -70 -60 -40\nElementSpacing = 1 1 1",
        "Offset = 0 0 0",
    ],
)
def test_a_metaimage_without_spacing_gives_no_grams(tmp_path, fields):
    mass, warnings = wall_g(metaimage, tmp_path, ".mha", fields)
    assert mass is None
    assert any("header holds no spacing" in text for text in warnings)


@pytest.mark.parametrize(
    ("unit", "factor"), [("mm", 1), ("cm", 0.1), ("um", 1000), ("?", 1), ("m", 0.001)]
)
def test_distance_units_of_a_metaimage_count(tmp_path, unit, factor):
    fields = f"ElementSpacing = {1.5 * factor} {1.5 * factor} {10 * factor}\nDistanceUnits = {unit}"
    mass, _ = wall_g(metaimage, tmp_path, ".mha", fields)
    assert mass == pytest.approx(WALL_G, rel=1e-4)


def test_the_size_of_a_voxel_stands_in_for_its_spacing_with_a_word(tmp_path):
    """MetaImage: ElementSize is what a voxel covers; ElementSpacing is the distance."""
    mass, warnings = wall_g(metaimage, tmp_path, ".mha", "ElementSize = 1.5 1.5 10")
    assert mass == pytest.approx(WALL_G, rel=1e-5)
    assert any("ElementSize" in text for text in warnings)
    both = "ElementSize = 1.5 1.5 8\nElementSpacing = 1.5 1.5 10"
    mass, warnings = wall_g(metaimage, tmp_path, ".mha", both)
    assert mass == pytest.approx(WALL_G, rel=1e-5) and warnings == ()


def test_a_sheared_metaimage_is_refused(tmp_path):
    fields = "ElementSpacing = 1.5 1.5 10\nTransformMatrix = 1 0 0 0.3 1 0 0 0 1"
    with pytest.raises(InputError, match="right angles, found a sheared direction matrix"):
        read_image(metaimage(tmp_path / "a.mha", LGE, fields))


def test_a_true_1_mm_nrrd_keeps_its_grams(tmp_path):
    fields = "space: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n"
    path = nrrd(tmp_path / "a.nrrd", np.repeat(LGE, 10, 0), f"{fields}space origin: (9,9,9)")
    assert geometry_notes(read_image(path)).unknown == ""


def test_a_doubt_travels_with_a_copy_in_nrrd(tmp_path):
    """What the panel saves of a DICOM series without spacing is not believed later either."""
    import SimpleITK as sitk

    image = read_image(metaimage(tmp_path / "a.mha", LGE, "Offset = -70 -60 -40"))
    sitk.WriteImage(image, str(tmp_path / "copy.nrrd"))
    assert "no spacing" in geometry_notes(read_image(tmp_path / "copy.nrrd")).unknown
