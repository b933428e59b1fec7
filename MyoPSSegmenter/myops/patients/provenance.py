"""Which images a result is made from, so that a later command finds them again.

An image is a file, or a DICOM series in a folder. What a folder holds is told apart here for all
commands, with the reason for every choice.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myops.errors import InputError
from myops.io.checksum import file_sha256, files_sha256
from myops.io.file_names import differing_names, find_sequences, holds_image_files
from myops.io.text_files import read_json
from myops.sequences import OPTIONS, option
from myops.weights.packs import default_pack, shipped_packs

if TYPE_CHECKING:
    import numpy as np
    import SimpleITK as sitk

    from myops.case import Case
    from myops.dicom.headers import Frame
    from myops.dicom.series import DicomSeries
    from myops.patients.sources import Source

INPUTS_FILE = "inputs.json"
LABELS_FILE = "segmentation.nii.gz"
NOTICE = (
    "For `myops refine`. This file holds paths of the computer it was written on, which may name a "
    "patient: leave it out when you pass the results on."
)
NOTICE_WITHOUT_PATHS = (
    "For `myops refine`, which is told where the images are: paths may name a patient and were "
    "left out, as pseudonyms were asked for."
)
# Stands for an image whose place was not noted.
NO_PLACE = "(not noted)"


@dataclass(frozen=True)
class Inputs:
    """What the user named.

    Attributes:
        files: sequence name to its file (absolute) or DICOM series.
        name: the patient's name for reports; none is shown if None, since file and folder names
            often are names of patients.
        frame: frame of a 4D file or phase of a DICOM cine, counted from 0.
        spacing_mm: true spacing (x, y, z) where the header holds none.
        model: the cascade's weights, the name of a pack or an absolute folder.
        register: "auto" where the other sequences were laid on the reference, else "off".
        shifts_mm: what was found then: sequence to (x, y) of each slice, see `Registration`.
        turns: and sequence to degrees and pivot (x, y) in mm of those that were turned, see `Turn`.
        sha256: sequence name to the checksum of its file or files; not verified where missing.
        warnings: what is doubtful about the choice of images, a sentence each without names.
        notes: what was chosen and left out with the reasons, for the terminal: it may hold names.
        places_noted: whether results may say where the images are: paths may name a patient.
    """

    files: Mapping[str, Source]
    name: str | None = None
    frame: int | None = None
    spacing_mm: tuple[float, float, float] | None = None
    model: str = "default"
    register: str = "off"
    shifts_mm: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    turns: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    places_noted: bool = True

    def with_model(self, name: str) -> Inputs:
        """The same with the name of the cascade's weights; a folder becomes absolute.

        The pack that is in use is noted by its own name: another may be in use next time.
        """
        if name == "default":
            return replace(self, model=default_pack().name)
        return replace(self, model=name if name in shipped_packs() else str(Path(name).absolute()))

    def with_registrations(self, case: Case) -> Inputs:
        """The same with the shifts and turns by which a case's sequences were moved."""
        moved = {one.sequence: one.shifts_mm for one in case.registrations if one.moved}
        turns = {
            one.sequence: (one.turn.degrees, *one.turn.pivot_mm)
            for one in case.registrations
            if one.turn
        }
        return replace(self, shifts_mm=moved, turns=turns)

    def to_dict(self) -> dict[str, Any]:
        """JSON values, with the checksum of every file.

        Raises:
            InputError: a file cannot be read any more.
        """
        return {
            "notice": NOTICE if self.places_noted else NOTICE_WITHOUT_PATHS,
            "case": self.name,
            "images": {
                sequence: {
                    **(_place(source) if self.places_noted else {"path": None}),
                    "sha256": image_sha256(source),
                }
                for sequence, source in self.files.items()
            },
            "frame": self.frame,
            "spacing_mm": self.spacing_mm,
            "model": self.model,
            "register": self.register,
            "shifts_mm": {key: [list(one) for one in s] for key, s in self.shifts_mm.items()},
            "turns": {key: list(one) for key, one in self.turns.items()},
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
        raise InputError(f"expected images, found none: name a folder, or {OPTIONS}")
    if folder is not None and given:
        options = ", ".join(option(sequence) for sequence in given)
        raise InputError(f"expected a folder or {options}, found both: leave one out")
    if folder is None:
        return _checked(Inputs({key: _named(key, path) for key, path in given.items()}))
    if holds_image_files(folder) or not folder.is_dir():
        files = {key: paths[0].absolute() for key, paths in find_sequences(folder).items()}
        return _checked(Inputs(files))
    from myops.dicom.inputs import find_in_folder

    found, notes = find_in_folder(folder)
    return Inputs(found, warnings=_phase_notes(found), notes=notes)


def inputs_of(sources: Mapping[str, Source]) -> Inputs:
    """Images that were found before, with what is doubtful about them; see `find_inputs`."""
    return _checked(Inputs(dict(sources)))


def find_files(folder: Path | None, named: Mapping[str, Path | None]) -> dict[str, Source]:
    """Sequence name to its image; see `find_inputs`, which also says what is doubtful."""
    return dict(find_inputs(folder, named).files)


def _named(sequence: str, path: Path) -> Source:
    """The image that an option names.

    Raises:
        InputError: nothing there, or a folder that does not tell which series is meant.
    """
    if path.is_file():
        return path.absolute()
    from myops.dicom.inputs import named_series

    return named_series(sequence, path)


def _phase_notes(files: Mapping[str, Source]) -> tuple[str, ...]:
    return tuple(
        f"{sequence}: a cine of {source.phases} phases; the first one after the R wave is used as "
        "end-diastole (--phase chooses another)"
        for sequence, source in files.items()
        if not isinstance(source, Path) and source.phases > 1
    )


def _checked(inputs: Inputs) -> Inputs:
    """Refuse or mention files whose names speak of different patients, and series likewise.

    Raises:
        InputError: names that differ in a number only, as those of two patients do.
    """
    files = {key: one for key, one in inputs.files.items() if isinstance(one, Path)}
    series = {key: one for key, one in inputs.files.items() if not isinstance(one, Path)}
    warnings = list(differing_names(files))
    if len({one.patient for one in series.values()}) > 1:
        warnings.append("the DICOM images carry different patient numbers: are they of one person?")
    elif len({one.study for one in series.values()}) > 1:
        warnings.append("the DICOM images are of different examinations of one patient")
    return replace(inputs, warnings=(*warnings, *_phase_notes(inputs.files)))


def read_case(inputs: Inputs) -> Case:
    """Read the images.

    Raises:
        InputError: an image has another checksum than noted, see `read_source` and
            `case.case_from_images`, or a header that contradicts itself without a given spacing.
    """
    from myops.case import UNNAMED, case_from_images, reference_of, refuse_conflict

    for sequence, expected in inputs.sha256.items():
        found = image_sha256(inputs.files[sequence])
        if found != expected:
            raise InputError(
                f"{inputs.files[sequence].name}: expected the {sequence} image that was segmented "
                f"(SHA-256 {expected[:12]}...), found another one ({found[:12]}...); name the "
                f"right one with {option(sequence)}, or segment again"
            )
    reference = reference_of(inputs.files)
    images = {key: _read(source, inputs.frame) for key, source in inputs.files.items()}
    if inputs.spacing_mm is None:
        refuse_conflict(images[reference], inputs.files[reference].name)
    case = case_from_images(images, inputs.name or UNNAMED, inputs.spacing_mm)
    if inputs.shifts_mm:
        import numpy as np

        from myops.slice_registration import with_shifts
        from myops.turn_registration import Turn

        shifts = {key: np.array(one) for key, one in inputs.shifts_mm.items()}
        turns = {key: Turn(degrees, (x, y)) for key, (degrees, x, y) in inputs.turns.items()}
        case = with_shifts(case, shifts, turns)
    return replace(
        case,
        warnings=(*inputs.warnings, *case.warnings),
        source_frames=dicom_frames(inputs.files, inputs.frame),
    )


def dicom_frames(
    files: Mapping[str, Source], phase: int | None = None
) -> dict[str, tuple[Frame, ...]]:
    """Sequence name to the DICOM picture of each slice; images of other formats are left out.

    Args:
        files: sequence name to its image file or series.
        phase: of a cine, from 0; the first if None.

    Raises:
        InputError: see `dicom.volume.source_frames`.
    """
    from myops.dicom.volume import source_frames

    found = {key: source_frames(source, phase) for key, source in files.items()}
    return {key: frames for key, frames in found.items() if frames}


def load_case(
    images: str | Path | Mapping[str, str | Path] | None = None,
    *,
    lge: str | Path | None = None,
    bssfp: str | Path | None = None,
    t2: str | Path | None = None,
    name: str | None = None,
    frame: int | None = None,
    spacing_mm: tuple[float, float, float] | None = None,
) -> Case:
    """Read one patient's images onto one grid, as `myops segment` does.

    An image is a NIfTI, NRRD or MetaImage file, a folder with its DICOM series, or
    "FOLDER@NUMBER" for the series of that number.

    Args:
        images: the patient's folder (files named by sequence, or DICOM), or sequence name ("lge",
            "bssfp", "t2") to image.
        lge: late gadolinium enhancement; gives the grid if there is one.
        bssfp: balanced SSFP (cine); gives the grid if there is no LGE.
        t2: T2-weighted; only together with another sequence.
        name: of the patient, for reports. Names of files and folders are not used: they are often
            names of patients.
        frame: frame of a 4D file or phase of a cine, counted from 0; the first if not given.
        spacing_mm: true spacing (x, y, z) in mm where the header has none or a wrong one.

    Returns:
        The images as float32 (z, y, x) on the grid of the LGE, else of the bSSFP.

    Raises:
        InputError: neither LGE nor bSSFP, an image that cannot be read or trusted, or images that
            do not overlap. The message says what was expected, what was found, and what to do.

    Example:
        >>> case = myops.load_case(lge="lge.nii.gz", t2="t2.nii.gz")
        >>> case.images["lge"].shape, case.geometry.spacing_mm
        ((11, 256, 256), (1.4, 1.4, 10.0))
    """
    named: dict[str, str | Path | None] = {"lge": lge, "bssfp": bssfp, "t2": t2}
    folder = None
    if isinstance(images, Mapping):
        named |= images
    elif images is not None:
        folder = Path(images)
    places = {key: Path(place) for key, place in named.items() if place is not None}
    found = find_inputs(folder, places)
    return read_case(replace(found, name=name, frame=frame, spacing_mm=spacing_mm))


def _read(source: Source, phase: int | None) -> sitk.Image:
    if isinstance(source, Path):
        from myops.io.images import read_image

        return read_image(source, phase)
    from myops.patients.find import read_source

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
        places = {
            key: (Path(NO_PLACE if one["path"] is None else one["path"]), one.get("series"))
            for key, one in images.items()
        }
        spacing = values["spacing_mm"]
        noted = Inputs(
            {},
            values["case"],
            values["frame"],
            None if spacing is None else (spacing[0], spacing[1], spacing[2]),
            values["model"],
            str(values.get("register", "off")),  # results of 0.2.0 do not say
            {
                key: tuple((float(x), float(y)) for x, y in shifts)
                for key, shifts in values.get("shifts_mm", {}).items()
            },
            {
                key: (float(degrees), float(x), float(y))
                for key, (degrees, x, y) in values.get("turns", {}).items()
            },
            {sequence: str(image["sha256"]) for sequence, image in images.items()},
            places_noted=all(image["path"] is not None for image in images.values()),
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
        InputError: missing or damaged file, another grid, or values that are not labels.
    """
    from myops.label_maps import read_on_case

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
            f"with {OPTIONS}, or its folder"
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
    from myops.dicom.inputs import series_of_uid

    return series_of_uid(path, series)
