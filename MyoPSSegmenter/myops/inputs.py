"""Which images a result is made from, so that a later command finds them again.

An image is a file, or a DICOM series in a folder. What a folder holds is told apart here for all
commands, with the reason for every choice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checksum import file_sha256, files_sha256
from .dicom.series import DicomSeries, find_series
from .errors import InputError
from .io.images import check_file
from .naming import SEQUENCE_TITLES, differing_names, find_sequences, holds_image_files
from .text_files import read_json
from .worklist.folders import other_files
from .worklist.patients import check_one_study, read_source, recognize
from .worklist.sources import Source, rank_of_source, recognition

if TYPE_CHECKING:
    import numpy as np
    import SimpleITK as sitk

    from .case import Case

INPUTS_FILE = "inputs.json"
LABELS_FILE = "segmentation.nii.gz"
NOTICE = (
    "For `myops refine`. This file holds paths of the computer it was written on, which may name a "
    "patient: leave it out when you pass the results on."
)


@dataclass(frozen=True)
class Inputs:
    """What the user named.

    Attributes:
        files: sequence name to its file (absolute) or DICOM series.
        name: the patient's name for reports; none is shown if None, since file and folder names
            often are names of patients.
        frame: frame of a 4D file or phase of a DICOM cine, counted from 0.
        spacing_mm: true spacing (x, y, z) where the header holds none.
        model: the cascade's weights, "default" or an absolute folder.
        sha256: sequence name to the checksum of its file or files; not verified where missing.
        warnings: what is doubtful about the choice of images, a sentence each without names.
        notes: what was chosen and left out with the reasons, for the terminal: it may hold names.
    """

    files: Mapping[str, Source]
    name: str | None = None
    frame: int | None = None
    spacing_mm: tuple[float, float, float] | None = None
    model: str = "default"
    sha256: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def with_model(self, name: str) -> Inputs:
        """The same with the name of the cascade's weights; a folder becomes absolute."""
        return replace(self, model=name if name == "default" else str(Path(name).absolute()))

    def to_dict(self) -> dict[str, Any]:
        """JSON values, with the checksum of every file.

        Raises:
            InputError: a file cannot be read any more.
        """
        return {
            "notice": NOTICE,
            "case": self.name,
            "images": {
                sequence: {**_place(source), "sha256": image_sha256(source)}
                for sequence, source in self.files.items()
            },
            "frame": self.frame,
            "spacing_mm": self.spacing_mm,
            "model": self.model,
        }


def find_inputs(folder: Path | None, named: Mapping[str, Path | None]) -> Inputs:
    """The images that a user names: a folder of one patient, or each image by itself.

    Args:
        folder: with image files named by sequence, or with DICOM.
        named: sequence name to an image file, a folder with its DICOM series, or "FOLDER@NUMBER"
            for the series of that number.

    Raises:
        InputError: nothing named, both ways used at once, a folder that does not tell its
            sequences or holds several patients, or an image that does not exist.
    """
    given = {sequence: path for sequence, path in named.items() if path is not None}
    if folder is None and not given:
        raise InputError("expected images, found none: name a folder, or --lge, --bssfp, --t2")
    if folder is not None and given:
        options = ", ".join(f"--{sequence}" for sequence in given)
        raise InputError(f"expected a folder or {options}, found both: leave one out")
    if folder is None:
        return _checked(Inputs({key: _named(key, path) for key, path in given.items()}))
    if holds_image_files(folder) or not folder.is_dir():
        files = {key: paths[0].absolute() for key, paths in find_sequences(folder).items()}
        return _checked(Inputs(files))
    return _dicom_folder(folder)


def find_files(folder: Path | None, named: Mapping[str, Path | None]) -> dict[str, Source]:
    """Sequence name to its image; see `find_inputs`, which also says what is doubtful."""
    return dict(find_inputs(folder, named).files)


def _dicom_folder(folder: Path) -> Inputs:
    """The series of a DICOM folder, with what was taken, why, and what was left out.

    Raises:
        InputError: no images, several patients, or images of which none can be chosen or used.
    """
    found = recognize(folder)
    if not {"lge", "bssfp"} & set(found.sequences):
        left = "; ".join([*found.problems, *found.left_out])
        raise InputError(
            f"{folder}: expected an LGE or bSSFP short-axis stack, found none that can be used "
            f"({left}); name the image with --lge or --bssfp FOLDER@SERIES_NUMBER"
        )
    undecided = [p for p in found.problems if "choose the right one" in p or "cannot be used" in p]
    if any(SEQUENCE_TITLES["lge"] in problem for problem in undecided):
        raise InputError(
            f"{folder}: expected one LGE that can be used, found: {' '.join(undecided)} Name the "
            "images with --lge, --bssfp, --t2 FOLDER@SERIES_NUMBER"
        )
    notes = [
        f"{key}: {one.name}, because {found.reasons[key]}" for key, one in found.sequences.items()
    ]
    notes += [f"left out: {text}" for text in found.left_out]
    phases = [
        text for text in (_phase_note(key, one) for key, one in found.sequences.items()) if text
    ]
    return Inputs(dict(found.sequences), warnings=tuple(phases), notes=(*notes, *undecided))


def _named(sequence: str, path: Path) -> Source:
    """The image that an option names.

    Raises:
        InputError: nothing there, or a folder that does not tell which series is meant.
    """
    if path.is_file():
        return path.absolute()
    numbered = re.fullmatch(r"(.+)@(\d+)", str(path))
    folder = Path(numbered[1]) if numbered and not path.exists() else path
    if not folder.is_dir():
        check_file(path)
    series = find_series(other_files(folder.resolve(), ()))
    if numbered and not path.exists():
        series = tuple(one for one in series if one.number == int(numbered[2]))
    if not series:
        check_file(path)
    check_one_study(series, str(path))
    usable = [one for one in series if not one.problem]
    if not usable:
        raise InputError(
            f"{path}: expected slices of one volume for --{sequence}, found that "
            f"{series[0].problem}; name another series"
        )
    best = usable if len(usable) == 1 else _best_for(sequence, usable)
    if len(best) != 1:
        raise InputError(
            f"{path}: expected one series for --{sequence}, found "
            f"{', '.join(one.name for one in best or usable)}; name it as {folder}@NUMBER"
        )
    return best[0]


def _best_for(sequence: str, series: list[DicomSeries]) -> list[DicomSeries]:
    """Those of a sequence that fit best: one, several that nothing tells apart, or none."""
    fitting = [one for one in series if recognition(one).sequence == sequence]
    ranks = [rank_of_source(one) for one in fitting]
    return [one for one, rank in zip(fitting, ranks) if rank == max(ranks)]


def _phase_note(sequence: str, source: Source) -> str:
    phases = source.phases if isinstance(source, DicomSeries) else 1
    if phases < 2:
        return ""
    return (
        f"{sequence}: a cine of {phases} phases; the first one after the R wave is used as "
        "end-diastole (--phase chooses another)"
    )


def _checked(inputs: Inputs) -> Inputs:
    """Refuse or mention files whose names speak of different patients, and series likewise.

    Raises:
        InputError: names that differ in a number only, as those of two patients do.
    """
    files = {key: one for key, one in inputs.files.items() if isinstance(one, Path)}
    series = {key: one for key, one in inputs.files.items() if isinstance(one, DicomSeries)}
    warnings = list(differing_names(files))
    if len({one.patient for one in series.values()}) > 1:
        warnings.append("the DICOM images carry different patient numbers: are they of one person?")
    elif len({one.study for one in series.values()}) > 1:
        warnings.append("the DICOM images are of different examinations of one patient")
    notes = [text for text in (_phase_note(key, one) for key, one in series.items()) if text]
    return replace(inputs, warnings=(*warnings, *notes))


def read_case(inputs: Inputs) -> Case:
    """Read the images.

    Raises:
        InputError: an image has another checksum than noted, see `read_source` and
            `case.case_from_images`, or a header that contradicts itself without a given spacing.
    """
    from .case import UNNAMED, case_from_images, reference_of, refuse_conflict

    for sequence, expected in inputs.sha256.items():
        found = image_sha256(inputs.files[sequence])
        if found != expected:
            raise InputError(
                f"{inputs.files[sequence].name}: expected the {sequence} image that was segmented "
                f"(SHA-256 {expected[:12]}...), found another one ({found[:12]}...); name the "
                f"right one with --{sequence}, or segment again"
            )
    reference = reference_of(inputs.files)
    images = {key: _read(source, inputs.frame) for key, source in inputs.files.items()}
    if inputs.spacing_mm is None:
        refuse_conflict(images[reference], inputs.files[reference].name)
    case = case_from_images(images, inputs.name or UNNAMED, inputs.spacing_mm)
    return replace(case, warnings=(*inputs.warnings, *case.warnings))


def _read(source: Source, phase: int | None) -> sitk.Image:
    if isinstance(source, Path):
        from .io import read_image

        return read_image(source, phase)
    return read_source(source, phase or 0)


def read_inputs(out_dir: Path) -> Inputs:
    """Read what `myops segment` noted about its images in its results.

    Raises:
        InputError: no such folder or note, or a damaged one.
    """
    path = out_dir / INPUTS_FILE
    try:
        values = read_json(path)
        images = values["images"]
        places = {key: (Path(one["path"]), one.get("series")) for key, one in images.items()}
        spacing = values["spacing_mm"]
        noted = Inputs(
            {},
            values["case"],
            values["frame"],
            None if spacing is None else (spacing[0], spacing[1], spacing[2]),
            values["model"],
            {sequence: str(image["sha256"]) for sequence, image in images.items()},
        )
    except OSError as error:
        raise InputError(
            f"expected results of myops segment in {out_dir}, found no readable {INPUTS_FILE} "
            f"({error.strerror}); segment the images first"
        ) from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise InputError(
            f"{path}: expected what myops segment wrote, found a damaged file; segment again"
        ) from None
    return replace(noted, files={key: _source(*place) for key, place in places.items()})


def moved(inputs: Inputs, folder: Path | None, named: Mapping[str, Path | None]) -> Inputs:
    """The same inputs at the places that the user names now, where any are named.

    Raises:
        InputError: a sequence that was not segmented, or see `find_files`.
    """
    if folder is None and not any(named.values()):
        return inputs
    files = find_files(folder, named)
    # A folder may have got another sequence since; one that the user names is a mistake.
    added = sorted(set(files) - set(inputs.files)) if folder is None else []
    if added:
        raise InputError(
            f"expected images that were segmented ({', '.join(inputs.files)}), found "
            f"{', '.join(added)}; leave it out, or segment again with it"
        )
    known = {sequence: path for sequence, path in files.items() if sequence in inputs.files}
    return replace(inputs, files={**inputs.files, **known})


def read_labels(out_dir: Path, case: Case) -> np.ndarray:
    """The label map of earlier results on the case's grid, uint16 (z, y, x).

    Raises:
        InputError: missing or damaged file, another grid, or values that are no labels.
    """
    from .label_maps import read_on_case

    return read_on_case(out_dir / LABELS_FILE, case)[0]


def image_sha256(source: Source) -> str:
    """SHA-256 of an image file's bytes, or of those of all files of a series, hexadecimal.

    Raises:
        InputError: a file cannot be read.
    """
    path = source if isinstance(source, Path) else source.files[0]
    try:
        return file_sha256(source) if isinstance(source, Path) else files_sha256(source.files)
    except OSError as error:
        raise InputError(
            f"{path}: expected an image, found {error.strerror}; name the file where it is now "
            "with --lge, --bssfp, --t2, or its folder"
        ) from None


def _place(source: Source) -> dict[str, str]:
    """Where an image is, as JSON values."""
    if isinstance(source, Path):
        return {"path": str(source)}
    return {"path": str(_folder_of(source)), "series": source.uid}


def _folder_of(series: DicomSeries) -> Path:
    return Path(os.path.commonpath([str(path.parent.absolute()) for path in series.files]))


def _source(path: Path, series: str | None) -> Source:
    """The image that `_place` noted.

    Raises:
        InputError: the folder holds no such series any more.
    """
    if series is None:
        return path
    found = [one for one in find_series(other_files(path, ())) if one.uid == series]
    usable = [one for one in found if not one.problem]
    if not usable:
        raise InputError(
            f"{path}: expected the DICOM series that was segmented, found it no longer there; name "
            "the folder where it is now with --lge, --bssfp, --t2"
        )
    return max(usable, key=lambda one: one.depth)
