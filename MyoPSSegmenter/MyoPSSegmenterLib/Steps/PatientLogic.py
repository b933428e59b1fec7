"""The patient's images: which volume is which sequence, and whether they lie on each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk

from myops.case import UNNAMED, Case, restore
from myops.errors import InputError
from myops.sequences import GRID_SEQUENCES, GRID_WORDS, SEQUENCE_TITLES, SEQUENCES
from MyoPSSegmenterLib.Runtime.BackgroundWork import inWords
from MyoPSSegmenterLib.Runtime.Translation import tr as _
from MyoPSSegmenterLib.SampleData import NODE_NAMES
from MyoPSSegmenterLib.Scene.AlignmentNodes import (
    alignmentOf,
    backToFound,
    isByHand,
    moveInWorld,
    noteAsFound,
    removeAlignment,
    renameAlignment,
    restoreAlignment,
    savedAlignment,
)
from MyoPSSegmenterLib.Scene.Observations import Observations
from MyoPSSegmenterLib.Scene.SceneBridge import (
    CASE_ATTRIBUTE,
    SEQUENCE_ATTRIBUTE,
    SOURCE_ATTRIBUTE,
    caseFromVolumes,
    removeNode,
    volumeFromImage,
)
from MyoPSSegmenterLib.Scene.VolumeFingerprint import fingerprintOf
from MyoPSSegmenterLib.Steps.FolderReading import readFolder, readImages
from MyoPSSegmenterLib.Steps.HandShift import (
    Shift,
    noteOnCopy,
    shiftOf,
    shiftTo,
    wholeShiftOf,
    withShifts,
)
from MyoPSSegmenterLib.Steps.ImageChecks import (
    ImageCheck,
    alignedCheck,
    checksOfCase,
    movedCheck,
    resampledCheck,
    titled,
)

if TYPE_CHECKING:
    import SimpleITK as sitk

    from myops.dicom.headers import Frame
    from myops.patients.find import PatientFiles
    from myops.patients.sources import Source
    from myops.registration import Alignment
    from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork, Task
    from MyoPSSegmenterLib.Runtime.Events import Events

# Of a volume that was brought to the reference's grid: the one that it was made from.
RESAMPLED_FROM = "MyoPS.resampledFrom"
NO_SECOND = _("Choose the reference and a second sequence first.")
BY_HAND = _("{title} was moved by hand: undo that first, then align it.")
NO_REFERENCE = _("Choose {grid} volume.").format(grid=GRID_WORDS)


class PatientLogic:
    """Volumes chosen as sequences, and the case that they make.

    Emits "patient" when volumes, their voxels or their transforms change: at once when something
    is chosen here, with the next poll when the user changes a node elsewhere.

    Attributes:
        volumes: sequence name, such as "lge", to a volume node; present sequences only.
        files: where the volumes were loaded from; None for volumes chosen by hand.
    """

    def __init__(self, scene: slicer.vtkMRMLScene, events: Events, work: BackgroundWork) -> None:
        self.scene, self._events, self._work = scene, events, work
        self.volumes: dict[str, slicer.vtkMRMLScalarVolumeNode] = {}
        self.files: PatientFiles | None = None
        self._name = ""
        self._loaded: list[slicer.vtkMRMLNode] = []
        self._sources: dict[str, Source] = {}
        self._loading: Task | None = None
        self._case: Case | None = None
        self._problem: str | None = None
        self._checks: list[ImageCheck] | None = None
        self._comparing: Task | None = None
        self._built: object = None
        self._told: object = self._fingerprint()
        self._touched = self._removing = False
        self._volumeObservations, self._sceneObservations = Observations(), Observations()
        self._observeScene()
        self._stopPolling = work.whenPolled(self._tellIfTouched)

    @property
    def case(self) -> Case | None:
        """The volumes on one grid as they are now; None where they make none, see `problem`."""
        self._rebuild()
        return self._case

    @property
    def problem(self) -> str | None:
        """Why the chosen volumes cannot be used, for the user; None if they can, or none is."""
        self._rebuild()
        return self._problem

    @property
    def warnings(self) -> list[str]:
        """What the library warns of, one sentence each."""
        case = self.case
        return [] if case is None else list(case.warnings)

    @property
    def caseName(self) -> str:
        """The patient, for reports and file names: the folder's name unless another was given."""
        return self._name or UNNAMED

    def rename(self, name: str) -> None:
        """Call the patient something else in what is written from now on."""
        if name.strip() != self._name:
            self._name = name.strip()
            for node in self.volumes.values():
                node.SetAttribute(CASE_ATTRIBUTE, self._name or None)
            self._changed()

    @property
    def referenceNode(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The volume whose grid the results have: LGE, or bSSFP without one."""
        found = (self.volumes.get(name) for name in GRID_SEQUENCES)
        return next((node for node in found if node is not None), None)

    def loadFolder(self, folder: str | Path) -> PatientFiles:
        """Load a patient's images; those of the patient before leave the scene.

        Returns:
            What was recognized; the user may `swap` sequences afterwards.

        Raises:
            InputError: no images in the folder, or a file cannot be read. Nothing changes then.
        """
        from myops.patients.find import recognize

        files = recognize(folder)
        self.loadFiles(files)
        return files

    def beginFolder(self, folder: str | Path, prepare: Callable[[], object] = lambda: None) -> Task:
        """Load a patient's images as `loadFolder`, read in the background.

        Args:
            folder: of the patient.
            prepare: called in the background before the folder is read.

        Returns:
            The task; where it fails or is canceled nothing changes, and a message says why.
        """
        self._loading = self._work.submit(
            _("Loading images"),
            partial(readFolder, folder, prepare),
            lambda found: self._takeRead(*found),
            lambda error: self._events.message(inWords(error), "error"),
            replaces="load folder",
            first=True,
        )
        return self._loading

    def loadFiles(self, files: PatientFiles) -> None:
        """Load what was recognized, or assigned by hand; see `loadFolder`."""
        self._takeRead(files, readImages(files))

    def _takeRead(self, files: PatientFiles, images: Mapping[str, sitk.Image]) -> None:
        """Show images that were read as the patient."""
        self._removeLoaded()
        nodes = {}
        for key, image in images.items():
            nodes[key] = volumeFromImage(self.scene, image, f"{files.name} {SEQUENCE_TITLES[key]}")
            nodes[key].SetAttribute(SOURCE_ATTRIBUTE, files.sequences[key].name)
        self._loaded = list(nodes.values())
        self._sources = {node.GetID(): files.sequences[key] for key, node in nodes.items()}
        self._name, self.files = files.name, files
        self._choose(nodes)

    def setVolumes(self, **chosen: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Choose the volumes by sequence: `setVolumes(lge=node)`; None for one that is not there.

        Raises:
            TypeError: a name that is not a sequence.
        """
        unknown = sorted(set(chosen) - set(SEQUENCES))
        if unknown:
            raise TypeError(f"expected sequences out of {tuple(SEQUENCES)}, found {unknown}")
        nodes = {key: node for key, node in chosen.items() if node is not None}
        if nodes != self.volumes:
            if not set(nodes.values()) & set(self._loaded):
                self.files, self._name = None, _caseNameOf(nodes.values())
            self._choose(nodes)

    def swap(self, first: str, second: str) -> None:
        """Exchange two sequences; one of them may have no volume."""
        nodes = dict(self.volumes)
        exchanged = {first: nodes.pop(second, None), second: nodes.pop(first, None)}
        nodes |= {key: node for key, node in exchanged.items() if node is not None}
        if nodes != self.volumes:
            self._choose(nodes)

    def imageChecks(self) -> list[ImageCheck]:
        """What is known to differ between the sequences, and what was done about it.

        Answers at once; empty without a case. The sequences are compared in the background;
        "checks" tells when that is done.
        """
        case = self.case
        if case is None:
            return []
        if self._checks is None:
            self._compare(case)
        problems = () if self.files is None else self.files.problems
        ofFiles = [ImageCheck("", "files", text) for text in problems]
        return self._adjustments() + (self._checks or []) + ofFiles

    @property
    def isComparing(self) -> bool:
        """Whether the background still compares the sequences: `imageChecks` lacks that part."""
        return self._checks is None and self.case is not None

    def resolve(self, check: ImageCheck) -> Task | None:
        """Do what can be done about a check: move the sequence, or bring it on the grid."""
        if check.kind == "misalignment":
            return self.align(check.sequence)
        if check.kind == "grid":
            self.resample(check.sequence)
        return None

    def revert(self, check: ImageCheck) -> None:
        """Take back what `resolve` did."""
        if check.kind == "aligned":
            self.unalign(check.sequence)
        if check.kind == "moved":
            self.unshift(check.sequence)
        if check.kind == "resampled":
            self.unresample(check.sequence)

    def align(self, sequence: str) -> Task | None:
        """Look in the background for the in-plane shift that lays a sequence on the reference.

        A better place becomes a transform node above the volume, which can be seen, changed and
        removed like any other. A message says what was found.

        Returns:
            The task; None, with a message, where there is nothing to align.
        """
        from myops.registration import find_alignment

        case = self.case
        if case is None or sequence not in case.images or sequence == case.reference:
            self._events.message(NO_SECOND, "warning")
            return None
        if isByHand(self.volumes[sequence]):
            self._events.message(BY_HAND.format(title=SEQUENCE_TITLES[sequence]), "warning")
            return None
        node, before = self.volumes[sequence], self._fingerprint()

        def take(alignment: Alignment) -> None:
            if self.volumes.get(sequence) is node and self._fingerprint() == before:
                self._take(node, alignment)

        return self._work.submit(
            _("Align {title}").format(title=SEQUENCE_TITLES[sequence]),
            lambda progress, cancelled: find_alignment(case, sequence),
            done=take,
            replaces=f"align {sequence}",
        )

    def unalign(self, sequence: str) -> None:
        """Put a volume back where it was before `align`; its other transforms stay."""
        if sequence in self.volumes and removeAlignment(self.volumes[sequence]):
            self._changed()

    def shiftOf(self, sequence: str) -> Shift:
        """How a sequence was moved in the slice plane; nothing where there is none of it."""
        case = self.case
        if case is None or sequence not in self.volumes:
            return Shift()
        return shiftOf(self.volumes[sequence], case)

    def shift(self, sequence: str, rightMm: float, downMm: float) -> None:
        """Move a sequence by hand against the reference: views and case follow at once.

        It stays where it was put, whatever is searched for, until `unshift`.

        Args:
            sequence: not the reference.
            rightMm: to the right as a view shows the slice, from where the header places it.
            downMm: downwards.

        Raises:
            InputError: further than `HandShift.MOST_MM`.
        """
        case = self.case
        if case is None or sequence not in case.images or sequence == case.reference:
            self._events.message(NO_SECOND, "warning")
            return
        shiftTo(self.volumes[sequence], sequence, case, rightMm, downMm)
        self._changed()

    def unshift(self, sequence: str) -> None:
        """Put a sequence back where the search, or its header, places it."""
        if sequence in self.volumes and backToFound(self.volumes[sequence]):
            self._changed()

    def alignments(self) -> dict[str, dict[str, str]]:
        """How each sequence was moved, as texts for a file; those that were not are left out.

        Of a copy on the reference's grid, how the volume that was copied comes to lie there.
        """
        saved = {
            key: savedAlignment(node, self._original(key)) for key, node in self.volumes.items()
        }
        return {key: one for key, one in saved.items() if one}

    def restoreAlignments(self, saved: Mapping[str, Mapping[str, str]]) -> None:
        """Move every sequence as `alignments` has noted, bit by bit."""
        if saved != self.alignments():
            for key, node in self.volumes.items():
                restoreAlignment(node, key, saved.get(key, {}))
            self._changed()

    def resample(self, sequence: str) -> None:
        """Choose a copy of the volume on the reference's grid instead; the volume stays."""
        case = self.case
        if case is None or sequence not in case.images or self._original(sequence) is not None:
            return
        original = self.volumes[sequence]
        reference = SEQUENCE_TITLES[case.reference]
        image = restore(case, case.images[sequence])
        copy = volumeFromImage(self.scene, image, f"{original.GetName()} on the {reference} grid")
        copy.SetNodeReferenceID(RESAMPLED_FROM, original.GetID())
        noteOnCopy(copy, wholeShiftOf(original, case))
        self._loaded.append(copy)
        self._choose(self.volumes | {sequence: copy})

    def unresample(self, sequence: str) -> None:
        """Choose the volume that `resample` copied, and remove the copy."""
        original = self._original(sequence)
        if original is not None:
            copy = self.volumes[sequence]
            self._choose(self.volumes | {sequence: original})
            self._remove([copy])

    def ready(self) -> str | None:
        """None if a segmentation can be made, else what is missing, as a sentence."""
        return NO_REFERENCE if self.referenceNode is None else self.problem

    def clear(self) -> None:
        """Forget the patient; the volumes that were loaded here leave the scene."""
        self._removeLoaded()
        self._forget()

    def close(self) -> None:
        """End: no observer is left. The scene stays as it is."""
        self._stopPolling()
        self._volumeObservations.removeAll()
        self._sceneObservations.removeAll()

    def _rebuild(self) -> None:
        """Make the case anew if its volumes are no longer what they were."""
        now = self._fingerprint()
        if now == self._built:
            return
        self._built, self._case, self._problem, self._checks = now, None, None, None
        if len(set(self.volumes.values())) < len(self.volumes):
            self._problem = _("One volume is chosen as two sequences: choose another one.")
        elif self.referenceNode is not None:
            try:
                case = caseFromVolumes(self.volumes, self.caseName)
                case = replace(case, source_frames=self._sourceFrames())
                self._case = withShifts(case, self.volumes)
            except InputError as error:
                self._problem = str(error)

    def _compare(self, case: Case) -> None:
        """Compare the case's sequences in the background: that takes some 100 ms for each."""
        if self._comparing is not None and not self._comparing.isOver:
            return
        built = self._built

        def take(found: list[ImageCheck]) -> None:
            self._comparing = None
            if self._fingerprint() == built:
                self._checks = found
            self._events.emit("checks")  # whoever asks again has a changed case compared anew

        def give_up(error: Exception) -> None:
            take([])
            self._events.message(inWords(error), "error")

        self._comparing = self._work.submit(
            _("Comparing the sequences"),
            lambda progress, cancelled: checksOfCase(case),
            take,
            give_up,
            first=True,
        )

    def _sourceFrames(self) -> dict[str, tuple[Frame, ...]]:
        """The DICOM pictures of the volumes that were read from DICOM here, by sequence."""
        from myops.patients.provenance import dicom_frames

        if self.files is None:
            return {}
        sources = {key: self._sources.get(node.GetID()) for key, node in self.volumes.items()}
        return dicom_frames({key: one for key, one in sources.items() if one is not None})

    def _fingerprint(self) -> tuple[object, ...]:
        """What the case depends on; equal as long as nothing of it changed."""
        volumes = tuple((key, *fingerprintOf(node)) for key, node in self.volumes.items())
        return (self._name, *volumes)

    def _choose(self, nodes: dict[str, slicer.vtkMRMLScalarVolumeNode]) -> None:
        """Take these volumes, mark and observe them."""
        reference = self.referenceNode
        for node in self.volumes.values():
            node.RemoveAttribute(SEQUENCE_ATTRIBUTE)
        self.volumes = {key: nodes[key] for key in SEQUENCES if key in nodes}
        if reference is not None and self.referenceNode is not reference:
            # A shift was found against another image. Where there was none a scene was opened.
            for node in self.volumes.values():
                removeAlignment(node)
        self._volumeObservations.removeAll()
        for key, node in self.volumes.items():
            node.SetAttribute(SEQUENCE_ATTRIBUTE, key)
            node.SetAttribute(CASE_ATTRIBUTE, self._name or None)
            renameAlignment(node, key)
            self._observe(node)
        self._changed()

    def _observe(self, node: slicer.vtkMRMLScalarVolumeNode) -> None:
        for event in (
            vtk.vtkCommand.ModifiedEvent,
            slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
            slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
        ):
            self._volumeObservations.add(node, event, self._touch)

    def _observeScene(self) -> None:
        scene = slicer.vtkMRMLScene
        self._sceneObservations.add(self.scene, scene.EndCloseEvent, self._forget)
        self._sceneObservations.add(self.scene, scene.EndImportEvent, self.adopt)
        self._sceneObservations.add(self.scene, scene.NodeRemovedEvent, self._dropRemoved)

    def _touch(self) -> None:
        self._touched = True

    def _tellIfTouched(self) -> None:
        """Tell of changes made elsewhere, once for each poll however many there were."""
        if self._touched:
            self._touched = False
            if self._fingerprint() != self._told:
                self._changed()

    def _changed(self) -> None:
        self._told = self._fingerprint()
        self._events.emit("patient")

    def _forget(self) -> None:
        if self._loading is not None:  # images of another time do not come into this scene
            self._work.cancel(self._loading)
            self._loading = None
        self._volumeObservations.removeAll()
        self.volumes, self._loaded, self.files, self._name = {}, [], None, ""
        self._changed()

    def _dropRemoved(self) -> None:
        """Forget volumes that were removed from the scene."""
        if self._removing or self.scene.IsClosing():
            return
        kept = {key: node for key, node in self.volumes.items() if self.scene.IsNodePresent(node)}
        if kept != self.volumes:
            self._loaded = [node for node in self._loaded if self.scene.IsNodePresent(node)]
            self._choose(kept)

    def _marked(self) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
        """The scene's volumes that were chosen as a sequence; the newest of each.

        Those that a script has loaded by Slicer's Sample Data have nothing but their names.
        """
        ofSample = {name: key for key, name in NODE_NAMES.items()}
        found = {}
        kind = "vtkMRMLScalarVolumeNode"
        for index in range(self.scene.GetNumberOfNodesByClass(kind)):
            node = self.scene.GetNthNodeByClass(index, kind)
            key = node.GetAttribute(SEQUENCE_ATTRIBUTE) or ofSample.get(node.GetName(), "")
            if key in SEQUENCES:
                found[key] = node
        return found

    def adopt(self, volumes: Mapping[str, slicer.vtkMRMLScalarVolumeNode] | None = None) -> None:
        """Take volumes that are in the scene already as the patient.

        Args:
            volumes: by sequence; those of a scene that was opened, or of the sample patient, if
                None and none are chosen.
        """
        if volumes is None and self.volumes:
            return
        found = self._marked() if volumes is None else dict(volumes)
        if found:
            self.files = None
            self._name = _caseNameOf(found.values())
            self._loaded = [node for node in found.values() if node.GetAttribute(SOURCE_ATTRIBUTE)]
            self._choose(found)

    def _take(self, node: slicer.vtkMRMLScalarVolumeNode, alignment: Alignment) -> None:
        if alignment.worthwhile:
            noteAsFound(moveInWorld(node, alignment.sequence, alignment.translation_mm))
            self._changed()
        self._events.message(titled(alignment.note))

    def _adjustments(self) -> list[ImageCheck]:
        """What was done to the volumes here, so that it can be taken back."""
        found = []
        for key, node in self.volumes.items():
            if alignmentOf(node) is not None:
                shift = self.shiftOf(key)
                length = float(np.hypot(shift.rightMm, shift.downMm))
                byHand = movedCheck(key, shift.rightMm, shift.downMm)
                found.append(byHand if shift.byHand else alignedCheck(key, length))
            if self._original(key) is not None:
                found.append(resampledCheck(key))
        return found

    def _original(self, sequence: str) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The volume that a sequence's volume was resampled from."""
        node = self.volumes.get(sequence)
        return None if node is None else node.GetNodeReference(RESAMPLED_FROM)

    def _removeLoaded(self) -> None:
        nodes, self._loaded = self._loaded, []
        self._remove(nodes)

    def _remove(self, nodes: list[slicer.vtkMRMLNode]) -> None:
        """Take volumes out of the scene, with their alignment and display."""
        self._removing = True
        for node in nodes:
            removeAlignment(node)
            removeNode(self.scene, node)
        self._removing = False


def _caseNameOf(nodes: Iterable[slicer.vtkMRMLNode]) -> str:
    """The patient's name that volumes carry; empty where they carry none."""
    return next(filter(None, (node.GetAttribute(CASE_ATTRIBUTE) for node in nodes)), "")
