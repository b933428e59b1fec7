"""The automatic segmentation: networks in the background, a new node on the main thread.

Prepare (main thread: the case is read from the scene), run (no scene), publish (main thread, all or
nothing). Manual work is never overwritten: it stays as a node of its own beside the new version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from myops.errors import InputError
from myops.weights.packs import instead_words, shipped_packs
from MyoPSSegmenterLib.Runtime.BackgroundWork import inWords
from MyoPSSegmenterLib.Runtime.Devices import CPU, findGpus, hasTorch, knownDevices, usableDevice
from MyoPSSegmenterLib.Runtime.Translation import tr as _
from MyoPSSegmenterLib.Scene.Observations import Observations
from MyoPSSegmenterLib.Scene.SceneBridge import removeNode
from MyoPSSegmenterLib.Scene.SegmentationNodes import createSegmentationNode, readLabels

if TYPE_CHECKING:
    from myops.case import Case
    from myops.progress import Progress
    from myops.segmentation import Segmentation
    from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork, Task
    from MyoPSSegmenterLib.Runtime.Events import Events
    from MyoPSSegmenterLib.Steps.CorrectionLogic import CorrectionLogic
    from MyoPSSegmenterLib.Steps.PatientLogic import PatientLogic

NO_TORCH = _("Segmenting needs PyTorch, which is not installed: press Install.")
CANCELED = _("The automatic segmentation was canceled; nothing was changed.")
OUTDATED = _(
    "A sequence was moved or exchanged after the segmentation, which stays as it is, with its "
    "numbers: segment again (step 2) to use the sequence as it is now."
)
# Marks the segmentation nodes that this module made, also in a scene that was loaded.
NODE_ATTRIBUTE = "MyoPS.segmentation"
DEFAULT_WEIGHTS = ("default", _("Weights in use"))


@dataclass(frozen=True)
class _Found:
    """What a run brings back from the background."""

    segmentation: Segmentation
    device: str
    notes: tuple[str, ...]


class AutomaticLogic:
    """Runs the networks and publishes their result.

    Emits "automatic" when a run begins, ends, fails or is canceled, and when GPUs become known.

    Attributes:
        segmentation: the newest automatic result of this patient; None before the first.
        task: the newest run; None before the first.
        problem: why the newest run failed, as a sentence; None when it did not.
        device: the device that the newest result was made on; empty before the first.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        events: Events,
        work: BackgroundWork,
        patient: PatientLogic,
        correction: CorrectionLogic,
    ) -> None:
        self._scene, self._events, self._work = scene, events, work
        self._patient, self._correction = patient, correction
        # Networks stay loaded for the next patient: device and model to them.
        self._networks: dict[tuple[str, str], Any] = {}
        self._search: Task | None = None
        self._gpus: list[tuple[str, str]] = []
        self.segmentation: Segmentation | None = None
        self.task: Task | None = None
        self.problem: str | None = None
        self.device = ""
        self._isPatientChanged = False
        self._isOutdated = False
        self._ends = [
            events.connect("patient", self._patientChanged),
            work.whenPolled(self._leaveOtherPatient),
        ]
        self._observations = Observations()
        self._observations.add(scene, scene.EndCloseEvent, self.clear)

    @property
    def isRunning(self) -> bool:
        """Whether Run should read Cancel."""
        return self.task is not None and not self.task.isOver

    def ready(self) -> str | None:
        """None if a run can start, else what it waits for, as a sentence."""
        return self._patient.ready() or (None if hasTorch() else NO_TORCH)

    def needsQuestion(self) -> str | None:
        """What to ask before a run; None where there is nothing to lose sight of."""
        if not self._correction.hasManualWork:
            return None
        return _(
            "This patient's segmentation was corrected by hand. Segmenting again makes a new "
            "version; the corrected one is kept, hidden, under its name. Segment again?"
        )

    def run(self, device: str = "auto", model: str = "default") -> Task | None:
        """Segment the patient in the background.

        Args:
            device: an id of `devices`.
            model: an id of `models`, or a folder of weights.

        Returns:
            The task; None, with a message, where it cannot start.
        """
        return self._begin(device, model, None)

    def resume(
        self,
        node: slicer.vtkMRMLSegmentationNode,
        device: str = "auto",
        model: str = "default",
    ) -> Task | None:
        """Go on with a segmentation of a scene that was loaded: its labels are corrected further.

        The networks run, since corrections need their probabilities; the labels stay the node's.
        Arguments and result as for `run`.
        """
        return self._begin(device, model, node)

    def cancel(self) -> None:
        """Give the run up; nothing of it is published."""
        if self.isRunning:
            self._work.cancel(self.task)
            self._events.message(CANCELED)
            self._events.emit("automatic")

    def devices(self) -> list[tuple[str, str]]:
        """Id and title of each device; empty without torch.

        Answers at once. GPUs are looked for in the background; "automatic" tells when they are
        known.
        """
        if hasTorch() and self._search is None:
            self._search = self._work.submit(
                _("Looking for GPUs"),
                lambda progress, cancelled: findGpus(),
                self._found,
                lambda error: self._events.message(
                    _("PyTorch cannot be loaded: {reason}").format(reason=inWords(error)), "warning"
                ),
            )
        return knownDevices(self._gpus)

    def models(self) -> list[tuple[str, str]]:
        """Id and title of each set of networks: the one in use, then the packs with their terms."""
        packs = [(name, f"{name} ({pack.license})") for name, pack in shipped_packs().items()]
        return [DEFAULT_WEIGHTS, *packs]

    def clear(self) -> None:
        """Forget the patient; a run is given up."""
        if self.isRunning:
            self._work.cancel(self.task)
        wasUsed = self.task is not None
        self.segmentation, self.task, self.problem, self.device = None, None, None, ""
        if wasUsed:
            self._events.emit("automatic")

    def close(self) -> None:
        """End; no observer is left."""
        if self.isRunning:
            self._work.cancel(self.task)
        for end in self._ends:
            end()
        self._observations.removeAll()

    def _found(self, gpus: list[tuple[str, str]]) -> None:
        self._gpus = gpus
        self._events.emit("automatic")

    # Prepare

    def _begin(self, device: str, model: str, node: Any) -> Task | None:
        if self.isRunning:
            return None
        missing, case = self.ready(), self._patient.case
        if missing is not None or case is None:
            self._events.message(missing or _("There are no images yet."), "warning")
            return None
        self.problem = None
        networks = dict(self._networks)

        def function(progress: Progress, cancelled: Callable[[], bool]) -> Any:
            return _segment(case, networks, device, model, progress, cancelled)

        self.task = self._work.submit(
            _("Automatic segmentation"),
            function,
            lambda result: self._finished(result, case, node),
            self._failed,
        )
        self._events.emit("automatic")
        return self.task

    # Publish

    def _finished(self, result: tuple[_Found, dict], case: Case, node: Any) -> None:
        found, self._networks = result
        case = self._unchanged(case)
        # Corrections run where the networks did.
        self._correction.setRefiner(found.device, self._correction.refinerModel)
        if node is None:
            self._publish(found.segmentation, case)
        else:
            self._takeOver(found.segmentation, case, node)
        self.segmentation, self.device = found.segmentation, found.device
        for note in found.notes:
            self._events.message(note, "warning")
        self._events.message(_summary(found))
        self._events.emit("automatic")

    def _unchanged(self, case: Case) -> Case:
        """The patient's case as it is now.

        Raises:
            InputError: its images are not those that were segmented.
        """
        now = self._patient.case
        if now is case:
            return case
        if now is None or now.geometry != case.geometry or not _sameImages(now, case):
            raise InputError(
                _(
                    "expected the images that were segmented, found others: they were changed "
                    "meanwhile; segment again"
                )
            )
        return now

    def _publish(self, segmentation: Segmentation, case: Case) -> None:
        """A new node gets the result and the corrections; only then the old one goes."""
        keepOld = self._correction.hasManualWork
        old = self._correction.node
        wanted = f"{self._patient.caseName} segmentation"
        node = createSegmentationNode(
            self._scene, case, self._patient.referenceNode, wanted, segmentation.assessed
        )
        try:
            self._correction.start(case, segmentation, node)
        except Exception:
            removeNode(self._scene, node)
            raise
        node.SetAttribute(NODE_ATTRIBUTE, self._patient.caseName)
        self._putAway(old, keepOld)
        if not keepOld:
            node.SetName(wanted)

    def _takeOver(self, segmentation: Segmentation, case: Case, node: Any) -> None:
        """The labels of a node that was there become the start of the corrections."""
        if not self._scene.IsNodePresent(node):
            raise InputError(_("expected a segmentation to go on with, found that it was deleted"))
        labels = readLabels(node, case)
        if not labels.any():
            raise InputError(
                _(
                    "expected our segments in {name!r}, found none on these images; choose "
                    "another segmentation, or segment the images"
                ).format(name=node.GetName())
            )
        self._correction.start(case, replace(segmentation, labels=labels), node, byHand=True)
        node.SetAttribute(NODE_ATTRIBUTE, self._patient.caseName)

    def _patientChanged(self) -> None:
        # Decided by the next poll: who opens another case also ends the corrections of the one
        # before, but after the images have changed.
        self._isPatientChanged = True

    def _leaveOtherPatient(self) -> None:
        """End the corrections of images that are no longer chosen: they would lie on others."""
        if not self._isPatientChanged:
            return
        self._isPatientChanged = False
        node, own, now = self._correction.node, self._correction.case, self._patient.case
        if own is None or (now is None and self._patient.volumes) or _isSameHeart(own, now):
            self._tellIfOutdated(own, now)
            return
        keep = self._correction.hasManualWork
        self._correction.clear()
        self._putAway(node, keep)
        self.segmentation = None
        self._events.emit("automatic")

    def _tellIfOutdated(self, own: Case | None, now: Case | None) -> None:
        """Say once that another sequence was moved or exchanged since it was segmented."""
        was = self._isOutdated
        self._isOutdated = own is not None and now is not None and not _sameImages(own, now)
        if self._isOutdated and not was:
            self._events.message(OUTDATED, "warning")

    def _putAway(self, node: slicer.vtkMRMLSegmentationNode | None, keep: bool) -> None:
        """Hide a segmentation that is no longer corrected, or remove one that nobody touched."""
        if node is None or not self._scene.IsNodePresent(node):
            return
        if keep:
            self._keepAside(node)
        else:
            removeNode(self._scene, node)

    def _keepAside(self, node: slicer.vtkMRMLSegmentationNode) -> None:
        """Hide a corrected segmentation, and name it so that it is found again."""
        base = f"{node.GetName()} (corrected)"
        node.SetName(self._scene.GenerateUniqueName(base))
        node.SetDisplayVisibility(False)
        self._events.message(
            _("The corrected segmentation is kept, hidden, as {name!r}.").format(
                name=node.GetName()
            ),
            "info",
        )

    def _failed(self, error: Exception) -> None:
        self.problem = NO_TORCH if isinstance(error, ImportError) else inWords(error)
        self._events.message(
            _("The automatic segmentation failed: {problem}").format(problem=self.problem), "error"
        )
        self._events.emit("automatic")


# Run: in the other thread, without the scene.


def _segment(
    case: Case,
    networks: dict[tuple[str, str], Any],
    device: str,
    model: str,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> tuple[_Found, dict[tuple[str, str], Any]]:
    """Run the cascade, on the CPU where the device does not work; networks are loaded once.

    Returns:
        What was found, and the networks to keep.
    """
    progress(0.0, _("loading networks"))
    usable, note = usableDevice(device)
    notes = [] if note is None else [note]
    try:
        segmentation, kept = _run(case, networks, usable, model, progress, cancelled)
    except RuntimeError as error:
        # Memory that runs out, a driver that fails: the CPU always works.
        if usable == CPU or cancelled():
            raise
        notes.append(
            _("The device {usable} failed ({reason}); the CPU was used instead.").format(
                usable=usable, reason=_firstLine(error)
            )
        )
        usable = CPU
        segmentation, kept = _run(case, networks, usable, model, progress, cancelled)
    return _Found(segmentation, usable, tuple(notes)), kept


def _run(
    case: Case,
    networks: dict[tuple[str, str], Any],
    device: str,
    model: str,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> tuple[Segmentation, dict[tuple[str, str], Any]]:
    from myops.cascade.segment import segment
    from myops.weights.files import load_models

    key = (device, model)
    # Only the newest are kept: memory on a GPU is scarce.
    kept = {key: networks[key] if key in networks else load_models(device, name=model)}
    return segment(case, kept[key], progress=progress, cancelled=cancelled), kept


def _sameImages(one: Case, other: Case) -> bool:
    return one.sequences == other.sequences and all(
        np.array_equal(one.images[name], other.images[name]) for name in one.sequences
    )


def _isSameHeart(case: Case, other: Case | None) -> bool:
    """Whether segmentations of one case lie right on the other."""
    if other is None or case.geometry != other.geometry or case.reference != other.reference:
        return False
    name = case.reference
    return case.images[name] is other.images[name] or bool(
        np.array_equal(case.images[name], other.images[name])
    )


def _firstLine(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _summary(found: _Found) -> str:
    seconds = sum(found.segmentation.seconds.values())
    where = _("the CPU") if found.device == CPU else found.device
    words = _("Segmented in {seconds:.1f} s on {where}{weights}.").format(
        seconds=seconds, where=where, weights=_weights(found.segmentation.pack)
    )
    return f"{words} {instead_words(found.segmentation.pack)}".strip()


def _weights(pack: Mapping[str, str]) -> str:
    """Whose networks these were, where a pack says so."""
    if not pack:
        return ""
    return _(", with the weights {name} ({license})").format(
        name=pack["name"], license=pack["license"]
    )
