"""The conventional rules of the EMIDEC table in a few lines of numpy: nothing of ours is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk


def plain_dice(lge_path: Path, truth_path: Path) -> dict[str, float]:
    """Dice of each rule with infarct and no-reflow, inside the expert's myocardium.

    EMIDEC values: 2 normal myocardium, which is the remote region, 3 infarct, 4 no-reflow.
    """
    lge, truth = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(float)
        for path in (lge_path, truth_path)
    )
    truth = np.round(truth)
    wall, remote, scar = truth >= 2, lge[truth == 2], truth >= 3
    inside = lge[wall]
    masks = {
        "sd2_volume": lge > remote.mean() + 2 * remote.std(),
        "sd3_volume": lge > remote.mean() + 3 * remote.std(),
        "fwhm_half_of_maximum_volume": lge >= inside.max() / 2,
        "fwhm_between_minimum_and_maximum_volume": lge >= (inside.min() + inside.max()) / 2,
        "fwhm_remote_referenced_volume": lge > (remote.mean() + inside.max()) / 2,
        "fwhm_remote_referenced_slice": _per_slice(lge, wall, scar, remote.mean()),
        "otsu_volume": lge > _best_cut(inside),
    }
    return {name: _dice(mask & wall, scar) for name, mask in masks.items()}


def _per_slice(lge: np.ndarray, wall: np.ndarray, scar: np.ndarray, remote: float) -> np.ndarray:
    """Halfway between remote and each slice's own maximum, in the slices with scar."""
    mask = np.zeros(lge.shape, bool)
    for index in np.flatnonzero(scar.any(axis=(1, 2))):
        mask[index] = lge[index] > (remote + lge[index][wall[index]].max()) / 2
    return mask


def _best_cut(values: np.ndarray) -> float:
    """Otsu without bins: of all cuts, the one with the largest variance between both sides."""
    values = np.sort(values)
    below = np.arange(1, values.size)
    sums = np.cumsum(values)[:-1]
    apart = sums / below - (values.sum() - sums) / (values.size - below)
    score = np.where(np.diff(values) > 0, below * (values.size - below) * apart**2, 0)
    return float(values[np.argmax(score)])


def _dice(mask: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))
