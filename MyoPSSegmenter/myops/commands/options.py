"""Options that several commands share: images, landmarks, device."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from myops.errors import InputError
from myops.labels import CONVENTIONS, DEFAULT_CONVENTION, check_convention
from myops.sequences import ASKED_SEQUENCES, SEQUENCES, option

if TYPE_CHECKING:
    from myops.patients.provenance import Inputs

PATH = click.Path(path_type=Path)
# Slice index from 0, row and column in pixels.
Place = tuple[int, float, float]
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."
)
register_option = click.option(
    "--register",
    type=click.Choice(["off", "auto"]),
    default="off",
    show_default=True,
    help="auto: lay bSSFP and T2 on the LGE, slice by slice, where that is clearly better.",
)
pseudonyms_option = click.option(
    "--pseudonyms",
    type=PATH,
    help="CSV table (patient, pseudonym), outside of the results: names the patient in them.",
)


class ConventionName(click.Choice):
    """A name out of `CONVENTIONS`; another one is refused in one line, as all bad input is."""

    def __init__(self) -> None:
        super().__init__(list(CONVENTIONS))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check the name.

        Raises:
            InputError: an unknown one.
        """
        if value:  # "" = not given
            check_convention(value)
        return value


convention_option = click.option(
    "--convention",
    type=ConventionName(),
    default=DEFAULT_CONVENTION,
    show_default=True,
    help="How label files number the structures.",
)
case_convention_option = click.option(
    "--convention",
    type=ConventionName(),
    default="",
    help="Of the label files, if not that of their data set's names.",
)


def dicom_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of DICOM results: it gets `formats` and `keep_identity`."""

    @click.option(
        "--dicom", is_flag=True, help="Write a DICOM segmentation (SEG) and report (SR) too."
    )
    @click.option(
        "--keep-identity",
        is_flag=True,
        help="In DICOM results: the patient's name, ID, birth date, and the accession number.",
    )
    @functools.wraps(command)
    def with_formats(dicom: bool, keep_identity: bool, **rest: Any) -> None:
        from myops.output.results import FORMATS, USUAL_FORMATS, check_packages

        if keep_identity and not dicom:
            raise InputError(
                "expected --keep-identity together with --dicom, found it alone: other results "
                "never name a patient; add --dicom, or use --name"
            )
        formats = FORMATS if dicom else USUAL_FORMATS
        if dicom:
            check_packages(formats)
        command(formats=formats, keep_identity=keep_identity, **rest)

    return with_formats


def place_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name image files, and call it with `folder` and `named`."""

    @functools.wraps(command)
    def with_places(**given: Any) -> None:
        named = {name: given.pop(name) for name in ASKED_SEQUENCES}
        command(named=named, **given)

    decorated: Callable[..., None] = with_places
    for name in reversed(ASKED_SEQUENCES):
        words = f"{SEQUENCES[name].description}: file or DICOM folder."
        decorated = click.option(option(name), name, type=PATH, help=words)(decorated)
    return click.argument("folder", type=PATH, required=False)(decorated)


def image_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that describe a patient's images, and call it with `Inputs`."""

    @place_options
    @click.option(
        "--frame", "--phase", "frame", type=int, help="Frame or phase of a cine, counted from 0."
    )
    @click.option("--name", help="Patient's name for report and tables; none if left out.")
    @click.option(
        "--spacing",
        type=(float, float, float),
        metavar="X Y Z",
        help="True voxel spacing in mm, Z between slice centers, where the file has none.",
    )
    @functools.wraps(command)
    def with_inputs(
        folder: Path | None,
        named: dict[str, Path | None],
        frame: int | None,
        name: str | None,
        spacing: tuple[float, float, float] | None,
        **rest: Any,
    ) -> None:
        from dataclasses import replace

        from myops.patients.provenance import find_inputs

        found = find_inputs(folder, named)
        for note in found.notes:
            click.echo(note, err=True)
        command(inputs=replace(found, name=name, frame=frame, spacing_mm=spacing), **rest)

    return with_inputs


def case_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that describe a patient's images, and call it with the `Case`."""

    @image_options
    @functools.wraps(command)
    def with_case(inputs: Inputs, **rest: Any) -> None:
        from myops.patients.provenance import read_case

        command(case=read_case(inputs), **rest)

    return with_case


def landmark_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what a reader may say about the heart, and call it with `Landmarks`."""
    place = functools.partial(click.option, metavar="SLICE,ROW,COLUMN", callback=parse_place)

    @place(
        "--insertion",
        help="Anterior RV insertion: slice as in the report, row and column in pixels from 0.",
    )
    @place("--inferior-insertion", help="The septum's other end, the same way.")
    @click.option("--apex", type=click.Choice(["first", "last"]), help="The apical slice.")
    @place("--skeletal-muscle", help="In skeletal muscle, for T2 ratios; the same way.")
    @functools.wraps(command)
    def with_landmarks(
        insertion: Place | None,
        inferior_insertion: Place | None,
        apex: Literal["first", "last"] | None,
        skeletal_muscle: Place | None,
        **rest: Any,
    ) -> None:
        from myops.quantify.regional.orientation import Landmark, Landmarks

        places = (insertion, inferior_insertion, skeletal_muscle)
        clicks = [None if at is None else Landmark(*at) for at in places]
        command(landmarks=Landmarks(clicks[0], clicks[1], apex, clicks[2]), **rest)

    return with_landmarks


def parse_place(ctx: click.Context, option: click.Parameter, text: str | None) -> Place | None:
    """Turn "5,120,96.5" into slice index, row and column.

    Raises:
        InputError: anything but a whole number from 1 and two numbers.
    """
    if text is None:
        return None
    try:
        number, row, column = text.split(",")
        index, place = int(number) - 1, (float(row), float(column))
    except ValueError:
        raise InputError(
            f"{option.opts[0]}: expected SLICE,ROW,COLUMN such as 5,120,96.5, found {text!r}"
        ) from None
    if index < 0:
        raise InputError(
            f"{option.opts[0]}: expected a slice counted from 1 as in the report, found {number}"
        )
    return index, *place
