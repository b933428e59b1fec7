"""The case list: status, reader, time spent, and nothing lost.

Every change of the open case is saved by itself, a moment after it. Time counts to a stage of
`myops.worklist.timing`: "load" until the images are there and looked at, "automatic" while the
networks run, "review" from their result, "correct" from the first correction on, "review" again
from the approval, "save" while the program saves on request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer

from myops.errors import InputError
from myops.patients.find import PatientFiles
from myops.worklist.casefile import STATUSES, CaseFile, session_folder
from myops.worklist.reader_ids import check_reader, check_session
from myops.worklist.study_table import STUDY_TABLE
from myops.worklist.timing import StageClock
from MyoPSSegmenterLib.Runtime.BackgroundWork import inWords
from MyoPSSegmenterLib.Runtime.Translation import tr as _
from MyoPSSegmenterLib.Scene.Observations import Observations
from MyoPSSegmenterLib.Scene.SceneBridge import removeNode
from MyoPSSegmenterLib.Scene.SegmentationNodes import createSegmentationNode
from MyoPSSegmenterLib.Steps.Autosave import Autosave, SessionMarker
from MyoPSSegmenterLib.Steps.CaseStore import (
    CaseRecord,
    findCases,
    readCaseRecord,
    sessionParts,
    withNumbers,
)

if TYPE_CHECKING:
    from myops.refine.state_file import SavedState
    from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork, Task
    from MyoPSSegmenterLib.Runtime.Events import Events
    from MyoPSSegmenterLib.Steps.AutomaticLogic import AutomaticLogic
    from MyoPSSegmenterLib.Steps.CorrectionLogic import CorrectionLogic
    from MyoPSSegmenterLib.Steps.PatientLogic import PatientLogic
    from MyoPSSegmenterLib.Steps.QuantifyLogic import QuantifyLogic

RESULTS_FOLDER = "myops-study"


class StudyLogic:
    """A folder of patients, read by one reader in one session.

    Attributes:
        patients: the images of each case, in the order of the list.
        entries: (name, status) of each case; status is one of `casefile.STATUSES`.
        index: the open case; None if none is.
        reader: the reader's initials.
        session: name of the reading, "1" for the first.
        studyFolder: where the files of `CaseKeeper` go; None before `openFolder`.
        clock: of the open case; None if none is.
        lastSaved: when the open case was last written, local time as ISO text; None before.
    """

    patients: list[PatientFiles]
    entries: list[tuple[str, str]]
    index: int | None
    studyFolder: Path | None
    clock: StageClock | None
    lastSaved: str | None
    _file: CaseFile | None
    _kept: Any
    _followed: Any
    _segmentedAlignments: Mapping[str, Mapping[str, str]]
    _returnTo: str | None
    _openMark: SessionMarker | None
    _nodes: list[Any]

    def __init__(
        self,
        scene: Any,
        events: Events,
        work: BackgroundWork,
        patient: PatientLogic,
        automatic: AutomaticLogic,
        correction: CorrectionLogic,
        quantify: QuantifyLogic,
    ) -> None:
        self._scene, self._events, self._work = scene, events, work
        self._patient, self._automatic = patient, automatic
        self._correction, self._quantify = correction, quantify
        self._isSwitching = False
        self._forget()
        listeners = {
            "automatic": self._followAutomatic,
            "patient": self._followPatient,
            "labels": self._followLabels,
            "history": self._markChanged,
            "measurements": self._markChanged,
        }
        self._ends = [events.connect(topic, call) for topic, call in listeners.items()]
        self._ends.append(work.whenPolled(self._polled))
        self._observations = Observations()
        self._observations.add(scene, slicer.vtkMRMLScene.StartCloseEvent, self._sceneCloses)

    # The list

    def openFolder(
        self,
        folder: str | Path,
        reader: str,
        session: str = "1",
        studyFolder: str | Path | None = None,
    ) -> Task | None:
        """Take a folder of patients as the work list; it is searched in the background.

        Args:
            folder: of patients: sub-folders, or files of several patients side by side.
            reader: initials.
            session: the reader's first, second ... reading of the same cases.
            studyFolder: gets the results; FOLDER/myops-study if None.

        Returns:
            The search; None, with a message, where reader or session cannot be used.
        """
        try:
            who = check_reader(reader), check_session(session)
        except InputError as error:
            self._events.message(str(error), "warning")
            return None
        place = Path(folder) / RESULTS_FOLDER if studyFolder is None else Path(studyFolder)
        return self._work.submit(
            _("Looking for patients"),
            partial(findCases, Path(folder), place, *who),
            done=partial(self._opened, place, *who),
            failed=lambda error: self._events.message(inWords(error), "error"),
            replaces="open study",
        )

    def open(self, index: int) -> None:
        """Save the open case, and open another one with all that was done to it.

        Where its images cannot be read, or the open case cannot be saved, a message says why, and
        the case that was open stays.
        """
        if self.studyFolder is None or not 0 <= index < len(self.patients):
            self._events.message(_("Choose a patient of the list."), "warning")
            return
        if not self._leave():
            self._stay()
            return
        clock = StageClock()
        clock.start("load")
        self._isSwitching = True
        try:
            self._load(self.patients[index], clock)
            self.index = index
        except (InputError, OSError) as error:
            self._events.message(inWords(error), "error")
            if self.clock is not None:
                self.clock.start("review")
        finally:
            self._isSwitching = False
        self._markOpen()
        self._events.emit("study")

    def next(self) -> None:
        """Open the following case; the first one if none is open."""
        self.open(0 if self.index is None else self.index + 1)

    def previous(self) -> None:
        """Open the case before."""
        self.open(0 if self.index is None else self.index - 1)

    @property
    def csvPath(self) -> Path | None:
        """The table of the study; None before `openFolder`."""
        return None if self.studyFolder is None else self.studyFolder / STUDY_TABLE

    def caseFolder(self, index: int) -> Path:
        """Where the files of a case go.

        Raises:
            RuntimeError: there is no case list yet.
        """
        if self.studyFolder is None:
            raise RuntimeError("expected a case list, found none: call openFolder first")
        return session_folder(
            self.studyFolder, self.patients[index].name, self.reader, self.session
        )

    # The open case

    @property
    def status(self) -> str | None:
        """Status of the open case; None if none is open."""
        return None if self._file is None else self._file.status

    def setStatus(self, status: str) -> None:
        """Give the open case a status.

        Raises:
            InputError: no such status.
        """
        if status not in STATUSES:
            raise InputError(
                _("expected a status among {known}, found {status!r}").format(
                    known=", ".join(STATUSES), status=status
                )
            )
        if self._file is None or self.index is None:
            self._events.message(_("Open a patient of the list first."), "warning")
            return
        if status == self._file.status:
            return
        self._file = self._file.with_status(status)
        self.entries[self.index] = (self.entries[self.index][0], status)
        self._markChanged()
        self._events.emit("study")

    def approve(self) -> None:
        """The reader stands by the segmentation as it is; the next change takes this back."""
        if self._correction.session is None:
            self._events.message(_("There is no segmentation to approve yet."), "warning")
            return
        self.setStatus("approved")
        if self.clock is not None:
            self.clock.start("review")

    @property
    def saveWaitS(self) -> float | None:
        """Seconds until a change is to be saved by a `poll`; None where nothing waits."""
        return self._autosave.waitS

    def activity(self) -> None:
        """The reader did something; front ends call this for every click and key."""
        if self.clock is not None:
            self.clock.touch()

    def save(self) -> Task | None:
        """Save the open case now, in the background; None if none is open."""
        if self.clock is None:
            return None
        stage = self.clock.stage
        self.clock.start("save")
        task = self._save()
        if stage is not None and stage != "save":
            self._returnTo = stage
        return task

    def recover(self) -> str | None:
        """Open the case that was open when the program ended unexpectedly.

        Returns:
            Its name; None where everything was closed.
        """
        names = [patient.name for patient in self.patients]
        name = None if self._openMark is None or self.index is not None else self._openMark.read()
        if name not in names:
            return None
        self.open(names.index(name))
        return name

    def clear(self) -> None:
        """Save the open case, and forget the list."""
        self._leave()
        self._leaveList()

    def close(self) -> None:
        """Save the open case and end: nothing listens any more."""
        self.clear()
        for end in self._ends:
            end()
        self._ends = []
        self._observations.removeAll()

    # Beginning and ending a case

    def _opened(self, place: Path, reader: str, session: str, found: Any) -> None:
        patients, statuses, problems = found
        if not self._leave():
            self._stay()
            return
        self._leaveList()
        self.patients, self.reader, self.session = list(patients), reader, session
        self.studyFolder = place
        self.entries = [(p.name, status) for p, status in zip(patients, statuses, strict=True)]
        for text in problems:
            self._events.message(text, "warning")
        self._openMark = SessionMarker(place, reader, session)
        name = self._openMark.read()
        if name is not None:
            self._events.message(
                _(
                    "{name} was open when the program ended. Open it: every change that was made "
                    "is there."
                ).format(name=name)
            )
        self._events.emit("study")

    def _load(self, files: PatientFiles, clock: StageClock) -> None:
        assert self.studyFolder is not None
        kept, state, problems = readCaseRecord(
            self.studyFolder, files.name, self.reader, self.session
        )
        self._patient.loadFiles(files)
        self._correction.clear()
        self._automatic.clear()
        self._removeNodes()
        self._file, self._kept, self._returnTo = kept, None, None
        self._hadWork = state is not None and kept.status in ("corrected", "approved")
        self._hasState = state is not None
        self.lastSaved, self._autosave = None, Autosave()
        self.clock = StageClock.from_dict(kept.clock)
        self._include(clock)
        self._segmentedAlignments = kept.segmented_alignments
        if state is not None:
            self._patient.restoreAlignments(kept.segmented_alignments)
            self._resume(state, kept, problems)
        self._patient.restoreAlignments(kept.alignments)
        self.clock.start("load" if self._correction.session is None else "review")
        for text in problems:
            self._events.message(text, "warning")

    def _include(self, clock: StageClock) -> None:
        """Count the time of loading to the case that it belongs to."""
        assert self.clock is not None
        values = self.clock.to_dict()
        for stage, seconds in clock.stop().items():
            values["seconds"][stage] = values["seconds"].get(stage, 0.0) + seconds
        self.clock = StageClock.from_dict(values)

    def _resume(self, state: SavedState, kept: CaseFile, problems: list[str]) -> None:
        """Show the segmentation as it was left, with its prompts."""
        case, reference = self._patient.case, self._patient.referenceNode
        if case is None or reference is None:
            problems.append(self._patient.problem or _("The images make no case."))
            return
        name = f"{self._patient.caseName} segmentation"
        assessed = state.segmentation.assessed
        node = createSegmentationNode(self._scene, case, reference, name, assessed)
        try:
            self._correction.start(case, state.segmentation, node, saved=state)
        except InputError as error:  # other images than those that were corrected
            removeNode(self._scene, node)
            problems.append(str(error))
            return
        self._automatic.segmentation = state.segmentation
        self._correction.clickTimings[:] = kept.clicks
        self._kept = self._correction.session
        self._nodes.append(node)

    def _removeNodes(self) -> None:
        """Take the segmentations of the case before out of the scene: they are saved."""
        nodes, self._nodes = self._nodes, []
        for node in nodes:
            removeNode(self._scene, node)

    def _stay(self) -> None:
        """The open case could not be saved: it would be lost if another one were opened."""
        if self.clock is not None:
            self.clock.start("review" if self._correction.session is not None else "load")
        self._events.message(
            _(
                "The open patient stays open, because it could not be saved: see that {folder} is "
                "there and can be written to, then try again."
            ).format(folder=self.studyFolder),
            "error",
        )
        self._events.emit("study")

    def _leave(self) -> bool:
        """Save the open case, if there is one; False where it could not be saved."""
        if self.clock is None:
            return True
        if self._automatic.isRunning:
            self._automatic.cancel()
        self.clock.pause()
        task = self._save(complete=True)
        if task is not None:
            self._work.waitFor(task)
        return task is None or task.state != "failed"

    def _leaveList(self) -> None:
        """Forget the list; the open case is saved, or is given up."""
        self._closeMark()
        self._forget()
        self._events.emit("study")

    def _markOpen(self) -> None:
        if self._openMark is None or self.index is None:
            return
        problem = self._openMark.write(self.patients[self.index].name)
        if problem is not None:
            self._events.message(problem, "error")

    def _closeMark(self) -> None:
        if self._openMark is not None:
            self._openMark.remove()

    def _sceneCloses(self) -> None:
        """Save while all is still there; the list stays, no case is open."""
        self._leave()
        self._closeMark()
        self._nodes = []
        self.index, self.clock, self._file, self._kept = None, None, None, None
        self._autosave = Autosave()
        self._events.emit("study")

    def _forget(self) -> None:
        self.patients = []
        self.entries = []
        self.index = None
        self.reader, self.session = "", "1"
        self.studyFolder = None
        self.clock = None
        self.lastSaved = None
        self._file = None
        self._kept = None  # the session that the state on disk belongs to
        self._followed = None  # the session whose images are known
        self._segmentedAlignments = {}
        self._returnTo = None
        self._autosave = Autosave()
        self._openMark = None
        self._hadWork = False  # whether the state on disk holds work of the reader
        # Whether there is a state on disk: it opens only on images that lie as they did then, so
        # what is open without it changes neither how they are noted to lie nor the clicks.
        self._hasState = False
        self._lastProblem = ""
        self._nodes = []  # segmentations of the open case

    # Following what happens

    def _followAutomatic(self, **_: Any) -> None:
        if self.clock is None or self._isSwitching:
            return
        if self._automatic.isRunning:
            if self.clock.stage != "automatic":
                self.clock.start("automatic")
        elif self.clock.stage == "automatic":
            self.clock.start("review" if self._correction.session is not None else "load")

    def _followPatient(self, **_: Any) -> None:
        """A sequence that was moved is saved where it stands."""
        if self._file is not None and self._patient.alignments() != self._file.alignments:
            self._markChanged()

    def _followLabels(self, **_: Any) -> None:
        session = self._correction.session
        if session is not self._followed:
            # A segmentation begins on the images as they stand at this moment.
            self._followed = session
            if not self._isSwitching:
                self._segmentedAlignments = self._patient.alignments()
        if self.clock is None or self._file is None or self._isSwitching or session is None:
            return
        if self._correction.node not in self._nodes:
            self._nodes.append(self._correction.node)
        if session.steps:
            if self.clock.stage != "correct":
                self.clock.start("correct")
            self.activity()
            self.setStatus("corrected")
        else:
            self.setStatus("automatic")
        self._markChanged()

    def _markChanged(self, **_: Any) -> None:
        """Something is to be saved; `_polled` does it after a moment of quiet."""
        if self.clock is not None and not self._isSwitching:
            self._autosave.changed()

    def _polled(self) -> None:
        if self._autosave.isDue:
            self._save()

    # Saving

    def _save(self, complete: bool = False) -> Task | None:
        """Write the open case; where its numbers are not measured yet, wait for them or not."""
        if self._file is None or self.clock is None or self.studyFolder is None:
            return None
        kept = self._gather(complete)
        self._autosave.begun()
        return self._work.submit(
            _("Saving"),
            kept.write,
            done=partial(self._saved, kept.caseFile),
            failed=partial(self._notSaved, kept),
            first=True,
        )

    def _gather(self, complete: bool) -> CaseRecord:
        """All that is saved, taken now."""
        assert self._file is not None and self.clock is not None and self.studyFolder is not None
        session = self._correction.session
        fresh = None if self._quantify.stale else self._quantify.measurements
        changed = replace(self._file, clock=self.clock.to_dict())
        if session is not None or not self._hasState:
            changed = replace(
                changed,
                clicks=tuple(replace(click) for click in self._correction.clickTimings),
                alignments=self._patient.alignments(),
                segmented_alignments={} if session is None else self._segmentedAlignments,
            )
        self._file = withNumbers(changed, session, self._quantify.masses)
        # A new session where one with the reader's work was: that one is kept beside it.
        supersedes = session is not None and self._kept is not session and self._hadWork
        if session is not None:
            self._kept, self._hadWork = session, self._correction.hasManualWork
            self._hasState = True
        return CaseRecord(
            self.studyFolder,
            self._file,
            measurements=fresh,
            toMeasure=self._quantify.snapshot() if complete else None,
            supersedes=supersedes,
            **sessionParts(session),
        )

    def _saved(self, written: CaseFile, problems: tuple[str, ...]) -> None:
        if self._file is None or self._file.case != written.case:
            return
        self.lastSaved = datetime.now().astimezone().isoformat(timespec="seconds")
        self._lastProblem = ""
        self._resumeStage()
        for text in problems:
            self._events.message(text, "warning")
        self._events.emit("study")

    def _resumeStage(self) -> None:
        """Go on with the stage that a save on request interrupted."""
        if self._returnTo is not None and self.clock is not None:
            self.clock.start(self._returnTo)
        self._returnTo = None

    def _notSaved(self, kept: CaseRecord, error: Exception) -> None:
        self._autosave.failed()
        self._resumeStage()
        if kept.supersedes:  # the work on disk is still to be kept aside
            self._kept, self._hadWork = None, True
        if str(error) != self._lastProblem:
            self._lastProblem = str(error)
            self._events.message(
                _("The case could not be saved: {reason}").format(reason=inWords(error)), "error"
            )
