"""Whom a network has learned from, so that it is never scored on a patient that it knows.

A patient is known by the voxels of the images and not by a name: files are renamed, moved and saved
in other formats. Weights carry the checksums of the images that they learned from through every
further training.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from myops.errors import InputError

if TYPE_CHECKING:
    import SimpleITK as sitk

    from myops.datasets import LabeledCase

# Stands for cases that weights of an earlier version have learned from without naming them.
UNNAMED = "unnamed"
# How data sets name the frames of one patient's cine: patient001_frame12, A0S9V9_sa_ED.
FRAME = r"_(frame\d+|ED|ES)$"


class Known(Protocol):
    """A case whose images can be recognized."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def image_checksums(self) -> frozenset[str]:
        """See `image_checksums`."""


def image_checksums(images: Mapping[str, sitk.Image]) -> frozenset[str]:
    """What tells these images from all others, whatever their files are called.

    A copy in another format, with other axes or another header, has the same checksum. An image
    with one value everywhere tells nothing about whose it is and has none.
    """
    return frozenset(filter(None, map(_voxels_sha256, images.values())))


def _voxels_sha256(image: sitk.Image) -> str | None:
    """SHA-256 of the values as float32, from the lowest to the highest."""
    import SimpleITK as sitk

    values = np.sort(sitk.GetArrayViewFromImage(image), axis=None).astype(np.float32)
    if values[0] == values[-1]:
        return None
    return hashlib.sha256((values + 0.0).tobytes()).hexdigest()  # + 0: there is a negative zero


def case_sha256(labeled: LabeledCase) -> str:
    """SHA-256 of all that is learned from a case: images, labels, voxel size; the name is not."""
    spacing_mm = [f"{mm:.4f}" for mm in labeled.reference_image.GetSpacing()]
    known = [sorted(part) for part in (labeled.images, labeled.structures, labeled.image_checksums)]
    digest = hashlib.sha256(json.dumps([*known, spacing_mm]).encode())
    digest.update(labeled.labels.astype(np.uint16).tobytes())
    digest.update(labeled.labeled.astype(bool).tobytes())
    return digest.hexdigest()


def by_patient(cases: Sequence[LabeledCase]) -> list[list[LabeledCase]]:
    """Cases that share an image, and frames of one patient's cine, together; in the given order."""
    groups: list[tuple[set[str], list[LabeledCase]]] = []
    for case in cases:
        keys = _keys(case)
        same = [group for group in groups if group[0] & keys]
        members = [*(member for _, found in same for member in found), case]
        others = [group for group in groups if not group[0] & keys]
        groups = [*others, (keys.union(*(known for known, _ in same)), members)]
    return [members for _, members in groups]


def _keys(case: LabeledCase) -> set[str]:
    patient, frames = re.subn(FRAME, "", case.name)
    return {*case.image_checksums, *([f"{case.dataset} {patient}"] if frames else [])}


def learned_in(record: Mapping[str, Any]) -> frozenset[str]:
    """Checksums of the images that weights have learned from; none for phantoms.

    Args:
        record: a manifest's entry, the header of a file of weights, or a checkpoint.
    """
    learned, config = (_value(record.get(key)) for key in ("learned", "config"))
    if learned is None:
        return frozenset({UNNAMED} if (config or {}).get("cases") else ())
    return frozenset(learned)


def _value(value: Any) -> Any:
    """Headers and checkpoints hold JSON as text."""
    return json.loads(value) if isinstance(value, str) else value


def refuse_learned(cases: Iterable[Known], learned: Collection[str], by: str) -> None:
    """Refuse to score weights on cases that they have learned from.

    Args:
        cases: to be scored on.
        learned: what `learned_in` says about the weights.
        by: what the weights are called.

    Raises:
        InputError: they have learned from one of the cases, or do not say what they learned from.
    """
    if UNNAMED in learned:
        raise InputError(
            f"expected weights that name the cases they have learned from, found that {by} comes "
            "from an earlier version that did not; train again before it is compared on cases"
        )
    known = [case.name for case in cases if case.image_checksums & set(learned)]
    if known:
        raise InputError(
            f"expected cases that {by} has not learned from, found {', '.join(known)}, whose "
            "images it was trained on; leave them out, or choose another model"
        )
