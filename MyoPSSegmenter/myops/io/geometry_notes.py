"""What a reader found out about an image's geometry beside the numbers: doubts that travel with it.

SimpleITK keeps texts with an image; ITK's NRRD writer stores them in the file too. So a doubt that
a reader had is still known when a case is made of the image, or when its copy is read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import SimpleITK as sitk
    from numpy.typing import ArrayLike

# Two statements of a length that differ by less are one statement, written by two programs.
SAME_LENGTH_SHARE = 1e-3
# A conflict that changes a volume by more than this leaves no volume that could be believed.
SAME_VOLUME_SHARE = 0.01
# Slices whose distances differ from their mean by no more than this share of it are even.
EVEN_SHARE = 0.01
# What programs write where they know no spacing.
DEFAULT_MM = 1.0
# A heart is longer than this: a stack that holds no more at 1 mm has lost its spacing.
SHORTEST_STACK_MM = 50.0
# Slices 1 mm apart between pixels of another size: few of them are a default, not a scan.
SHORTEST_THIN_STACK_MM = 30.0

MISSING_KEY = "myops_spacing_missing"
CONFLICT_KEY = "myops_spacing_conflict"
WARNINGS_KEY = "myops_geometry_warnings"
# Of the images that a label map of ours was made on: the first word, and the text's name.
MARK, MARK_KEY = "myops", "myops_images"
# Where ITK's series reader notes that slices lie off an even grid, be it by micrometers.
ITK_UNEVEN_SLICES = "ITK_non_uniform_sampling_deviation"
UNEVEN = (
    "the slices are not evenly spaced: one is missing, twice there, or moved. Volumes and masses "
    "take the mean distance, and other sequences may lie beside it; check the series"
)


@dataclass(frozen=True)
class GeometryNotes:
    """Doubts about an image's geometry.

    Attributes:
        missing: which spacing nobody stated, so that no volume and no length can be computed; "" if
            none is missing.
        conflict: which statements contradict each other by more than a percent of a volume; "" if
            none do.
        warnings: what the user should know about numbers that can be computed, a sentence each.
    """

    missing: str = ""
    conflict: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def unknown(self) -> str:
        """Why no volume and no length can be computed; "" if they can."""
        return self.conflict or self.missing


def add_notes(image: sitk.Image, notes: GeometryNotes) -> None:
    """Let notes travel with an image, in addition to those that it has."""
    before = stored_notes(image)
    warnings = dict.fromkeys(map(_one_line, (*before.warnings, *notes.warnings)))
    texts = {
        MISSING_KEY: _one_line(before.missing or notes.missing),
        CONFLICT_KEY: _one_line(before.conflict or notes.conflict),
        WARNINGS_KEY: "\t".join(warnings),
    }
    for key, text in texts.items():
        if text:
            image.SetMetaData(key, text)


def stored_notes(image: sitk.Image) -> GeometryNotes:
    """The notes that a reader left with an image; none with an image from elsewhere."""
    missing, conflict, warnings = (
        image.GetMetaData(key) if image.HasMetaDataKey(key) else ""
        for key in (MISSING_KEY, CONFLICT_KEY, WARNINGS_KEY)
    )
    return GeometryNotes(missing, conflict, tuple(text for text in warnings.split("\t") if text))


def geometry_notes(image: sitk.Image) -> GeometryNotes:
    """All that is doubtful about an image's geometry, wherever the image comes from."""
    notes = stored_notes(image)
    warnings = notes.warnings
    if image.HasMetaDataKey(ITK_UNEVEN_SLICES):
        warnings += (UNEVEN,)
    default = default_spacing(image.GetSize(), image.GetSpacing(), image.GetOrigin())
    return GeometryNotes(notes.missing or default, notes.conflict, warnings)


def without_notes(image: sitk.Image) -> sitk.Image:
    """The image without doubts about its spacing, which the user has given; warnings stay."""
    import SimpleITK as sitk

    copy = sitk.Image(image)
    for key in (MISSING_KEY, CONFLICT_KEY, ITK_UNEVEN_SLICES):
        if copy.HasMetaDataKey(key):
            copy.EraseMetaData(key)
    return copy


def default_spacing(
    size_xyz: Sequence[int], spacing_mm: Sequence[float], origin_mm: Sequence[float]
) -> str:
    """Why a spacing looks like a default that nobody measured; "" if it does not.

    A true grid of 1 mm is told from a default by how much it covers: no heart fits into 9 mm.
    """
    is_default = np.isclose(spacing_mm, DEFAULT_MM, rtol=0, atol=1e-6)
    stack = int(np.argmin(size_xyz))
    length_mm = size_xyz[stack] * DEFAULT_MM
    if is_default.all() and np.allclose(origin_mm, 0.0, atol=1e-6):
        return "the header holds no spacing (1 x 1 x 1 mm, origin 0)"
    if is_default.all() and length_mm < SHORTEST_STACK_MM:
        return (
            "the header holds no spacing (1 x 1 x 1 mm is a default: the stack would be "
            f"{length_mm:g} mm long)"
        )
    if is_default[stack] and not is_default.all() and length_mm < SHORTEST_THIN_STACK_MM:
        return (
            "the header holds no distance between slices (1 mm is a default: the stack of "
            f"{size_xyz[stack]} would be {length_mm:g} mm long)"
        )
    return ""


def differ(first: ArrayLike, second: ArrayLike) -> bool:
    """Whether two spacings are two statements, not one with another rounding."""
    return not np.allclose(first, second, rtol=SAME_LENGTH_SHARE, atol=0)


def volumes_differ(first: ArrayLike, second: ArrayLike) -> bool:
    """Whether a volume would change by more than a percent from one spacing to the other."""
    return bool(
        abs(np.prod(np.asarray(first)) / np.prod(np.asarray(second)) - 1) > SAME_VOLUME_SHARE
    )


def listed(spacing_mm: ArrayLike) -> str:
    """A spacing for a sentence: "1.5 x 1.5 x 10 mm"."""
    return " x ".join(f"{value:.5g}" for value in np.asarray(spacing_mm)) + " mm"


def _one_line(text: str) -> str:
    return " ".join(text.split())
