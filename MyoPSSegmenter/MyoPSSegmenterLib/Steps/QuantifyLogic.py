"""The numbers follow the labels: masses at once, everything else from the background.

The conventional methods, segments and plots take half a second: they are measured when the reader
pauses. What is measured is exactly what `myops quantify` measures for the same label map.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.coverage import Hidden, hidden_tissues, reasons_of_heart
from myops.errors import InputError
from myops.labels import myocardium
from myops.quantify.human_heart import is_heart_warning
from myops.quantify.label_map import assessed_or_labeled
from myops.quantify.mass import TissueMass, spacing_refusal, tissue_masses
from myops.quantify.thresholds.methods import ConventionalSettings, rule_title
from myops.quantify.thresholds.remote import SECTOR_WIDTH_DEG, Sector
from myops.report.colors import COLORS, NAMES, rgb
from MyoPSSegmenterLib.Runtime.Translation import tr as _
from MyoPSSegmenterLib.Scene import MeasurementTables, OverlayNodes
from MyoPSSegmenterLib.Scene.BullsEye import bullsEyePlot, findChart
from MyoPSSegmenterLib.Scene.MeasurementTables import TABLES, emptyTables
from MyoPSSegmenterLib.Scene.RemoteHandle import RemoteHandle, handlePlace, sectorAngle
from MyoPSSegmenterLib.Scene.SlicePlot import emptySlicePlot, slicePlot
from MyoPSSegmenterLib.Steps.ClickedLandmarks import ClickedLandmarks
from MyoPSSegmenterLib.Steps.MeasurementRequest import MeasurementRequest

if TYPE_CHECKING:
    import slicer

    from myops.case import Case
    from myops.quantify.measurements import Measurements
    from myops.quantify.regional.orientation import Landmarks
    from myops.report.bullseye import Quantity
    from MyoPSSegmenterLib.Panels.PanelLogic import CorrectedCase
    from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork, Task
    from MyoPSSegmenterLib.Runtime.Events import Events
    from MyoPSSegmenterLib.Steps.PatientLogic import PatientLogic

# So long after the last change: clicks in a row are measured once.
PAUSE_S = 0.3
REMOTE_SEGMENT = "remote"
METHOD_SEGMENT = "method_"
# One after the other for the masks that are shown; violet first, as in the report. With any color
# vision they differ from each other, the structures, a proposal and the remote region.
METHOD_COLORS = (COLORS["fwhm"], "#bbcc77", "#997777", "#889966", "#ee0033")


class QuantifyLogic:
    """Numbers, tables and plots of the segmentation that is corrected.

    Attributes:
        masses: tissue name to mass, always those of the present labels; empty without labels.
        measurements: every number; of earlier labels while `stale`, None before the first.
        problem: why the last measurement failed, as a sentence; None when it did not.
        settings: conventional rules; all of them, as on the command line.
        sector: the reader's remote sector; None where it is found automatically.
        landmarks: what the reader said about places in the heart, for the segments and T2 ratios.
        bullsEyeQuantity: what the bull's-eye shows.
    """

    masses: Mapping[str, TissueMass]
    measurements: Measurements | None
    problem: str | None
    sector: Sector | None
    landmarks: Landmarks | None
    _usable: tuple[Sector | None, Landmarks | None]
    _case: Case | None
    _hidden: Hidden
    _wanted: MeasurementRequest | None
    _task: Task | None
    _stale: bool
    _due: float | None
    _handleSlice: int | None

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        events: Events,
        work: BackgroundWork,
        patient: PatientLogic,
        correction: CorrectedCase,
    ) -> None:
        """Begin without numbers; listens to "labels" and "clear" until `close`."""
        self._scene, self._events, self._work = scene, events, work
        self._patient, self._correction = patient, correction
        self._handle = RemoteHandle(scene, self.moveRemoteTo)
        self._clicked = ClickedLandmarks(
            scene,
            correction,
            lambda: self.landmarks,
            self.setLandmarks,
            partial(events.message, level="warning"),
            partial(events.emit, "prompts"),
        )
        self._disconnects: list[Callable[[], object]] = [
            events.connect("labels", self._onLabels),
            events.connect("clear", self.clear),
            work.whenPolled(self.poll),
        ]
        self.settings = ConventionalSettings()
        self.bullsEyeQuantity: Quantity = "scar"
        # What is shown stays so from case to case.
        self._shownMethods: list[str] = []
        self._remoteShown = False
        self._reset()

    @property
    def stale(self) -> bool:
        """Whether `measurements` (and the tables made of them) are not those of the present."""
        return self._stale

    @property
    def qualityWarnings(self) -> tuple[str, ...]:
        """What makes the numbers doubtful: no human heart's, or segments laid out badly."""
        if self.measurements is None:
            return ()
        regional = self.measurements.regional
        hearts = tuple(words for words in self.measurements.warnings if is_heart_warning(words))
        return hearts + (regional.warnings if regional is not None else ())

    @property
    def remoteNode(self) -> slicer.vtkMRMLMarkupsFiducialNode | None:
        """The point that moves the remote region; None while it is hidden."""
        return self._handle.node

    @property
    def shownMethods(self) -> frozenset[str]:
        """Methods whose masks are shown."""
        return frozenset(self._shownMethods)

    def methods(self) -> dict[str, str]:
        """Name to title of every method that was measured, in the order of the table."""
        if self.measurements is None:
            return {}
        return {n: rule_title(scar.result) for n, scar in self.measurements.methods.items()}

    def snapshot(self) -> MeasurementRequest | None:
        """What to measure now; None without labels."""
        session = self._correction.session
        if session is None:
            return None
        segmentation = session.segmentation()
        seen = assessed_or_labeled(segmentation.assessed, segmentation.labels)
        # Under the name that is shown now; the images are those that were segmented. Volumes that
        # make no case end no session, and their name may be another patient's.
        own = self._patient.case is None
        return MeasurementRequest(
            replace(session.case, name=session.case.name if own else self._patient.caseName),
            replace(segmentation, assessed=seen),
            self.settings,
            self.sector,
            self.landmarks,
        )

    def measureNow(self) -> Task | None:
        """Measure in the background without waiting for a pause.

        Returns:
            The task; None without labels.
        """
        self._due = None
        snapshot = self.snapshot()
        if snapshot is None:
            return None
        self._wanted = snapshot
        self._task = self._work.submit(
            _("Measuring"),
            lambda progress, cancelled: snapshot.measure(),
            done=partial(self._onMeasured, snapshot),
            failed=partial(self._onFailed, snapshot),
            replaces="measure",
        )
        if not self._stale:
            self._stale = True
            self._events.emit("measurements")
        return self._task

    def poll(self) -> None:
        """Start a measurement that is due; called with every poll of the background work."""
        canceled = self._stale and self._task is not None and self._task.state == "cancelled"
        if self._due is None and canceled:  # by the user, with everything else
            self._due = time.monotonic() + PAUSE_S
        if self._due is not None and time.monotonic() >= self._due:
            self.measureNow()
        if self._remoteShown and self._handleSlice != self._correction.currentSlice:
            self._placeHandle()

    def setSettings(self, settings: ConventionalSettings) -> None:
        """Measure by other rules."""
        if settings != self.settings:
            self.settings = settings
            self.measureNow()

    def setRemoteSector(self, centerAngleDeg: float, widthDeg: float = SECTOR_WIDTH_DEG) -> None:
        """Take the remote myocardium from a sector of every slice.

        A sector that cannot be used (too little healthy muscle in it) is taken back with a message.

        Args:
            centerAngleDeg: its middle, counterclockwise as displayed, 0 = image right.
            widthDeg: above 0 up to 360.
        """
        self.sector = Sector(float(centerAngleDeg), float(widthDeg))
        self.measureNow()

    def clearRemote(self) -> None:
        """Find the remote region automatically again."""
        self.sector = None
        self.measureNow()

    def showRemote(self, visible: bool) -> None:
        """Show the remote region as a segment, with a point to drag it around the heart."""
        self._remoteShown = visible
        if not visible:
            self._handle.hide()
        self._showRemoteMask()
        self._placeHandle()

    def showMethod(self, name: str, visible: bool) -> None:
        """Show what a conventional method calls scar as a segment of its own.

        It follows the measurements until it is hidden, also in the next case.

        Args:
            name: such as "fwhm_half_of_maximum_volume", see `methods`.
            visible: False takes it away.
        """
        if visible and name not in self._shownMethods:
            self._shownMethods.append(name)
        elif not visible and name in self._shownMethods:
            self._shownMethods.remove(name)
        self._showMethodMask(name)

    def setBullsEye(self, quantity: Quantity) -> None:
        """Show "scar", "edema" or "transmurality" in the bull's-eye."""
        self.bullsEyeQuantity = quantity
        if self.measurements is not None:
            bullsEyePlot(self._scene, self.measurements.regional, quantity)

    @property
    def placingLandmark(self) -> str | None:
        """Which of `ClickedLandmarks.LANDMARKS` the next click in a view places; None for none."""
        return self._clicked.placing

    def placeLandmark(self, which: str | None) -> None:
        """Let the next click in a view place a landmark, or give the mouse back for None."""
        self._clicked.place(which)
        self._events.emit("prompts")

    def setLandmarkAt(self, which: str, ras: Sequence[float]) -> None:
        """One of `ClickedLandmarks.LANDMARKS` lies here: RAS, mm, of a click or of a script."""
        self._clicked.put(which, ras)

    def moveRemoteTo(self, ras: Sequence[float]) -> None:
        """Take the remote region in the direction of a place, seen from the ventricle's middle."""
        session = self._correction.session
        if session is None:
            return
        angle = sectorAngle(session.case, session.labels, ras)
        if angle is not None:
            width = self.sector.width_deg if self.sector is not None else float(SECTOR_WIDTH_DEG)
            self.setRemoteSector(angle, width)

    def clearLandmarks(self) -> None:
        """Find the heart's orientation automatically again."""
        self._clicked.hide()
        self.setLandmarks(None)
        self._events.emit("prompts")

    def setLandmarks(self, landmarks: Landmarks | None) -> None:
        """Say where the heart's segments begin, where the images do not tell it."""
        self.landmarks = landmarks
        self.measureNow()

    def clear(self, **_: Any) -> None:
        """Forget all numbers; tables that are still in the scene are emptied."""
        hadNumbers = bool(self.masses) or self.measurements is not None
        self._handle.hide()
        self._clicked.hide()
        self._reset()
        self._emptyNodes(TABLES)
        if hadNumbers:
            self._events.emit("numbers")
            self._events.emit("measurements")

    def close(self) -> None:
        """End: nothing listens or observes any more; the nodes stay."""
        for disconnect in self._disconnects:
            disconnect()
        self._disconnects.clear()
        self._handle.hide()
        self._clicked.hide()

    def _reset(self) -> None:
        self.masses = {}
        self.measurements = None
        self.problem = None
        self.sector = None
        self.landmarks = None
        self._usable = (None, None)
        self._case = None
        self._hidden = {}
        self._wanted = None
        self._task = None
        self._stale = False
        self._due = None
        self._handleSlice = None

    def _onLabels(self, **_: Any) -> None:
        session = self._correction.session
        if session is None:
            self.clear()
            return
        if session.case is not self._case:
            self.clear()
            self._case = session.case
            self._hidden = hidden_tissues(session.case)
        self.masses = self._liveMasses(session.case, session.start.assessed, session.labels)
        self._stale = True
        self._wanted = None
        self._due = time.monotonic() + PAUSE_S
        MeasurementTables.updateMassTable(self._scene, self.masses)
        self._events.emit("numbers")

    def _liveMasses(
        self, case: Case, assessed: frozenset[str], labels: np.ndarray
    ) -> dict[str, TissueMass]:
        """As `measure` would give them for these labels."""
        voxelMl = case.geometry.voxel_volume_ml if case.spacing_known else None
        lacking = reasons_of_heart(self._hidden, myocardium(labels)) if self._hidden else {}
        seen = assessed_or_labeled(assessed, labels)
        return tissue_masses(labels, seen, voxelMl, lacking, spacing_refusal(case))

    def _onMeasured(self, snapshot: MeasurementRequest, measurements: Measurements) -> None:
        if snapshot is not self._wanted:  # labels or settings have changed since
            return
        self.measurements, self.problem = measurements, None
        self._usable = (snapshot.sector, snapshot.landmarks)
        self._publish()

    def _onFailed(self, snapshot: MeasurementRequest, error: Exception) -> None:
        """Go back to the last sector and landmarks that worked, or to none; else say why not."""
        if snapshot is not self._wanted:
            return
        asked = (snapshot.sector, snapshot.landmarks)
        isInput = isinstance(error, InputError)
        words = (
            str(error)
            if isInput
            else _("Measuring failed ({kind}: {error}).").format(
                kind=type(error).__name__, error=error
            )
        )
        if isInput and asked != (None, None):
            self.sector, self.landmarks = (None, None) if asked == self._usable else self._usable
            self._usable = (self.sector, self.landmarks)
            if self.landmarks is None:
                self._clicked.hide()
            self._events.emit("message", text=words, level="warning")
            self.measureNow()
            return
        if words != self.problem:
            self._events.emit("message", text=words, level="warning" if isInput else "error")
        self.measurements, self.problem = None, words
        self._publish()

    def _publish(self) -> None:
        """Bring tables, plots and shown masks up to date; main thread only."""
        self._stale = False
        if self.measurements is None:
            self._emptyNodes(TABLES[1:])
        else:
            MeasurementTables.updateMethodsTable(self._scene, self.measurements)
            MeasurementTables.updateSegmentsTable(self._scene, self.measurements)
            MeasurementTables.updateSlicesTable(self._scene, self.measurements)
            slicePlot(self._scene, self.measurements)
            bullsEyePlot(self._scene, self.measurements.regional, self.bullsEyeQuantity)
        for name in self._shownMethods:
            self._showMethodMask(name)
        self._showRemoteMask()
        self._placeHandle()
        self._events.emit("measurements")

    def _emptyNodes(self, tables: Sequence[str]) -> None:
        """Take the numbers out of the nodes that the scene holds; none is made for that."""
        emptySlicePlot(self._scene)
        emptyTables(self._scene, tables)
        if findChart(self._scene) is not None:
            bullsEyePlot(self._scene, None, self.bullsEyeQuantity)

    def _showMethodMask(self, name: str) -> None:
        scar = self.measurements.methods.get(name) if self.measurements is not None else None
        mask = scar.result.mask if scar is not None and name in self._shownMethods else None
        color = METHOD_COLORS[0]
        if name in self._shownMethods:
            color = METHOD_COLORS[self._shownMethods.index(name) % len(METHOD_COLORS)]
        title = rule_title(scar.result) if scar is not None else name
        self._showMask(METHOD_SEGMENT + name, mask, title, _channels(color))

    def _showRemoteMask(self) -> None:
        remote = self.measurements.remote if self.measurements is not None else None
        mask = remote.mask if remote is not None and self._remoteShown else None
        self._showMask(REMOTE_SEGMENT, mask, NAMES["remote"], rgb("remote"))

    def _showMask(
        self,
        segmentId: str,
        mask: np.ndarray | None,
        title: str,
        color: tuple[float, float, float],
    ) -> None:
        node, session = self._correction.node, self._correction.session
        if node is None or session is None:
            return
        if mask is None:
            OverlayNodes.hideBeside(node, segmentId)
        else:
            OverlayNodes.showBeside(node, session.case, mask, segmentId, title, color)

    def _placeHandle(self) -> None:
        """Put the point into the slice that is looked at, in the middle of the remote region."""
        session = self._correction.session
        remote = self.measurements.remote if self.measurements is not None else None
        if not self._remoteShown or session is None or remote is None or self._handle.isDragged:
            return
        self._handleSlice = self._correction.currentSlice
        depth = self._handleSlice
        if depth is None:
            depth = float(np.flatnonzero(remote.mask.any(axis=(1, 2))).mean())
        place = handlePlace(session.case, session.labels, remote, depth)
        if place is not None:
            self._handle.show(place)


def _channels(color: str) -> tuple[float, float, float]:
    red, green, blue = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue
