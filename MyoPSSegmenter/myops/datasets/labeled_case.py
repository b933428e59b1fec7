"""One heart and the truth about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from myops.geometry.canonical import to_canonical
from myops.sequences import GRID_SEQUENCES

if TYPE_CHECKING:
    import SimpleITK as sitk

    from myops.case import Case

# What every data set labels.
HEART = frozenset({"myocardium", "blood_pool"})


@dataclass(frozen=True)
class LabeledCase:
    """One heart and the truth about it.

    Attributes:
        dataset: of which it is, such as "myops" or "emidec"; see `find.ADAPTERS`.
        name: of the patient, unique within its data set.
        images: sequence name to its image, ready for `case_from_images`.
        labels: uint16 MyoPS values (z, y, x) on the grid of `reference_image`, as in the file.
        labeled: bool (z,), slices that the expert has drawn; only they can be compared.
        structures: what the labels tell apart, names of `refine.prompts.STRUCTURES`.
        warnings: about where the labels lie, a sentence each.
        untold: diseases that an image shows and the data set does not label: normal is no "none".
    """

    dataset: str
    name: str
    images: Mapping[str, sitk.Image]
    labels: np.ndarray
    labeled: np.ndarray
    structures: frozenset[str]
    warnings: tuple[str, ...] = ()
    untold: frozenset[str] = frozenset()

    @property
    def sequence(self) -> str:
        """The sequence whose grid the labels share: LGE where there is one, as in `Case`."""
        return next(name for name in GRID_SEQUENCES if name in self.images)

    @property
    def reference_image(self) -> sitk.Image:
        """The image that the labels lie on."""
        return self.images[self.sequence]

    @cached_property
    def image_checksums(self) -> frozenset[str]:
        """What these images are, whatever they are called (`learned.image_checksums`)."""
        from myops.weights.learned import image_checksums

        return image_checksums(self.images)

    def to_case(self) -> Case:
        """The images on one grid.

        Raises:
            InputError: see `case_from_images`.
        """
        from myops.case import case_from_images

        case = case_from_images(self.images, self.name)
        return replace(case, warnings=(*self.warnings, *case.warnings))

    def truth_for(self, case: Case) -> tuple[np.ndarray, np.ndarray]:
        """The labels and the labeled slices (bool (z,)) on the grid of `to_case`'s result."""
        drawn = np.broadcast_to(self.labeled[:, None, None], self.labels.shape)
        in_slices = np.array([plane.any() for plane in to_canonical(drawn, case.original)])
        return to_canonical(self.labels, case.original), in_slices


# Reads one heart; can be sent to another process.
CaseLoader = Callable[[], LabeledCase]
