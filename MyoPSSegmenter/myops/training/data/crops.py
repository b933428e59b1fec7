"""From phantom patients to the networks' squares, with the errors that a cascade makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.cascade.network_inputs import crop_shown, heart_box, present_flags, tissue_box
from myops.errors import InputError
from myops.geometry.square import SquareBox, crop_stack

if TYPE_CHECKING:
    from myops.training.stages.stage import Patient

# The heart finder's square is off by about this much (share of the true side).
SCALE_MEAN, SCALE_SD, SCALE_LIMITS = 1.02, 0.11, (0.8, 1.3)
LARGEST_SHIFT = 0.07


def jittered_box(patient: Patient, rng: np.random.Generator) -> SquareBox:
    """The square around the patient's true LV, moved and scaled as the heart finder errs.

    Raises:
        InputError: the patient has no left ventricle to speak of.
    """
    truth = regions.lv_region(patient.labels).astype(np.float32)
    box = heart_box(truth, patient.spacing_mm)
    side_mm = box.side_mm * float(np.clip(rng.normal(SCALE_MEAN, SCALE_SD), *SCALE_LIMITS))
    moved_mm = rng.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, 2) * box.side_mm
    center = tuple(
        float(c + m / spacing)
        for c, m, spacing in zip(box.center_yx, moved_mm, box.spacing_yx_mm, strict=True)
    )
    return replace(box, center_yx=(center[0], center[1]), side_mm=side_mm)


def jittered_tissue_box(
    patient: Patient, rng: np.random.Generator, region: np.ndarray | None = None
) -> SquareBox:
    """The tight square of the PRSN, moved and scaled as the ASSN errs.

    Args:
        patient: gives the grid.
        rng: source of randomness.
        region: bool (z, y, x) to be tight around; the patient's true one if None.

    Raises:
        InputError: the region is empty, or too small to be a left ventricle.
    """
    inside = regions.lv_region(patient.labels) if region is None else region
    box = tissue_box(inside, patient.spacing_mm)
    side_mm = box.side_mm * float(np.clip(rng.normal(1.0, 0.05), 0.88, 1.2))
    moved = rng.normal(0, 0.02, 2) * box.side_mm / np.array(box.spacing_yx_mm)
    center = (float(box.center_yx[0] + moved[0]), float(box.center_yx[1] + moved[1]))
    return replace(box, center_yx=center, side_mm=side_mm)


def crop_patient(
    patient: Patient, box: SquareBox, size: int
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """What a network learns from, cut out as the cascade cuts it out.

    Returns:
        Raw crops of the present sequences and MyoPS labels, (z, size, size) each, and the sequences
        that show anything in each slice, float32 (z, 3); see `cropping.crop_shown`.
    """
    crops, present = crop_shown(patient.images, fields_of_view(patient), box, size)
    return crops, crop_stack(patient.labels, box, size), present


def fields_of_view(patient: Patient) -> Mapping[str, np.ndarray]:
    """Bool (z, y, x) of sequences that may cover less than the grid; phantoms have none."""
    found: Mapping[str, np.ndarray] = getattr(patient, "covered", {})
    return found


def present_rows(patient: Patient, count: int) -> np.ndarray:
    """float32 (count, 3): the patient's present sequences, the same row for every slice.

    For networks that see whole images whatever these cover: the heart finder, and the DAE.
    """
    return np.repeat(present_flags(patient.images)[None], count, axis=0)


def perturb_region(
    region: np.ndarray,
    rng: np.random.Generator,
    largest_px: float,
    bulges: float = 0.0,
    margin: int = 0,
) -> np.ndarray:
    """Make of the true LV region what the ASSN might find: grown or shrunk, wavy, soft.

    Args:
        region: bool (z, S, S), the true region.
        rng: source of randomness.
        largest_px: largest growth or shrinkage of the stack in pixels.
        bulges: chance that some neighboring slices take in a piece of what lies beside the
            ventricle, or lose one of its own.
        margin: pixels by which what ASSN might find is grown.

    Returns:
        float32 (z, S, S) in 0..1. Now and then the first or last slice is missed, or the region
        runs on one slice too far.
    """
    from scipy import ndimage

    found = _miss_or_overrun(region, rng)
    if rng.random() < bulges:
        found = _bulge(found, rng)
    offset_px = margin + np.clip(rng.normal(0, largest_px / 2.5), -largest_px, largest_px)
    softness_px = rng.uniform(0.15, 0.8)
    # With a margin the true border lies inside: it must be looked for, not taken from the region's.
    waves_px = 2.4 if margin else 1.2
    result = np.zeros(region.shape, np.float32)
    for k in np.flatnonzero(found.any(axis=(1, 2))):
        inside = found[k]
        distance = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
        coarse = rng.normal(0, rng.uniform(0, waves_px), (8, 8))
        wave = ndimage.zoom(coarse, inside.shape[0] / 8, order=3)
        edge = (distance + offset_px + rng.normal(0, 0.4) + wave) / softness_px
        result[k] = 1 / (1 + np.exp(-np.clip(edge, -30, 30)))
    result[result < 0.01] = 0
    return result


def _bulge(region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add (three of four) or take a disc at the border, in one to four neighboring slices.

    ASSN takes a piece of the right ventricle in where it is as bright as the scar before it.
    """
    found = region.copy()
    slices = np.flatnonzero(region.any(axis=(1, 2)))
    if not len(slices):
        return found
    first = int(rng.choice(slices))
    y, x = np.nonzero(region[first])
    # From the middle through a random angle to the border, and a little to either side of it.
    angle, row, column = rng.uniform(0, 2 * np.pi), y.mean(), x.mean()
    along = (y - row) * np.sin(angle) + (x - column) * np.cos(angle)
    reach, radius = along.max() + rng.uniform(-3, 3), rng.uniform(4, 14)
    row, column = row + reach * np.sin(angle), column + reach * np.cos(angle)
    rows, columns = np.ogrid[: region.shape[1], : region.shape[2]]
    disc = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
    adds = rng.random() < 0.75
    for k in range(first, min(first + int(rng.integers(1, 5)), len(region))):
        if region[k].any():
            found[k] = found[k] | disc if adds else found[k] & ~disc
    return found


def _miss_or_overrun(region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Drop the region's first or last slice, or repeat it on the next slice, each 15 %."""
    found = region.copy()
    slices = np.flatnonzero(region.any(axis=(1, 2)))
    if len(slices) < 3:
        return found
    for end, beyond in ((slices[0], slices[0] - 1), (slices[-1], slices[-1] + 1)):
        event = rng.random()
        if event < 0.15:
            found[end] = False
        elif event < 0.30 and 0 <= beyond < len(region):
            found[beyond] = region[end]
    return found


def refuse_untold(patient: object) -> None:
    """Refuse to teach tissue by labels that do not tell a disease which an image shows.

    Raises:
        InputError: scar or edema would be taught as normal muscle.
    """
    untold: frozenset[str] = getattr(patient, "untold", frozenset())
    if untold:
        raise InputError(
            f"{getattr(patient, 'name', 'patient')}: expected labels that tell "
            f"{' and '.join(sorted(untold))}, which its images show, found a data set that does "
            "not; leave its cases out of this training, or train the ASSN or PRSN with them"
        )
