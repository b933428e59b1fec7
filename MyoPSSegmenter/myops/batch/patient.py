"""One patient of a cohort: what `myops segment` does, and what came of it."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myops.batch.jobs import Job
from myops.batch.rows import row_of_results
from myops.errors import InputError
from myops.io.text_files import read_json
from myops.output.one_patient import segment_patient
from myops.output.results import FORMATS, USUAL_FORMATS
from myops.patients.provenance import INPUTS_FILE, Inputs

if TYPE_CHECKING:
    from myops.weights.files import Models

DONE, FAILED, KILLED, STOPPED, WAITING = "done", "failed", "killed", "stopped", "not started"
# Marks a folder as a cohort's: when it is gone, so is the disk below it.
MARK = "batch.json"
PATIENTS = "patients"
# A patient's results are up to 20 MB; when so little is left, the next ones would fail one by one.
LEAST_FREE_BYTES = 50_000_000
THUMBNAIL_PX = 480
NO_MEMORY = (
    "expected memory enough for this patient, found none left; run it again with fewer --workers, "
    "or crop its images around the heart"
)
# In results that name nobody: a message may hold the path of an image.
NOT_WRITTEN = "no results; the reason was told on the terminal, as it may name the patient"


@dataclass(frozen=True)
class BatchOptions:
    """How every patient of a cohort is segmented.

    Attributes:
        model: the cascade's weights, as `load_models` knows them.
        register: "auto" or "off", see `Inputs.register`.
        probabilities: also write probability and uncertainty maps.
        dicom: also write a DICOM segmentation and report.
        keep_identity: whether these carry the patient's name and numbers.
        pseudonyms: whether patients go by pseudonyms, see `batch.pseudonymous`.
    """

    model: str = "default"
    register: str = "off"
    probabilities: bool = False
    dicom: bool = False
    keep_identity: bool = False
    pseudonyms: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of one patient.

    Attributes:
        name: of the job.
        status: DONE; FAILED, this patient alone; KILLED, with the process that worked on it, or out
            of memory; STOPPED, something that every patient would meet; WAITING.
        message: what is the matter; "" for DONE. It is written into the results.
        row: column to number or text of the results' table.
        thumbnail: JPEG of its slices; empty where there are no results.
        details: the traceback of an error that nobody expected.
        resumed: the results were there already.
        told: `message` for the terminal alone, where it may name the patient; "" = the same.
    """

    name: str
    status: str
    message: str = ""
    row: Mapping[str, Any] = field(default_factory=dict)
    thumbnail: bytes = b""
    details: str = ""
    resumed: bool = False
    told: str = ""


def run_job(job: Job, output: Path, options: BatchOptions, device: str) -> Outcome:
    """Segment one patient into `output/patients/NAME`, or find that it is done; never raises.

    Args:
        job: the patient.
        output: of the cohort, with its mark.
        options: how.
        device: where the networks run.
    """
    folder = output / PATIENTS / job.place
    if stop := reason_to_stop(output):
        return Outcome(job.name, STOPPED, stop)
    try:
        inputs = replace(job.inputs(), register=options.register).with_model(options.model)
        resumed = is_finished(folder, inputs)
        if not resumed:
            segment_patient(
                inputs,
                folder,
                lambda _: _models(device, options.model),
                probabilities=options.probabilities,
                formats=FORMATS if options.dicom else USUAL_FORMATS,
                keep_identity=options.keep_identity,
            )
        row, picture = row_of_results(folder), _thumbnail(folder)
        return Outcome(job.name, DONE, row=row, thumbnail=picture, resumed=resumed)
    except InputError as error:
        return _failure(job, output, str(error))
    except MemoryError:
        return Outcome(job.name, KILLED, NO_MEMORY)
    # A cohort goes on whatever a library does with one patient's file.
    except Exception as error:
        words = f"unexpected {type(error).__name__}: {error}"
        return _failure(job, output, words, traceback.format_exc())


def reason_to_stop(output: Path) -> str:
    """Why no further patient can be done: the folder is gone or its disk full; "" if neither."""
    try:
        if not (output / MARK).is_file():
            return (
                f"expected the folder {output} that was there at the start, found it gone; "
                "bring its disk back and run the same command again"
            )
        free = shutil.disk_usage(output).free
    except OSError as error:
        return f"expected the folder {output}, found {error.strerror}; bring it back"
    if free >= LEAST_FREE_BYTES:
        return ""
    return (
        f"expected {LEAST_FREE_BYTES / 1e6:.0f} MB free for the next results, found "
        f"{free / 1e6:.0f} MB in {output}; free its disk and run the same command again"
    )


def is_finished(folder: Path, inputs: Inputs) -> bool:
    """Whether a folder holds complete results of these images by these weights.

    Results appear all at once, so a file of them means that the others are there.

    Raises:
        InputError: an image cannot be read.
    """
    try:
        noted = read_json(folder / INPUTS_FILE)
        read_json(folder / "measurements.json")
    except (OSError, InputError):
        return False
    return bool(_without_paths(noted) == _without_paths(inputs.to_dict()))


def _without_paths(noted: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, wherever it is: a cohort's folder may be moved."""
    images = {key: one.get("sha256") for key, one in noted.get("images", {}).items()}
    # Shifts and turns follow from the images and the option.
    return {**noted, "images": images, "shifts_mm": None, "turns": None}


@lru_cache(maxsize=1)
def _models(device: str, name: str) -> Models:
    """Loaded once per process."""
    from myops.weights.files import load_models

    return load_models(device, name=name)


def failed(job: Job, message: str, details: str = "") -> Outcome:
    """What came of a patient without results; only the terminal may say who it is."""
    if not job.anonymous:
        return Outcome(job.name, FAILED, message, details=details)
    told = f"({job.known_as}) {message}\n{details}".rstrip()
    return Outcome(job.name, FAILED, NOT_WRITTEN, told=told)


def _failure(job: Job, output: Path, message: str, details: str = "") -> Outcome:
    """The patient's own failure, or what every other patient would meet as well."""
    if stop := reason_to_stop(output):
        return Outcome(job.name, STOPPED, stop)
    return failed(job, message, details)


def _thumbnail(folder: Path) -> bytes:
    """The overview of all slices, small; a report may have been written without one."""
    import io

    from PIL import Image

    try:
        with Image.open(folder / "overview.png") as picture:
            small = picture.convert("RGB")
    except OSError:
        return b""
    small.thumbnail((THUMBNAIL_PX, 4 * THUMBNAIL_PX))
    held = io.BytesIO()
    small.save(held, "JPEG", quality=70)
    return held.getvalue()
