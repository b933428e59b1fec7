"""The DICOM files of a patient's results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from myops.output.dicom.sources import read_sources

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.measurements import Measurements
    from myops.segmentation import Segmentation

SEG_FILE = "segmentation.dcm"
REPORT_FILE = "measurements.dcm"


def write_dicom(
    folder: Path,
    case: Case,
    segmentation: Segmentation,
    measurements: Measurements,
    corrected: bool = False,
    keep_identity: bool = False,
) -> None:
    """Write `segmentation.dcm` (SEG) and `measurements.dcm` (TID 1500) into a folder.

    Args:
        folder: exists; `output.results` hands in one that is moved as a whole.
        case: read from DICOM, whose files are still where they were.
        segmentation: labels on the case's grid.
        measurements: of these labels.
        corrected: whether a reader changed the labels.
        keep_identity: take over the patient's name, number and birth date, and the accession
            number.

    Raises:
        InputError: see `sources.read_sources`.
    """
    sources = read_sources(case, keep_identity)
    # Only here: highdicom takes a second to import.
    from myops.output.dicom.report import make_report
    from myops.output.dicom.seg import make_seg
    from myops.output.dicom.segments import find_segments

    segments = find_segments(segmentation, measurements, corrected)
    seg = make_seg(case, segments, sources)
    report = make_report(segments, seg, sources)
    seg.save_as(folder / SEG_FILE)
    report.save_as(folder / REPORT_FILE)
