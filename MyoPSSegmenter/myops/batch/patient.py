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


@dataclass(frozen=True)
class BatchOptions:
    """How every patient of a cohort is segmented.

    Attributes:
        model: the cascade's weights, as `load_models` knows them.
        register: "auto" or "off", see `Inputs.register`.
        probabilities: also write probability and uncertainty maps.
    """

    model: str = "default"
    register: str = "off"
    probabilities: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of one patient.

    Attributes:
        name: of the job.
        status: DONE; FAILED, this patient alone; KILLED, with the process that worked on it, or out
            of memory; STOPPED, something that every patient would meet; WAITING.
        message: what is the matter; "" for DONE.
        row: column to number or text of the results' table.
        thumbnail: JPEG of its slices; empty where there are no results.
        details: the traceback of an error that nobody expected.
        resumed: the results were there already.
    """

    name: str
    status: str
    message: str = ""
    row: Mapping[str, Any] = field(default_factory=dict)
    thumbnail: bytes = b""
    details: str = ""
    resumed: bool = False


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
        inputs = replace(job.inputs(), register=options.register)
        resumed = is_finished(folder, inputs, options)
        if not resumed:
            _segment(inputs, folder, options, device)
        return Outcome(
            job.name, DONE, "", row_of_results(folder), _thumbnail(folder), resumed=resumed
        )
    except InputError as error:
        return _failure(job, output, str(error))
    except MemoryError:
        return Outcome(job.name, KILLED, "the memory of this machine was not enough")
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


def is_finished(folder: Path, inputs: Inputs, options: BatchOptions) -> bool:
    """Whether a folder holds complete results of these images with these options.

    Results appear all at once, so a file of them means that the others are there.

    Raises:
        InputError: an image cannot be read.
    """
    try:
        noted = read_json(folder / INPUTS_FILE)
        read_json(folder / "measurements.json")
    except (OSError, InputError):
        return False
    wanted = inputs.with_model(options.model).to_dict()
    return bool(_without_paths(noted) == _without_paths(wanted))


def _without_paths(noted: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, wherever it is: a cohort's folder may be moved."""
    images = {key: one.get("sha256") for key, one in noted.get("images", {}).items()}
    # The shifts follow from the images and the option.
    return {**noted, "images": images, "shifts_mm": None}


def _segment(inputs: Inputs, folder: Path, options: BatchOptions, device: str) -> None:
    """What `cli.segment` does, without a screen.

    Raises:
        InputError: as there.
    """
    from myops.cascade.register import register_as_asked
    from myops.cascade.segment import segment
    from myops.case import images_sha256
    from myops.output.earlier_results import check_no_corrections, check_same_images
    from myops.output.results import write_results
    from myops.patients.provenance import read_case
    from myops.quantify.measure import measure

    case = read_case(inputs)
    check_same_images(folder, images_sha256(case))
    check_no_corrections(folder)
    models = _models(device, options.model)
    case, inputs = register_as_asked(case, inputs, models)
    segmentation = segment(case, models)
    measurements = measure(case, segmentation)
    notes = {INPUTS_FILE: inputs.with_model(options.model).to_dict()}
    write_results(folder, case, segmentation, measurements, options.probabilities, notes)


@lru_cache(maxsize=1)
def _models(device: str, name: str) -> Models:
    """Loaded once per process."""
    from myops.weights.files import load_models

    return load_models(device, name=name)


def _failure(job: Job, output: Path, message: str, details: str = "") -> Outcome:
    """The patient's own failure, or what every other patient would meet as well."""
    stop = reason_to_stop(output)
    status = STOPPED if stop else FAILED
    return Outcome(job.name, status, stop or message, details="" if stop else details)


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
