"""What is kept of the open case: gathered on the main thread, written in the background.

STUDY/<case>/<reader>/<session>/case.json            status, time by stage, clicks and latencies
                                state.npz            masks, prompts, undo; see refine/state_file.py
                                state-1.npz ...      manual work that another run superseded
                                session.json         the clicks, for `myops refine --prompts`
                                measurements.json    the numbers, once they are measured
STUDY/study.csv                                      one row per case, reader and session
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myops.errors import InputError
from myops.io.atomic import set_aside, write_atomic, write_json
from myops.patients.find import PatientFiles, find_patients
from myops.refine.record import SESSION_FILE, session_images_sha256, to_record
from myops.refine.state_file import SavedState, read_state, save_state, to_state
from myops.structures import MEASURED
from myops.worklist.casefile import (
    CASE_FILE,
    STATE_FILE,
    CaseFile,
    read_case_file,
    session_folder,
    write_case_file,
)
from myops.worklist.study_table import write_study_table
from MyoPSSegmenterLib.Runtime.Translation import tr as _

if TYPE_CHECKING:
    from collections.abc import Callable

    from myops.case import Case
    from myops.progress import Progress
    from myops.quantify.mass import TissueMass
    from myops.quantify.measurements import Measurements
    from myops.refine.session import Session
    from MyoPSSegmenterLib.Steps.QuantifyLogic import MeasurementRequest

# The masses in the file of a case: of what has a label, and of the whole wall.
MASSES = tuple(
    key for key, row in MEASURED.items() if row.within("myocardium") and not row.is_union
)


@dataclass(frozen=True)
class CaseRecord:
    """Everything of the open case that is written; nothing of it changes afterwards.

    Attributes:
        study: folder of the study.
        caseFile: status, times, clicks, masses.
        case: images; None before they make a case.
        state: the session; None before there is a segmentation.
        record: the clicks as JSON values; None without a session.
        measurements: numbers of exactly these labels; None while they are not measured.
        toMeasure: measured before the writing where there are no numbers yet; None to do without.
        supersedes: the state on disk is manual work that this one does not continue: keep it aside.
    """

    study: Path
    caseFile: CaseFile
    case: Case | None = None
    state: SavedState | None = None
    record: Mapping[str, Any] | None = None
    measurements: Measurements | None = None
    toMeasure: MeasurementRequest | None = None
    supersedes: bool = False

    @property
    def folder(self) -> Path:
        """STUDY/<case>/<reader>/<session>."""
        found = self.caseFile
        return session_folder(self.study, found.case, found.reader, found.session)

    def write(
        self,
        progress: Progress = lambda *_: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> tuple[str, ...]:
        """Write every file beside the old one and move it in; runs in any thread.

        The state comes first: a program killed in between leaves times that are a little old, never
        a mask that is.

        Returns:
            Problems with other cases of the study, one sentence each.

        Raises:
            InputError: the folder cannot be written; what was there before stays.
        """
        if self.state is not None:
            if self.supersedes:
                _keepVersion(self.folder / STATE_FILE)
            save_state(self.folder / STATE_FILE, self.state)
        measurements = self.measurements
        if measurements is None and self.toMeasure is not None:
            progress(0.2, _("measuring"))
            measurements = self.toMeasure.measure()
        write_case_file(self.study, _withMethods(self.caseFile, measurements))
        if self.record is not None:
            write_json(self.folder / SESSION_FILE, self.record)
        self._writeMeasurements(measurements)
        return write_study_table(self.study).problems

    def _writeMeasurements(self, measurements: Measurements | None) -> None:
        if measurements is None or self.case is None or self.state is None:
            return
        from myops.output.results import write_results

        segmentation = replace(self.state.segmentation, labels=self.state.labels)
        write_results(self.folder, self.case, segmentation, measurements, formats=("json",))


def sessionParts(session: Session | None) -> dict[str, Any]:
    """The parts of `CaseRecord` that come from a session."""
    if session is None:
        return {}
    return {"case": session.case, "state": to_state(session), "record": to_record(session)}


def withNumbers(
    caseFile: CaseFile,
    session: Session | None,
    masses: Mapping[str, TissueMass],
) -> CaseFile:
    """A case's file with the present masses; those of conventional methods come with `write`.

    Args:
        caseFile: gets them.
        session: counts undo and redo.
        masses: of the present labels.
    """
    if session is None:
        return caseFile
    actions = [step.action for step in session.steps]
    return replace(
        caseFile,
        undos=actions.count("undo"),
        redos=actions.count("redo"),
        masses_g={name: masses[name].mass_g for name in MASSES if name in masses},
        methods_g={},
        note="" if "scar" not in masses else masses["scar"].reason or "",
        images_sha256=session_images_sha256(session),
        model=dict(session.start.model),
    )


def readCaseRecord(
    study: Path, case: str, reader: str, session: str
) -> tuple[CaseFile, SavedState | None, list[str]]:
    """Read what was kept of a case; what is damaged is kept aside and named.

    Returns:
        The case's file (a new one where there is none), its session, and problems in words.
    """
    folder, problems = session_folder(study, case, reader, session), []
    found, state = CaseFile(case, reader, session), None
    if (folder / CASE_FILE).is_file():
        try:
            found = read_case_file(folder)
        except InputError as error:
            problems.append(str(error))
    if (folder / STATE_FILE).is_file():
        try:
            state = read_state(folder / STATE_FILE)
        except InputError as error:
            kept = set_aside(folder / STATE_FILE)
            problems.append(
                _("{error} (the file is kept as {name})").format(error=error, name=kept.name)
            )
    return found, state, problems


def findCases(
    folder: Path,
    study: Path,
    reader: str,
    session: str,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> tuple[tuple[PatientFiles, ...], list[str], list[str]]:
    """Patients of a folder, the status of each, and problems in words; runs in any thread.

    Raises:
        InputError: no images in the folder.
    """
    patients = find_patients(folder, lambda name: progress(0.0, name))
    statuses: list[str] = []
    problems: list[str] = []
    for number, patient in enumerate(patients):
        progress(number / len(patients), patient.name)
        place = session_folder(study, patient.name, reader, session)
        status = "new"
        if (place / CASE_FILE).is_file():
            try:
                status = read_case_file(place, keep_aside=False).status
            except InputError as error:
                problems.append(str(error))
        statuses.append(status)
    return patients, statuses, problems


def _withMethods(caseFile: CaseFile, measurements: Measurements | None) -> CaseFile:
    if measurements is None:
        return caseFile
    grams = {name: found.mass.mass_g for name, found in measurements.methods.items()}
    return replace(caseFile, methods_g=grams)


def _keepVersion(path: Path) -> None:
    """Copy the state of manual work to the next free name; it is replaced only afterwards."""
    if not path.is_file():
        return
    number = 1
    while (kept := path.with_name(f"{path.stem}-{number}{path.suffix}")).exists():
        number += 1
    write_atomic(kept, lambda beside: shutil.copyfile(path, beside))
