"""Results -> files: everything of a patient, or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.case import restore
from myops.errors import InputError
from myops.io.atomic import json_text
from myops.io.geometry_notes import MARK_KEY
from myops.io.itk_files import save_image
from myops.io.readable import encoded
from myops.output.earlier_results import (
    RESULTS_FILE,
    check_same_images,
    mark_text,
    sort_earlier_files,
)

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.measurements import Measurements
    from myops.report.review import Review
    from myops.segmentation import Segmentation

RESULTS_NOTICE = (
    "Which images these results were made from, and which files belong to them; no names. Without "
    "this file no further results can be written into this folder."
)
# Where ITK's writers of NIfTI take the free text of the header from.
FILE_NOTES = "ITK_FileNotes"
STAGE_PREFIX = ".myops-unfinished-"
# What can be written, and the packages that a format needs.
FORMATS = ("seg.nrrd", "nifti", "csv", "json", "html", "pdf", "dicom")
# What is written unless a choice is made: DICOM needs images that came as DICOM.
USUAL_FORMATS = tuple(name for name in FORMATS if name != "dicom")
NEEDED_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "html": ("matplotlib", "jinja2"),
    "pdf": ("matplotlib",),
    "dicom": ("highdicom",),
}


def write_results(
    out_dir: str | Path,
    case: Case,
    segmentation: Segmentation,
    measurements: Measurements,
    probabilities: bool = False,
    documents: Mapping[str, Any] | None = None,
    review: Review | None = None,
    formats: Collection[str] = USUAL_FORMATS,
    keep_identity: bool = False,
) -> dict[str, Path]:
    """Write label maps, measurements, pictures and the report of one patient.

    Everything is written to a hidden folder first and moved in when complete: an interruption or a
    full disk leaves the target as it was. Files of other names in the target stay.

    Args:
        out_dir: target folder, made if missing.
        case: the images.
        segmentation: labels on the case's grid; written on the reference's original grid.
        measurements: its numbers.
        probabilities: also write one `probability_<region>.nii.gz` per region and `uncertainty`.
        documents: further files: name to JSON values.
        review: what a reader changed, for the report; None for an automatic result.
        formats: out of `FORMATS`; all but "dicom" if not given. The overview comes with the page.
        keep_identity: of the "dicom" files: whether they carry the patient's name, number and birth
            date and the accession number. Nothing else ever does.

    Returns:
        File name -> path of every file written; a note of the images, `results.json`, lies beside.

    Raises:
        InputError: the target cannot be written or holds results of other images, an unknown
            format, or DICOM of a patient who was not read from DICOM (`output.dicom.sources`).

    Example:
        >>> files = myops.write_results("out", case, segmentation, numbers)
        >>> files["report.html"]
        PosixPath('out/report.html')
    """
    target = Path(out_dir)
    _check_formats(formats)
    check_writable(target)
    check_same_images(target, measurements.images_sha256)
    with _staged(target) as stage:
        if "dicom" in formats:
            from myops.output.dicom.files import write_dicom

            write_dicom(stage, case, segmentation, measurements, review is not None, keep_identity)
        _write_label_maps(stage, case, segmentation, formats)
        if probabilities:
            _write_probabilities(stage, case, segmentation)
        _write_measurements(stage, segmentation, measurements, formats)
        if "html" in formats or "pdf" in formats:
            _write_report(stage, case, segmentation, measurements, review, formats)
        for name, values in (documents or {}).items():
            _write(stage / name, json_text(values))
        names = sorted(path.name for path in stage.iterdir())
        kept, stale = sort_earlier_files(target, measurements.labels_sha256, names)
        _write(stage / RESULTS_FILE, json_text(_results_note(measurements, [*names, *kept])))
    for path in stale:
        path.unlink(missing_ok=True)
    return {name: target / name for name in names}


def _results_note(measurements: Measurements, names: list[str]) -> dict[str, Any]:
    """Which images these results are of, and which files belong to them."""
    return {
        "notice": RESULTS_NOTICE,
        "images_sha256": dict(measurements.images_sha256),
        "labels_sha256": measurements.labels_sha256,
        "files": sorted(names),
    }


def missing_packages(name: str) -> tuple[str, ...]:
    """Packages that a format of `FORMATS` needs and that are not installed."""
    return tuple(p for p in NEEDED_PACKAGES.get(name, ()) if find_spec(p) is None)


def check_packages(formats: Collection[str]) -> None:
    """Refuse formats whose packages are not installed, before the long work starts.

    Raises:
        InputError: naming the packages.
    """
    lacking = sorted({package for name in formats for package in missing_packages(name)})
    if lacking:
        raise InputError(
            f"expected {' and '.join(lacking)} to write the results, found it missing; run: "
            f"pip install {' '.join(lacking)}"
        )


def check_sources(case: Case, formats: Collection[str]) -> None:
    """Refuse DICOM results of images that are not from DICOM, before the long work starts.

    Raises:
        InputError: see `output.dicom.sources.read_sources`.
    """
    if "dicom" in formats:
        from myops.output.dicom.sources import read_sources

        read_sources(case)


def _check_formats(formats: Collection[str]) -> None:
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise InputError(
            f"expected formats out of {', '.join(FORMATS)}, found {', '.join(unknown)}; "
            "correct the name"
        )


def check_writable(out_dir: str | Path) -> None:
    """Refuse a folder that results cannot be written to, before the long work starts.

    A folder that does not exist is not made; the nearest existing one above it is tried.

    Raises:
        InputError: the path is a file, below a file, or may not be written.
    """
    target = Path(out_dir)
    existing = target
    while not _exists(existing, target) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(
            f"expected a folder for the results, found a file at {existing}; name another folder"
        )
    try:
        with tempfile.TemporaryDirectory(prefix=STAGE_PREFIX, dir=existing):
            pass
    except OSError as error:
        raise InputError(
            f"expected a writable folder for the results, found {existing} "
            f"({error.strerror or error}); name another folder or change its permissions"
        ) from error


def _exists(path: Path, target: Path) -> bool:
    try:
        return os.path.lexists(path)
    except OSError as error:
        raise InputError(f"{target}: {error.strerror or error}; name another folder") from error


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """A hidden folder that becomes the target, or whose files move into it, on success.

    A missing target is made by one rename. An existing one may be a mount point, so the stage
    lies inside it, where moving a file is one rename too.
    """
    fresh = not target.exists()
    parent = target.parent if fresh else target
    made = [p for p in (parent, *parent.parents) if not p.exists()]
    parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=STAGE_PREFIX, dir=parent))
    try:
        yield stage
        # mkdtemp makes a folder only its owner may read; results follow the user's umask.
        stage.chmod(0o777 & ~_umask())
        if fresh and not target.exists():
            stage.rename(target)
        else:
            target.mkdir(exist_ok=True)
            _move_all(stage, target)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        for folder in made:
            _remove_if_empty(folder)
        raise


def _move_all(stage: Path, target: Path) -> None:
    """Move every file; an interruption in between finishes the moves first, then goes on."""
    try:
        _move_files(stage, target)
    except KeyboardInterrupt:
        _move_files(stage, target)
        raise


def _move_files(stage: Path, target: Path) -> None:
    for path in sorted(stage.iterdir()):
        os.replace(path, target / path.name)
    stage.rmdir()


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return


def _umask() -> int:
    """The process's umask; reading it means setting it for a moment."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _write_label_maps(
    stage: Path, case: Case, segmentation: Segmentation, formats: Collection[str]
) -> None:
    from myops.io.seg_nrrd import with_segment_headers

    labels = restore(case, segmentation.labels.astype(np.uint16))
    labels.SetMetaData(FILE_NOTES, mark_text(case))
    labels.SetMetaData(MARK_KEY, mark_text(case))
    if "nifti" in formats:
        save_image(labels, stage / "segmentation.nii.gz")
    if "seg.nrrd" in formats:
        named = with_segment_headers(labels, segmentation.assessed)
        save_image(named, stage / "segmentation.seg.nrrd")


def _write_probabilities(stage: Path, case: Case, segmentation: Segmentation) -> None:
    """Probabilities as float32 0..1 on the original grid."""
    maps = {f"probability_{name}": p for name, p in segmentation.probabilities.items()}
    maps["uncertainty"] = segmentation.uncertainty
    for name, array in maps.items():
        save_image(restore(case, array.astype(np.float32)), stage / f"{name}.nii.gz")


def _write_measurements(
    stage: Path,
    segmentation: Segmentation,
    measurements: Measurements,
    formats: Collection[str],
) -> None:
    from myops import __version__
    from myops.quantify import tables

    document = {
        "software": f"myops {__version__}",
        "notice": "Research use only. Not a medical device.",
        "model_sha256": dict(segmentation.model),
        **({"weights": dict(segmentation.pack)} if segmentation.pack else {}),
        "seconds": dict(segmentation.seconds),
        **({"networks_ran_on": dict(segmentation.machine)} if segmentation.machine else {}),
        **tables.plain(measurements),
    }
    if "json" in formats:
        _write(stage / "measurements.json", json_text(document))
    if "csv" not in formats:
        return
    files = {"measurements.csv": tables.rows(measurements)}
    if measurements.regional is not None:
        files["regional.csv"] = tables.regional_rows(measurements)
    for name, rows in files.items():
        _write(stage / name, tables.csv_text(rows))


def _write(path: Path, text: str) -> None:
    """In UTF-8; the folder as a whole is moved when it is complete."""
    path.write_bytes(encoded(text))


def _write_report(
    stage: Path,
    case: Case,
    segmentation: Segmentation,
    measurements: Measurements,
    review: Review | None,
    formats: Collection[str],
) -> None:
    """The page and the PDF of one content, and the overview."""
    from myops.report.compose import make_content
    from myops.report.figures import overview
    from myops.report.panels import make_tiles

    tiles = make_tiles(case, segmentation, measurements, review)
    content = make_content(case, segmentation, measurements, tiles, review)
    if "html" in formats:
        from myops.report.html import render_report

        (stage / "overview.png").write_bytes(overview(tiles, content.title))
        _write(stage / "report.html", render_report(content))
    if "pdf" in formats:
        from myops.report.pdf import write_pdf

        write_pdf(content, stage / "report.pdf")
