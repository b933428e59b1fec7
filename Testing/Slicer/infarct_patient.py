"""A phantom patient with a large infarct, MVO and edema, and a session on its true labels.

No network is needed: what is tested here starts from labels, wherever they come from.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import SimpleITK as sitk

from myops.io.file_names import find_sequences
from myops.labels import MVO
from myops.quantify.label_map import read_label_map
from myops.refine.missing_refiner import NoRefiner
from myops.refine.session import Session
from myops.segmentation import Segmentation
from MyoPSSegmenterLib.Scene.SceneBridge import caseFromVolumes, volumeFromImage
from MyoPSSegmenterLib.Scene.SegmentationNodes import createSegmentationNode, publishLabels

SEED = 3


def write_infarct_patient(folder: Path) -> Path:
    """Files of a phantom whose segments, FWHM rules and MVO are all there."""
    from myops.phantom.files import write_patient
    from myops.phantom.patient import PhantomConfig, generate_patient

    config = PhantomConfig(dropout=False, normal_share=0.0, upright=True, random_contrast_share=0.0)
    return write_patient(generate_patient(SEED, config), folder)


def volumes_of(scene, folder: Path, sequences=("bssfp", "lge", "t2")) -> dict:
    """The patient's images as volume nodes."""
    found = find_sequences(folder)
    return {
        name: volumeFromImage(scene, sitk.ReadImage(str(found[name][0])), name)
        for name in sequences
    }


def true_segmentation(case, folder: Path) -> Segmentation:
    """The phantom's truth on the case's grid, the core of its scar in one slice marked as MVO."""
    truth = read_label_map(next(folder.glob("*_gd.nii.gz")), case)
    labels = truth.labels.copy()
    core = labels[2] == 2221
    for _ in range(2):
        core = core & np.roll(core, 1, 0) & np.roll(core, -1, 0)
        core = core & np.roll(core, 1, 1) & np.roll(core, -1, 1)
    labels[2][core] = MVO
    return Segmentation(
        labels=labels,
        geometry=case.geometry,
        probabilities={},
        uncertainty=np.zeros(labels.shape, np.float32),
        assessed=truth.assessed,
        model={},
        seconds={},
    )


class LabelsOnly:
    """What the numbers need of a `CorrectionLogic`: a session, its node, the slice looked at."""

    def __init__(self, scene, events, folder: Path, sequences=("bssfp", "lge", "t2")) -> None:
        self.events, self.currentSlice = events, 2
        volumes = volumes_of(scene, folder, sequences)
        self.case = caseFromVolumes(volumes, "infarct")
        segmentation = true_segmentation(self.case, folder)
        self.session: Session | None = Session(NoRefiner(), self.case, segmentation)
        self.node = createSegmentationNode(
            scene, self.case, volumes[self.case.reference], "Segmentation"
        )
        publishLabels(self.node, self.case, self.session.labels)

    @property
    def labels(self) -> np.ndarray:
        return self.session.labels

    def accept(self, labels: np.ndarray) -> None:
        """Take other labels over, as an edit in the Segment Editor does."""
        self.session.accept_labels(labels, "paint")
        publishLabels(self.node, self.case, self.session.labels)
        self.events.emit("labels", labels=self.session.labels)


def erode_scar(labels: np.ndarray) -> np.ndarray:
    """The same label map with the scar of the first slices gone."""
    changed = labels.copy()
    changed[:2][np.isin(changed[:2], (2221, MVO))] = 200
    return changed


def no_patient() -> SimpleNamespace:
    """In the place of a `PatientLogic` that nothing is asked of; it has some case."""
    return SimpleNamespace(caseName="infarct", case=object())
