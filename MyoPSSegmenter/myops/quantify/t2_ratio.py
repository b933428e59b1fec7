"""Signal of T2-weighted images relative to remote myocardium, and to skeletal muscle where told.

T2-weighted signal has no unit, so edema is read as a ratio: to remote myocardium, or to skeletal
muscle in the same image (a ratio of the myocardium of about 2 and more speaks for edema: Friedrich
et al., J Am Coll Cardiol 2009;53:1475). The ratio inherits the coil's sensitivity: muscle that lies
nearer to the coil is brighter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.coverage import shown
from myops.errors import InputError
from myops.quantify.regional.segments import SEGMENT_NAMES
from myops.quantify.thresholds.methods import remote_region

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.regional.orientation import Landmark
    from myops.quantify.thresholds.remote import RemoteRegion

# Of the disc around a click into skeletal muscle.
MUSCLE_RADIUS_MM = 5.0
NO_T2 = "not assessed: there is no T2 image"
NO_REMOTE = "no remote myocardium that T2 shows"
NO_EDEMA = "no edema was found"
NO_CLICK = "no place in skeletal muscle was given"


@dataclass(frozen=True)
class T2Ratio:
    """T2 signals and their ratios. Missing numbers are None; `reasons` says why.

    Attributes:
        remote_mean: mean T2 signal of remote myocardium.
        edema_mean: of labeled edema outside the scar.
        myocardium_mean: of the whole LV myocardium that T2 shows.
        muscle_mean: of skeletal muscle around the reader's click.
        edema_to_remote, edema_to_muscle, myocardium_to_muscle: ratios of these means.
        segments: AHA segment to the mean of its wall relative to remote; empty without segments.
        reasons: name of a number above to why it is missing.
    """

    remote_mean: float | None
    edema_mean: float | None
    myocardium_mean: float | None
    muscle_mean: float | None
    edema_to_remote: float | None
    edema_to_muscle: float | None
    myocardium_to_muscle: float | None
    segments: Mapping[int, float | None]
    reasons: Mapping[str, str] = field(default_factory=dict)


def t2_ratio(
    case: Case,
    labels: np.ndarray,
    remote: RemoteRegion | None,
    segment_labels: np.ndarray | None = None,
    muscle: Landmark | None = None,
) -> T2Ratio | None:
    """Measure T2 signals; None without a T2 image.

    Args:
        case: the images.
        labels: uint16 (z, y, x), MyoPS values.
        remote: remote region of the LGE; found on T2 if None.
        segment_labels: uint8 (z, y, x), 1..17; None without segments.
        muscle: a place in skeletal muscle that the reader gave.

    Raises:
        InputError: a place in skeletal muscle outside the image, or inside the heart.
    """
    if "t2" not in case.images:
        return None
    image, seen = case.images["t2"], shown(case, "t2")
    if remote is None:
        remote = remote_region(image, labels, case.geometry.spacing_mm)
    wall = regions.myocardium(labels)
    means = {
        "remote_mean": _mean(image, seen & remote.mask) if remote is not None else None,
        "edema_mean": _mean(image, seen & regions.edema(labels)),
        "myocardium_mean": _mean(image, seen & wall),
        "muscle_mean": None if muscle is None else _muscle_mean(case, labels, seen, muscle),
    }
    ratios = {
        "edema_to_remote": _ratio(means["edema_mean"], means["remote_mean"]),
        "edema_to_muscle": _ratio(means["edema_mean"], means["muscle_mean"]),
        "myocardium_to_muscle": _ratio(means["myocardium_mean"], means["muscle_mean"]),
    }
    segments = _segments(image, seen & wall, segment_labels, means["remote_mean"])
    return T2Ratio(**means, **ratios, segments=segments, reasons=_reasons(means, ratios))


def _mean(image: np.ndarray, where: np.ndarray) -> float | None:
    return float(image[where].mean(dtype=np.float64)) if where.any() else None


def _ratio(signal: float | None, reference: float | None) -> float | None:
    """None where either is missing, or the reference is no signal that others can be a share of."""
    return signal / reference if signal is not None and reference and reference > 0 else None


def _segments(
    image: np.ndarray, there: np.ndarray, labels: np.ndarray | None, remote: float | None
) -> dict[int, float | None]:
    if labels is None:
        return {}
    return {
        number: _ratio(_mean(image, there & (labels == number)), remote) for number in SEGMENT_NAMES
    }


def _reasons(
    means: Mapping[str, float | None], ratios: Mapping[str, float | None]
) -> dict[str, str]:
    """Why numbers are missing: what they are made of is."""
    words = {
        "remote_mean": NO_REMOTE,
        "edema_mean": NO_EDEMA,
        "myocardium_mean": "no myocardium that T2 shows",
        "muscle_mean": NO_CLICK,
    }
    found = {name: words[name] for name, value in means.items() if value is None}
    for name, value in ratios.items():
        if value is None:
            parts = [f"{part}_mean" for part in name.split("_to_")]
            lacking = [found[part] for part in parts if part in found]
            found[name] = lacking[0] if lacking else "the reference has no signal above zero"
    return found


def _muscle_mean(case: Case, labels: np.ndarray, seen: np.ndarray, place: Landmark) -> float | None:
    """Mean of a disc around the reader's click, in its slice.

    Raises:
        InputError: the click lies outside the image, where T2 shows nothing, or in the heart.
    """
    z, y, x = labels.shape
    at = (place.slice_index, place.row, place.column)
    if not all(-0.5 <= where <= size - 0.5 for where, size in zip(at, (z, y, x))):
        raise InputError(
            f"expected a place in skeletal muscle in an image of {labels.shape} (slice, row, "
            f"column), found {at}: click inside the image"
        )
    rows, columns = np.indices((y, x), dtype=float)
    across_mm, down_mm = case.geometry.spacing_mm[:2]
    distance = np.hypot((rows - place.row) * down_mm, (columns - place.column) * across_mm)
    disc = np.zeros(labels.shape, bool)
    disc[place.slice_index] = distance <= MUSCLE_RADIUS_MM
    if (disc & (labels > 0)).any():
        raise InputError(
            "expected a place in skeletal muscle, found one whose disc of "
            f"{MUSCLE_RADIUS_MM:g} mm meets the heart: click further away"
        )
    if not (disc & seen).any():
        raise InputError(
            f"expected a place in skeletal muscle that T2 shows, found slice "
            f"{place.slice_index + 1} without T2 there: click elsewhere"
        )
    return _mean(case.images["t2"], disc & seen)
