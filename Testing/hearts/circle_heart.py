"""A heart made of circles, whose every number can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np
import SimpleITK as sitk

from myops.case import Case, case_from_images
from myops.segmentation import Segmentation

SPACING_MM = (1.5, 1.5, 10.0)
SIZE = 96
CENTER = 48
REMOTE_SIGNAL, SCAR_SIGNAL, BLOOD_SIGNAL = 100.0, 900.0, 700.0


def circle_labels(slices: int = 5) -> np.ndarray:
    """MyoPS labels (z, y, x): a ring, scar at 90-150 degrees, edema around it; none at the ends."""
    rows, columns = np.indices((SIZE, SIZE), dtype=float)
    radius = np.hypot(rows - CENTER, columns - CENTER)
    angle = np.degrees(np.arctan2(CENTER - rows, columns - CENTER)) % 360
    plane = np.zeros((SIZE, SIZE), np.uint16)
    plane[np.hypot(rows - CENTER, columns - 22) < 12] = 600
    plane[radius < 20] = 200
    wall = (radius >= 13) & (radius < 20)
    plane[wall & (angle >= 75) & (angle < 165)] = 1220
    plane[wall & (angle >= 90) & (angle < 150)] = 2221
    plane[radius < 13] = 500
    labels = np.repeat(plane[None], slices, 0)
    for index in (0, slices - 1):
        labels[index][np.isin(labels[index], (1220, 2221))] = 200
    return labels


def circle_lge(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """LGE signal by label: remote 100 and darkest at 300 degrees, scar 900, blood 700, air 5."""
    rows, columns = np.indices(labels.shape[1:], dtype=float)
    angle = np.arctan2(CENTER - rows, columns - CENTER)
    signal = np.full(labels.shape, 5.0)
    signal[labels == 500] = BLOOD_SIGNAL
    signal[labels == 600] = BLOOD_SIGNAL
    wall = np.isin(labels, (200, 1220))
    swing = np.broadcast_to(20 * np.cos(angle - np.radians(300)), labels.shape)
    signal[wall] = REMOTE_SIGNAL - swing[wall]
    signal[labels == 2221] = SCAR_SIGNAL
    noise = np.random.default_rng(seed).uniform(-1, 1, labels.shape)
    return (signal + noise).astype(np.float32)


def sitk_image(array: np.ndarray, spacing_mm: tuple[float, ...] = SPACING_MM) -> sitk.Image:
    """An image with its own position in the patient."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing_mm)
    image.SetOrigin((-60.0, -70.0, 20.0))
    return image


def circle_case(
    labels: np.ndarray | None = None,
    sequences: tuple[str, ...] = ("bssfp", "lge", "t2"),
    name: str = "circle heart",
    changed: Mapping[str, np.ndarray] | None = None,
) -> Case:
    """A case of the circle heart with some of its sequences; `changed` replaces image arrays."""
    labels = circle_labels() if labels is None else labels
    lge = circle_lge(labels)
    arrays = {
        "lge": lge,
        "bssfp": circle_lge(labels, 1)[:] * (labels != 2221) + 300 * (labels > 0),
        "t2": 150 + 200 * np.isin(labels, (1220, 2221)) + circle_lge(labels, 2) / 9,
    }
    arrays.update(changed or {})
    images = {key: sitk_image(arrays[key].astype(np.float32)) for key in sequences}
    return case_from_images(images, name)


def spacing_unknown(case: Case) -> Case:
    """The same case as if its header held no spacing."""
    names = {one.name for one in fields(case)}
    told = {"spacing_reason": "the header holds no spacing"}
    return replace(case, **(told if "spacing_reason" in names else {"spacing_known": False}))


def circle_segmentation(
    case: Case, labels: np.ndarray | None = None, warnings: tuple[str, ...] = ()
) -> Segmentation:
    """The circle heart's own labels as a segmentation."""
    labels = circle_labels() if labels is None else labels
    assessed = {"lge": "scar", "t2": "edema"}
    found = {
        "lv_region": np.isin(labels, (200, 500, 1220, 2221)),
        "blood_pool": labels == 500,
        "normal_myocardium": labels == 200,
        "edema": labels == 1220,
        "scar": labels == 2221,
        "right_ventricle": labels == 600,
    }
    rim = found["scar"] ^ np.roll(found["scar"], 2, axis=2)
    return Segmentation(
        labels=labels,
        geometry=case.geometry,
        probabilities={key: mask.astype(np.float32) for key, mask in found.items()},
        uncertainty=rim.astype(np.float32) * 0.5,
        assessed=frozenset(v for k, v in assessed.items() if k in case.images),
        model={"heartfinder": "0" * 64, "prsn": "f" * 64},
        seconds={"heart": 0.1, "prsn": 0.4},
        warnings=warnings,
    )
