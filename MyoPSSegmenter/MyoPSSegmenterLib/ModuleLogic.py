"""Everything the module can do, on a scene: the same in desktop Slicer, in a browser and in CI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork
from MyoPSSegmenterLib.Runtime.Events import Events
from MyoPSSegmenterLib.Scene.Observations import Observations
from MyoPSSegmenterLib.Steps.AutomaticLogic import AutomaticLogic
from MyoPSSegmenterLib.Steps.CorrectionLogic import CorrectionLogic
from MyoPSSegmenterLib.Steps.ExportLogic import exportInBackground
from MyoPSSegmenterLib.Steps.PatientLogic import PatientLogic
from MyoPSSegmenterLib.Steps.QuantifyLogic import QuantifyLogic
from MyoPSSegmenterLib.Steps.StudyLogic import StudyLogic

if TYPE_CHECKING:
    import slicer

    from MyoPSSegmenterLib.Runtime.BackgroundWork import Task


class MyoPSLogic:
    """The parts of the workflow, wired together.

    A front end makes one with its scene, calls `poll` from a timer (about every 30 ms), and listens
    to `events`. All methods are for the main thread.

    What no panel calls is for scripts and for a browser, which have no markups to click with and no
    timer: `correction.addClick`, `addBox`, `moveClick`, `deleteClick`; `quantify.setSettings`,
    `setLandmarks` and `remoteNode`; `study.recover` and `caseFolder`; `work.waitFor`, `waitForAll`.

    Attributes:
        scene: as given.
        events: topics to listen to.
        work: the background.
        patient, automatic, correction, quantify, study: the steps of the workflow.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self.scene = scene
        self.events = Events()
        self.work = BackgroundWork(self.events)
        common = (scene, self.events, self.work)
        self.patient = PatientLogic(*common)
        self.correction = CorrectionLogic(*common)
        self.automatic = AutomaticLogic(*common, self.patient, self.correction)
        self.quantify = QuantifyLogic(*common, self.patient, self.correction)
        self.study = StudyLogic(
            *common, self.patient, self.automatic, self.correction, self.quantify
        )
        self._observations = Observations()
        # Made last, so that every part has forgotten its nodes when the listeners hear of it.
        self._observations.add(scene, scene.EndCloseEvent, lambda: self.events.emit("clear"))

    def poll(self, giveMs: float = 0) -> None:
        """Take over what the background found; see `BackgroundWork.poll`."""
        self.work.poll(giveMs)

    def export(
        self,
        folder: str | Path,
        formats: Sequence[str] | None = None,
        done: Callable[[dict[str, Path]], object] | None = None,
        keepIdentity: bool = False,
    ) -> Task:
        """Write the patient's results in the background; see `ExportLogic.exportInBackground`.

        Args:
            folder: made if missing.
            formats: out of `myops.output.results.FORMATS`; the usual ones if None.
            done: called with file name to path.
            keepIdentity: whether DICOM files carry the patient's name, ID and birth date.

        Raises:
            InputError: there is nothing to export.
        """
        self.correction.adoptIfEdited()
        chosen = {} if formats is None else {"formats": formats}
        return exportInBackground(
            self.work,
            self.events,
            folder,
            self.correction,
            self.quantify,
            done=done,
            keepIdentity=keepIdentity,
            **chosen,
        )

    def clear(self) -> None:
        """Forget the patient and the work list; images that were loaded here leave the scene."""
        for part in (self.study, self.automatic, self.correction, self.patient):
            part.clear()
        self.events.emit("clear")

    def close(self) -> None:
        """End: no thread, no observer, no listener is left; the scene stays as it is."""
        for part in (self.study, self.quantify, self.automatic, self.correction, self.patient):
            part.close()
        self._observations.removeAll()
        self.work.close()
        self.events.clear()
