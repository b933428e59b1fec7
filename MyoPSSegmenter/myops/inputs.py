"""Which files a result was made from, so that a later command finds them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checksum import file_sha256
from .errors import InputError
from .naming import find_sequences
from .text_files import read_json

if TYPE_CHECKING:
    import numpy as np

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
        files: sequence name to its file, absolute.
        name: the patient's name for reports; none is shown if None, since file and folder names
            often are names of patients.
        frame: frame of a 4D cine, counted from 0.
        spacing_mm: true spacing (x, y, z) where the header holds none.
        model: the cascade's weights, "default" or an absolute folder.
        sha256: sequence name to the checksum of its file; not verified where missing.
    """

    files: Mapping[str, Path]
    name: str | None = None
    frame: int | None = None
    spacing_mm: tuple[float, float, float] | None = None
    model: str = "default"
    sha256: Mapping[str, str] = field(default_factory=dict)

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
                sequence: {"path": str(path), "sha256": image_sha256(path)}
                for sequence, path in self.files.items()
            },
            "frame": self.frame,
            "spacing_mm": self.spacing_mm,
            "model": self.model,
        }


def find_files(folder: Path | None, named: Mapping[str, Path | None]) -> dict[str, Path]:
    """Sequence name to absolute file, from a folder or from named files.

    Raises:
        InputError: nothing named, both ways used at once, or a folder without known names.
    """
    given = {sequence: path for sequence, path in named.items() if path is not None}
    if folder is None and not given:
        raise InputError("expected images, found none: name a folder, or --lge, --bssfp, --t2")
    if folder is not None and given:
        options = ", ".join(f"--{sequence}" for sequence in given)
        raise InputError(f"expected a folder or {options}, found both: leave one out")
    if folder is not None:
        given = {sequence: paths[0] for sequence, paths in find_sequences(folder).items()}
    return {sequence: path.absolute() for sequence, path in given.items()}


def read_case(inputs: Inputs) -> Case:
    """Read the images.

    Raises:
        InputError: a file has another checksum than noted, or see `case.load_case`.
    """
    from .case import UNNAMED, load_case

    for sequence, expected in inputs.sha256.items():
        found = image_sha256(inputs.files[sequence])
        if found != expected:
            raise InputError(
                f"{inputs.files[sequence]}: expected the {sequence} image that was segmented "
                f"(SHA-256 {expected[:12]}...), found another file ({found[:12]}...); name the "
                f"right one with --{sequence}, or segment again"
            )
    files: dict[str, Any] = dict(inputs.files)
    name = inputs.name or UNNAMED
    return load_case(**files, name=name, frame=inputs.frame, spacing_mm=inputs.spacing_mm)


def read_inputs(out_dir: Path) -> Inputs:
    """Read what `myops segment` noted about its images in its results.

    Raises:
        InputError: no such folder or note, or a damaged one.
    """
    path = out_dir / INPUTS_FILE
    try:
        values = read_json(path)
        images = values["images"]
        spacing = values["spacing_mm"]
        return Inputs(
            {sequence: Path(image["path"]) for sequence, image in images.items()},
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
    import SimpleITK as sitk

    from .canonical import to_canonical
    from .compare import GRID_TOLERANCE_MM
    from .geometry import from_sitk
    from .io import read_image
    from .labels import to_known_labels

    image = read_image(out_dir / LABELS_FILE)
    if not from_sitk(image).is_same_grid(case.original.geometry, GRID_TOLERANCE_MM):
        raise InputError(
            f"{out_dir / LABELS_FILE}: expected labels on the grid of the {case.reference} image, "
            "found another grid; give the images that were segmented"
        )
    return to_canonical(to_known_labels(sitk.GetArrayFromImage(image)), case.original)


def image_sha256(path: Path) -> str:
    """SHA-256 of an image file's bytes, hexadecimal.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return file_sha256(path)
    except OSError as error:
        raise InputError(
            f"{path}: expected an image, found {error.strerror}; name the file where it is now "
            "with --lge, --bssfp, --t2, or its folder"
        ) from None
