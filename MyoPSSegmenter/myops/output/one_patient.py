"""One patient from images to results on disk: `myops segment` and each process of `myops batch`.

Read `segment_patient` from top to bottom: it is the way of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from myops.case import images_sha256
from myops.output.earlier_results import check_no_corrections, check_same_images
from myops.output.results import USUAL_FORMATS, check_sources, check_writable, write_results
from myops.patients.provenance import INPUTS_FILE, Inputs, read_case

if TYPE_CHECKING:
    from myops.case import Case
    from myops.progress import Progress
    from myops.quantify.measurements import Measurements
    from myops.quantify.regional.orientation import Landmarks
    from myops.segmentation import Segmentation
    from myops.weights.files import Models


def segment_patient(
    inputs: Inputs,
    output: Path,
    load: Callable[[Collection[str]], Models],
    *,
    probabilities: bool = False,
    formats: Collection[str] = USUAL_FORMATS,
    keep_identity: bool = False,
    landmarks: Landmarks | None = None,
    progress: Progress | None = None,
) -> tuple[Segmentation, Measurements]:
    """Segment one patient, measure, and write everything or nothing.

    Args:
        inputs: which images, by which weights, and whether they are laid on each other.
        output: folder of the results.
        load: gives the networks of `inputs.model`, told the patient's sequences; called when the
            images are known to be usable.
        probabilities: also write probability and uncertainty maps.
        formats: of the results, see `write_results`.
        keep_identity: whether DICOM files carry the patient's name and numbers.
        landmarks: what a reader says about the heart.
        progress: of the networks.

    Raises:
        InputError: images, networks or folder cannot be used.
    """
    case = read_case(inputs)
    _check_output(output, case, formats)
    # Only here: these import torch and SciPy, which no refused image needs.
    from myops.cascade.register import register_as_asked
    from myops.cascade.segment import segment
    from myops.quantify.measure import measure

    models = load(case.sequences)
    case, inputs = register_as_asked(case, inputs, models)
    segmentation = segment(case, models, progress=progress)
    measurements = measure(case, segmentation, landmarks=landmarks)
    notes = {INPUTS_FILE: inputs.to_dict()}
    write_results(
        output,
        case,
        segmentation,
        measurements,
        probabilities,
        notes,
        formats=formats,
        keep_identity=keep_identity,
    )
    return segmentation, measurements


def _check_output(output: Path, case: Case, formats: Collection[str]) -> None:
    """Refuse what could not be written in the end, before the long work starts."""
    check_writable(output)
    check_sources(case, formats)
    check_same_images(output, images_sha256(case))
    check_no_corrections(output)
