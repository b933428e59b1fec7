import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from fresh_python import run_python
from oblique import OBLIQUE
from scipy.ndimage import gaussian_filter

from myops.case import case_from_images, load_case_folder
from myops.info import _median, as_text, describe


def heart(shift_px: tuple[int, int] = (0, 0), bright: bool = True) -> np.ndarray:
    """A ring around a disc on a smooth background; contrast can be turned round."""
    y, x = np.mgrid[-32:32, -32:32].astype(np.float32)
    radius = np.hypot(y - shift_px[1], x - shift_px[0])
    values = np.where(radius < 8, 300.0, np.where(radius < 12, 100.0, 180.0))
    values = values if bright else 400.0 - values
    return np.repeat(gaussian_filter(values, 0.7)[None], 5, axis=0).astype(np.float32)


def test_a_case_is_described_as_json(patient_folder) -> None:
    described = describe(load_case_folder(patient_folder))
    assert json.loads(json.dumps(described)) == described
    assert described["reference"] == "lge"
    assert described["hints"] == []
    t2 = described["sequences"]["t2"]
    assert t2["size_xyz"] == [20, 24, 6]
    assert t2["slices"] == 6
    assert t2["slice_spacing_mm"] == 10.0
    assert t2["same_grid"]
    assert t2["covered_percent"] == 100.0
    assert t2["slice_offset_mm"] == 0.0
    assert t2["tilt_degrees"] == 0.0


def test_the_text_names_every_sequence_and_warning(make_image, texture) -> None:
    lge = make_image(texture(), direction=OBLIQUE)
    t2 = make_image(texture((3, 24, 20)), direction=OBLIQUE)
    text = as_text(describe(case_from_images({"lge": lge, "t2": t2}, "patient 7")))
    assert "patient 7: results on the grid of lge" in text
    assert "lge: 20 x 24 x 6 voxels of 1.5 x 1.5 x 10 mm" in text
    assert "t2: 20 x 24 x 3 voxels" in text
    assert "resampled to lge; covers 50 %" in text
    assert "Warning: t2: covers 50% of the lge grid, 3 of 6 slices not at all" in text


def test_the_slices_of_a_stack_stored_sideways_are_counted(make_image, texture) -> None:
    image = make_image(texture((20, 24, 6)), (10.0, 1.5, 1.5))
    described = describe(case_from_images({"lge": image}))
    assert described["sequences"]["lge"]["slices"] == 6
    assert described["sequences"]["lge"]["orientation"] == "LPS"
    assert described["grid"]["size_xyz"] == [24, 20, 6]


def test_a_shifted_sequence_gives_a_hint(make_image) -> None:
    images = {"lge": make_image(heart()), "t2": make_image(heart((5, 0), bright=False))}
    described = describe(case_from_images(images))
    assert described["sequences"]["t2"]["shift_mm"] == pytest.approx([7.5, 0.0], abs=0.3)
    assert any("t2: lies about 8 mm beside lge" in hint for hint in described["hints"])


def test_slices_between_those_of_the_reference_give_a_hint(make_image) -> None:
    images = {
        "lge": make_image(heart(), origin=(0.0, 0.0, 0.0)),
        "t2": make_image(heart() + 1, origin=(0.0, 0.0, 4.0)),
    }
    described = describe(case_from_images(images))
    assert described["sequences"]["t2"]["slice_offset_mm"] == pytest.approx(4.0)
    assert any("up to 4.0 mm from those of lge" in hint for hint in described["hints"])


def test_a_tilted_stack_gives_a_hint(make_image) -> None:
    angle = np.radians(12.0)
    tilted = (1.0, 0.0, 0.0, 0.0, np.cos(angle), -np.sin(angle), 0.0, np.sin(angle), np.cos(angle))
    images = {"lge": make_image(heart()), "t2": make_image(heart(), direction=tilted)}
    described = describe(case_from_images(images))
    assert described["sequences"]["t2"]["tilt_degrees"] == pytest.approx(12.0, abs=0.01)
    assert any("tilted by 12 degrees" in hint for hint in described["hints"])


def test_without_a_spacing_no_distance_in_mm_is_told(make_image) -> None:
    one_mm = {"spacing": (1.0, 1.0, 1.0), "origin": (0.0, 0.0, 0.0)}
    images = {
        "lge": make_image(heart(), **one_mm),
        "t2": make_image(heart((5, 0), bright=False), **one_mm),
    }
    described = describe(case_from_images(images))
    assert described["sequences"]["t2"]["shift_mm"] is None
    assert described["hints"] == []
    assert "no distances: spacing unknown" in as_text(described)


# nibabel's front door loads readers of surfaces and DICOM.
HEAVY = {"torch", "matplotlib", "nibabel", "pydicom", "jinja2"}


def loaded_by_info(folder: Path) -> set[str]:
    """Modules that are there after `myops info`."""
    said = run_python(
        "from myops.cli import cli\n"
        f"cli(['info', {str(folder)!r}], standalone_mode=False)\n"
        "print('LOADED', *sys.modules)"
    )
    return set(said.split("LOADED")[1].split())


def test_info_loads_nothing_that_it_does_not_need(patient_folder) -> None:
    assert not HEAVY & loaded_by_info(patient_folder)


def test_scipy_and_masked_arrays_are_loaded_only_where_a_shift_is_sought(
    patient_folder, tmp_path
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(patient_folder / "myops_007_DE.nii.gz", alone)
    assert not (HEAVY | {"scipy.ndimage", "numpy.ma"}) & loaded_by_info(alone)


@pytest.mark.parametrize("values", [[7], [9, 1], [5, 1, 3], [4, 1, 3, 2], [2, 2, 8, 8, 0]])
def test_the_median_is_that_of_numpy(values) -> None:
    assert _median(np.array(values, np.float32)) == np.median(np.array(values, np.float32))
