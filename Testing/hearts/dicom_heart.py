"""The circle heart as a scanner writes it: an oblique LGE stack in DICOM, its labels by slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from circle_heart import circle_labels, circle_lge
from dicom_series import EnhancedFrame, write_enhanced, write_stack

from myops.case import Case, restore
from myops.geometry.canonical import to_canonical
from myops.patients.provenance import find_inputs, read_case
from myops.segmentation import Segmentation
from myops.structures import NETWORK_TISSUES, STRUCTURES

FRAME_OF_REFERENCE = "1.2.826.0.1.3680043.2.1125.77"
# What must not get into a result: one word for each field that names a person.
PLANTED = {
    "PatientName": "Mustermann^Friederike",
    "PatientID": "ID-8842155",
    "PatientBirthDate": "19470523",
    "AccessionNumber": "ACC-55190321",
    "OtherPatientIDs": "OTHER-771283",
    "PatientAddress": "Lindenstrasse 7b",
    "ReferringPhysicianName": "Quacksalber^Xaverius",
    "OperatorsName": "Bedienerin^Walburga",
    "InstitutionName": "Waldklinik Nord",
    "PatientComments": "Zimmer 4711b",
    "StudyID": "STUDY-9917",
}


def heart_labels(slices: int = 5) -> np.ndarray:
    """The circle heart with something of its own in every slice: none looks like another."""
    labels = circle_labels(slices)
    for k, plane in enumerate(labels):
        plane[48, 48 : 50 + k] = 200  # muscle in the cavity
        rows, columns = np.nonzero(plane == 2221)
        plane[rows[: 4 * k], columns[: 4 * k]] = 200
    return labels


def write_heart(
    folder: Path, order: tuple[int, ...] = (3, 0, 4, 1, 2), labels: np.ndarray | None = None, **tags
) -> np.ndarray:
    """Write the LGE of the circle heart, one file a slice in shuffled order.

    Returns:
        Its labels (z, y, x), slice k at place k along the normal.
    """
    labels = heart_labels() if labels is None else labels
    lge = circle_lge(labels)[list(order)].round().clip(0)
    write_stack(folder, lge, places=order, **{"FrameOfReferenceUID": FRAME_OF_REFERENCE, **tags})
    return labels


def write_heart_in_one_file(path: Path, order: tuple[int, ...] = (3, 0, 4, 1, 2)) -> np.ndarray:
    """Write it as one enhanced file whose frames are out of order; returns its labels."""
    labels = heart_labels()
    lge = circle_lge(labels).round().clip(0).astype(np.uint16)
    frames = [EnhancedFrame(lge[k], k) for k in order]
    write_enhanced(path, frames, FrameOfReferenceUID=FRAME_OF_REFERENCE)
    return labels


def read_heart(place: Path, labels: np.ndarray, **named) -> tuple[Case, Segmentation]:
    """Read it as `myops segment --lge` does, with its labels as a segmentation."""
    files = {"lge": place, "bssfp": None, "t2": None, **named}
    case = read_case(find_inputs(None, files))
    return case, heart_segmentation(case, labels)


def heart_segmentation(case: Case, labels: np.ndarray) -> Segmentation:
    """Labels in the order of the slices' places, on the case's grid."""
    # The stack is read along its normal, so slice k of the file's grid lies at place k.
    placed = to_canonical(labels, case.original)
    assert restore(case, placed).GetSize()[2] == len(labels)
    found = {"lge": "scar", "t2": "edema"}
    return Segmentation(
        labels=placed,
        geometry=case.geometry,
        probabilities={
            name: STRUCTURES[name].mask(placed).astype(np.float32)
            for name in ("lv_region", *NETWORK_TISSUES, "right_ventricle")
        },
        uncertainty=np.zeros(placed.shape, np.float32),
        assessed=frozenset(found[key] for key in case.images if key in found),
        model={"assn": "a" * 64, "prsn": "b" * 64},
        seconds={},
        pack={"name": "synthetic", "terms": "", "license": "", "learned_from": ""},
    )
