"""Volumes of bodies with known volume, on stacks as scanners make them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from circle_heart import circle_labels, circle_lge
from oblique import OBLIQUE

from myops.case import Case, case_from_images
from myops.geometry.canonical import to_canonical
from myops.quantify.measure import Measurements, measure
from myops.segmentation import Segmentation

PIXEL_MM = 1.4


def measured(labels: np.ndarray, image: sitk.Image) -> Measurements:
    """Masses of labels on an image's grid, through the case as in every command."""
    case = case_from_images({"lge": image})
    return measure(case, drawn(case, to_canonical(labels, case.original)))


def drawn(case: Case, labels: np.ndarray) -> Segmentation:
    zeros = np.zeros(labels.shape, np.float32)
    return Segmentation(labels, case.geometry, {}, zeros, frozenset({"scar"}), {}, {})


def stack(
    labels: np.ndarray, step_mm: float, direction: tuple[float, ...] | None = None
) -> sitk.Image:
    """An LGE of noise on the grid of `labels`, its slices `step_mm` apart."""
    noise = np.random.default_rng(0).normal(300, 80, labels.shape).astype(np.float32)
    image = sitk.GetImageFromArray(noise)
    image.SetSpacing((PIXEL_MM, PIXEL_MM, step_mm))
    image.SetOrigin((-30.0, 12.0, 55.0))
    if direction is not None:
        image.SetDirection(direction)
    return image


def cylinder(slices: int, radius_mm: float = 30.0, inner_mm: float = 20.0) -> np.ndarray:
    """A ring of muscle with scar over a quarter of it, the same in every slice."""
    rows, columns = (np.indices((64, 64)) - 31.5) * PIXEL_MM
    radius = np.hypot(rows, columns)
    wall = (radius >= inner_mm) & (radius < radius_mm)
    plane = np.where(wall, 200, np.where(radius < inner_mm, 500, 0)).astype(np.uint16)
    plane[wall & (rows < 0) & (columns > 0)] = 2221
    return np.repeat(plane[None], slices, 0)


@pytest.mark.parametrize(
    ("step_mm", "kind"), [(8.0, "no gap"), (10.0, "2 mm gap"), (4.0, "4 mm overlap")]
)
def test_slices_of_8_mm_count_with_the_distance_between_their_centers(step_mm, kind):
    labels = cylinder(6)
    found = measured(labels, stack(labels, step_mm))
    ring_ml = np.pi * (30**2 - 20**2) * 6 * step_mm / 1000
    assert found.tissues["lv_myocardium"].volume_ml == pytest.approx(ring_ml, rel=0.02), kind
    assert found.tissues["scar"].volume_ml == pytest.approx(ring_ml / 4, rel=0.02), kind


def test_an_oblique_stack_has_the_volume_of_a_straight_one():
    labels = cylinder(6)
    straight, oblique = (
        measured(labels, stack(labels, 10.0, direction)) for direction in (None, OBLIQUE)
    )
    for name, mass in straight.tissues.items():
        assert oblique.tissues[name].volume_ml == pytest.approx(mass.volume_ml), name


def test_a_stack_in_reverse_order_has_the_same_masses_slice_by_slice():
    labels = cylinder(6)
    labels[0][labels[0] == 2221] = 200
    image = stack(labels, 10.0, OBLIQUE)
    forward = measured(labels, image)
    reverse = measured(labels[::-1], sitk.Flip(image, (False, False, True)))
    assert forward.tissues == reverse.tissues
    assert [one.tissues for one in forward.slices] == [one.tissues for one in reverse.slices]


def test_a_sphere_of_muscle_at_fine_sampling_has_its_volume_within_1_percent():
    z, y, x = (np.indices((60, 80, 80)) + 0.5) * np.array([1.0, 0.7, 0.7])[:, None, None, None]
    radius = np.sqrt((z - 30) ** 2 + (y - 28) ** 2 + (x - 28) ** 2)
    shell = np.where(radius < 16, 500, np.where(radius < 25, 200, 0)).astype(np.uint16)
    image = sitk.GetImageFromArray(np.random.default_rng(1).normal(300, 80, shell.shape))
    image.SetSpacing((0.7, 0.7, 1.0))
    image.SetDirection(OBLIQUE)
    found = measured(shell, image).tissues
    assert found["lv_myocardium"].volume_ml == pytest.approx(
        4 / 3 * np.pi * (25**3 - 16**3) / 1000, rel=0.01
    )
    assert found["blood_pool"].volume_ml == pytest.approx(4 / 3 * np.pi * 16**3 / 1000, rel=0.01)


def test_a_dicom_series_with_a_missing_slice_is_reported(tmp_path):
    image = read_series(tmp_path, [0, 10, 20, 40, 50])
    (warning,) = case_from_images({"lge": image}).warnings
    assert warning.startswith("lge: the slices are not evenly spaced")
    even = read_series(tmp_path / "even", [0, 10, 20, 30, 40])
    assert case_from_images({"lge": even}).warnings == ()


def test_an_empty_slice_in_the_middle_of_the_stack_is_reported():
    labels = circle_labels()
    lge = circle_lge(labels)
    lge[2] = 0
    image = sitk.GetImageFromArray(lge)
    image.SetSpacing((1.5, 1.5, 10.0))
    image.SetOrigin((1.0, 2.0, 3.0))
    (warning,) = case_from_images({"lge": image}).warnings
    assert "no signal in slice 3 between slices with signal" in warning


def test_a_slice_without_lv_between_slices_with_lv_is_reported():
    labels = cylinder(6)
    labels[2] = 0
    assert any(
        warning.startswith("Slice 3: no LV although") or warning.startswith("Slice 4: no LV")
        for warning in measured(labels, stack(labels, 10.0)).warnings
    )
    ends = cylinder(6)
    ends[0] = ends[5] = 0
    assert not any("no LV" in warning for warning in measured(ends, stack(ends, 10.0)).warnings)


def read_series(folder: Path, positions_mm: list[float]) -> sitk.Image:
    """Write slices as DICOM files at the positions and read them as one series."""
    folder.mkdir(exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    names = []
    for number, z_mm in enumerate(positions_mm):
        pixels = np.random.default_rng(number).integers(0, 900, (24, 24)).astype(np.int16)
        plane = sitk.GetImageFromArray(pixels)
        plane.SetSpacing((1.5, 1.5))
        tags = {
            "0008|0060": "MR",
            "0008|0018": f"1.2.3.4.{number}",
            "0020|000e": "1.2.3.4",
            "0020|0013": str(number),
            "0020|0032": f"5\\6\\{z_mm}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0018|0050": "8",
        }
        for tag, value in tags.items():
            plane.SetMetaData(tag, value)
        names.append(str(folder / f"{number}.dcm"))
        writer.SetFileName(names[-1])
        writer.Execute(plane)
    return sitk.ReadImage(names)
