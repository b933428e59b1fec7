"""Results -> files: label maps, tables and reports of the present case, as the command line writes.

Everything that the scene holds is gathered first, on the main thread; measuring and writing then
need no scene and run in the background.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myops.errors import InputError
from myops.output.results import (
    FORMATS,
    USUAL_FORMATS,
    check_sources,
    check_writable,
    missing_packages,
    write_results,
)
from MyoPSSegmenterLib.Runtime.Translation import tr as _

if TYPE_CHECKING:
    from myops.progress import Progress
    from myops.quantify.measurements import Measurements
    from myops.report.review import Review
    from MyoPSSegmenterLib.Panels.PanelLogic import CorrectedCase
    from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork, Task
    from MyoPSSegmenterLib.Runtime.Events import Events
    from MyoPSSegmenterLib.Steps.MeasurementRequest import MeasurementRequest
    from MyoPSSegmenterLib.Steps.QuantifyLogic import QuantifyLogic

TITLES: Mapping[str, str] = {
    "seg.nrrd": _("Segmentation for 3D Slicer (.seg.nrrd)"),
    "nifti": _("MyoPS labels (.nii.gz)"),
    "csv": _("Measurements as CSV"),
    "json": _("Measurements as JSON"),
    "html": _("Report as HTML"),
    "pdf": _("Report as PDF"),
    "dicom": _("DICOM segmentation and report (SEG, SR)"),
}


@dataclass(frozen=True)
class Export:
    """What is to be written; nothing of it changes afterwards.

    Attributes:
        snapshot: images, labels and how to measure them.
        measurements: numbers of these labels; None where they are still to be measured.
        review: what the reader changed; None for an automatic result.
        documents: further JSON files, name to values.
        formats: those that can be written.
        leftOut: a sentence for each format that was wanted and cannot be written.
        keepIdentity: whether DICOM files carry the patient's name, ID and birth date.
    """

    snapshot: MeasurementRequest
    measurements: Measurements | None
    review: Review | None
    documents: Mapping[str, Any] = field(default_factory=dict)
    formats: tuple[str, ...] = USUAL_FORMATS
    leftOut: tuple[str, ...] = ()
    keepIdentity: bool = False

    def write(
        self,
        folder: str | Path,
        progress: Progress = lambda *_: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> dict[str, Path]:
        """Measure if needed, and write all files or none; runs in any thread.

        Args:
            folder: made if missing; files of other names stay.
            progress: called with the finished fraction (0..1) and the step.
            cancelled: nothing is written when it says so before the writing.

        Returns:
            File name to path.

        Raises:
            InputError: the folder cannot be written, or the labels cannot be measured.
        """
        check_writable(folder)
        if not self.formats:
            return {}
        check_sources(self.snapshot.case, self.formats)
        progress(0.05, _("measuring"))
        measurements = self.measurements or self.snapshot.measure()
        if cancelled():
            return {}
        progress(0.3, _("writing"))
        return write_results(
            folder,
            self.snapshot.case,
            self.snapshot.segmentation,
            measurements,
            documents=self.documents,
            review=self.review,
            formats=self.formats,
            keep_identity=self.keepIdentity,
        )


def availableFormats() -> dict[str, str | None]:
    """Every format, with the sentence that says what it lacks; None where it can be written."""
    return {name: _lacking(name) for name in FORMATS}


def prepareExport(
    correction: CorrectedCase,
    quantify: QuantifyLogic,
    formats: Sequence[str] = USUAL_FORMATS,
    keepIdentity: bool = False,
) -> Export:
    """Gather what an export needs; main thread.

    Args:
        correction: holds the session.
        quantify: holds the numbers and how to measure.
        formats: out of `myops.output.results.FORMATS`.
        keepIdentity: whether DICOM files carry the patient's name, ID and birth date.

    Raises:
        InputError: there is no segmentation, or an unknown format.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise InputError(
            _("expected formats out of {known}, found {unknown}; correct the name").format(
                known=", ".join(FORMATS), unknown=", ".join(unknown)
            )
        )
    snapshot = quantify.snapshot()
    if snapshot is None:
        raise InputError(
            _("expected a segmentation to export, found none; segment the patient first")
        )
    lacking = {name: words for name in formats if (words := _lacking(name)) is not None}
    name = snapshot.case.name
    review, documents = _readersWork(correction, name)
    known = None if quantify.stale else quantify.measurements
    if known is not None and known.case_name != name:  # renamed since
        known = replace(known, case_name=name)
    return Export(
        snapshot,
        known,
        review,
        documents,
        tuple(name for name in formats if name not in lacking),
        tuple(lacking.values()),
        keepIdentity,
    )


def exportInBackground(
    work: BackgroundWork,
    events: Events,
    folder: str | Path,
    correction: CorrectedCase,
    quantify: QuantifyLogic,
    formats: Sequence[str] = USUAL_FORMATS,
    done: Callable[[dict[str, Path]], object] | None = None,
    keepIdentity: bool = False,
) -> Task:
    """Write the present case without holding up the front end; the outcome becomes a message.

    Args:
        work: runs it.
        events: gets "message".
        folder: made if missing.
        correction: its labels.
        quantify: its numbers; measured anew where they are stale.
        formats: out of `myops.output.results.FORMATS`.
        done: called with file name to path.
        keepIdentity: whether DICOM files carry the patient's name, ID and birth date.

    Raises:
        InputError: nothing to export, before anything starts.
    """
    export = prepareExport(correction, quantify, formats, keepIdentity)

    def finish(files: dict[str, Path]) -> None:
        words = [exportWords(files, folder), *export.leftOut]
        events.emit("message", text=" ".join(words), level="warning" if export.leftOut else "info")
        if done is not None:
            done(files)

    return work.submit(_("Exporting"), partial(export.write, folder), done=finish)


def exportWords(files: Collection[str], folder: str | Path) -> str:
    """What was written, as a sentence."""
    if not files:
        return _("Nothing was exported.")
    words = (
        _("{count} file exported to {folder}.")
        if len(files) == 1
        else _("{count} files exported to {folder}.")
    )
    return words.format(count=len(files), folder=folder)


def _lacking(name: str) -> str | None:
    packages = missing_packages(name)
    if not packages:
        return None
    words = (
        _(
            "{title} needs {names}, which is not installed: install what is missing in the panel, "
            "then export again."
        )
        if len(packages) == 1
        else _(
            "{title} needs {names}, which are not installed: install what is missing in the panel, "
            "then export again."
        )
    )
    return words.format(title=TITLES[name], names=_(" and ").join(packages))


def _readersWork(correction: CorrectedCase, name: str) -> tuple[Review | None, dict[str, Any]]:
    """What the reader did, for the report and as a record to do it again; nothing without steps.

    Args:
        correction: holds the session.
        name: of the case, as results have it.
    """
    from myops.refine.record import SESSION_FILE, to_record
    from myops.report.review import review_of

    session = correction.session
    if session is None or not session.steps:
        return None, {}
    return review_of(session), {SESSION_FILE: {**to_record(session), "case": name}}
