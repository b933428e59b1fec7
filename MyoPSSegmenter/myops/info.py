"""What a case holds, before anything is computed from it: `myops info`."""

from __future__ import annotations

from typing import Any

import numpy as np

from myops.case import Case
from myops.errors import InputError
from myops.geometry.canonical import canonical_grid
from myops.geometry.grid import Geometry
from myops.registration import find_alignment

# Published misregistration of the LV center between sequences is 3.3 mm (PMC8285264): more than
# this is worth a look before scar and edema are compared.
SHIFT_HINT_MM = 4.0
TILT_HINT_DEGREES = 5.0
# Slices further apart than this share of their spacing see another part of the heart.
SLICE_OFFSET_HINT_SHARE = 0.25


def describe(case: Case) -> dict[str, Any]:
    """Describe a case's sequences, grids, overlap and alignment.

    Returns:
        JSON-ready: name, reference, spacing_known, grid (the canonical one), sequences (name to
        size_xyz, spacing_mm, orientation, slices, slice_spacing_mm, same_grid, covered_percent,
        tilt_degrees, slice_offset_mm, shift_mm (None without a known spacing), intensity), hints
        and warnings.
    """
    sequences = {name: _describe_sequence(case, name) for name in case.sequences}
    return {
        "name": case.name,
        "reference": case.reference,
        "spacing_known": case.spacing_known,
        "grid": _describe_grid(case.geometry),
        "sequences": sequences,
        "hints": _hints(case, sequences),
        "warnings": list(case.warnings),
    }


def as_text(description: dict[str, Any]) -> str:
    """The description as lines for a terminal."""
    lines = [f"{description['name']}: results on the grid of {description['reference']}"]
    for name, sequence in description["sequences"].items():
        lines.append(f"  {name}: {_grid_text(sequence)}")
        if name != description["reference"]:
            lines.append(f"    {_alignment_text(sequence, description)}")
        low, middle, high = sequence["intensity"]
        lines.append(f"    intensity {low:g} to {high:g}, median {middle:g}")
    lines.append("  spacing counts from slice center to slice center, gaps included")
    lines += [f"  Hint: {hint}" for hint in description["hints"]]
    lines += [f"  Warning: {warning}" for warning in description["warnings"]]
    return "\n".join(lines)


def _describe_grid(geometry: Geometry) -> dict[str, Any]:
    canonical = canonical_grid(geometry).canonical_geometry
    return {
        "size_xyz": list(geometry.size_xyz),
        "spacing_mm": [round(value, 4) for value in geometry.spacing_mm],
        "orientation": _orientation(geometry),
        "slices": canonical.size_xyz[2],
        "slice_spacing_mm": round(canonical.spacing_mm[2], 4),
    }


def _describe_sequence(case: Case, name: str) -> dict[str, Any]:
    grid, reference = case.own_grids[name], case.own_grids[case.reference]
    covered = case.covered[name]
    values = case.images[name][covered]
    return _describe_grid(grid) | {
        "same_grid": grid.is_same_grid(reference),
        "covered_percent": round(100 * np.count_nonzero(covered) / covered.size, 1),
        "tilt_degrees": round(_tilt_degrees(grid, reference), 2),
        "slice_offset_mm": round(_slice_offset_mm(grid, case.geometry), 2),
        "shift_mm": _shift_mm(case, name),
        "intensity": [float(values.min()), _median(values), float(values.max())],
    }


def _median(values: np.ndarray) -> float:
    """Median of a flat array. `np.median` imports masked arrays: a tenth of the command's time."""
    high = values.size // 2
    low = high - (values.size % 2 == 0)
    return float(np.partition(values, (low, high))[[low, high]].mean())


def _shift_mm(case: Case, name: str) -> list[float] | None:
    """Shift (x, y) of a sequence against the reference in mm, 0 where none is clearly better.

    None when the spacing is unknown, or when the two share too little to tell.
    """
    if not case.spacing_known:
        return None
    if name == case.reference:
        return [0.0, 0.0]
    try:
        translation = np.array(find_alignment(case, name).translation_mm)
    except InputError:
        return None
    # Adding 0 makes a 0 of what would be written as -0.
    return [round(float(-translation @ axis), 1) + 0.0 for axis in case.geometry.axes[:2]]


def _hints(case: Case, sequences: dict[str, dict[str, Any]]) -> list[str]:
    hints = []
    for name, found in sequences.items():
        if found["tilt_degrees"] > TILT_HINT_DEGREES:
            hints.append(
                f"{name}: slices tilted by {found['tilt_degrees']:.0f} degrees against "
                f"{case.reference}: both must be short-axis stacks"
            )
        if not case.spacing_known:
            continue
        if found["slice_offset_mm"] > SLICE_OFFSET_HINT_SHARE * case.geometry.spacing_mm[2]:
            hints.append(
                f"{name}: slices lie up to {found['slice_offset_mm']:.1f} mm from those of "
                f"{case.reference}: values between its slices are interpolated"
            )
        shift_mm = float(np.hypot(*(found["shift_mm"] or (0.0, 0.0))))
        if shift_mm > SHIFT_HINT_MM:
            hints.append(
                f"{name}: lies about {shift_mm:.0f} mm beside {case.reference}: "
                "the patient may have moved or breathed differently"
            )
    return hints


def _orientation(geometry: Geometry) -> str:
    """Three letters: towards which side of the patient (R/L, A/P, I/S) x, y and z run."""
    import SimpleITK as sitk

    return str(sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(geometry.direction))


def _normal(geometry: Geometry) -> np.ndarray:
    return canonical_grid(geometry).canonical_geometry.axes[2]


def _tilt_degrees(first: Geometry, second: Geometry) -> float:
    cosine = abs(float(_normal(first) @ _normal(second)))
    return float(np.degrees(np.arccos(min(1.0, cosine))))


def _slice_offset_mm(source: Geometry, target: Geometry) -> float:
    """Largest distance from a target slice to the nearest source slice, at the middle, in mm.

    Target slices beyond the source's ends are left out: they are reported as not covered.
    """
    own = canonical_grid(source).canonical_geometry
    width, height, depth = target.size_xyz
    middles = np.array([[(width - 1) / 2, (height - 1) / 2, k] for k in range(depth)])
    along = own.index_xyz(target.position_mm(middles))[:, 2]
    along = along[(along >= -0.5) & (along <= own.size_xyz[2] - 0.5)]
    nearest = np.clip(np.round(along), 0, own.size_xyz[2] - 1)
    return float(np.abs(along - nearest).max(initial=0.0)) * own.spacing_mm[2]


def _grid_text(found: dict[str, Any]) -> str:
    size = " x ".join(str(count) for count in found["size_xyz"])
    spacing = " x ".join(f"{value:g}" for value in found["spacing_mm"])
    return (
        f"{size} voxels of {spacing} mm, axes {found['orientation']}, {found['slices']} slices "
        f"every {found['slice_spacing_mm']:g} mm"
    )


def _alignment_text(found: dict[str, Any], description: dict[str, Any]) -> str:
    reference = description["reference"]
    grid = "same grid as" if found["same_grid"] else "resampled to"
    covers = f"{grid} {reference}; covers {found['covered_percent']:g} %, slices tilted "
    if not description["spacing_known"]:
        return f"{covers}{found['tilt_degrees']:.1f} degrees; no distances: spacing unknown"
    tilted = f"{covers}{found['tilt_degrees']:.1f} degrees and {found['slice_offset_mm']:.1f} mm "
    if found["shift_mm"] is None:
        return f"{tilted}apart at most, too little in common to tell a shift"
    return f"{tilted}apart at most, shifted about {np.hypot(*found['shift_mm']):.0f} mm in-plane"
