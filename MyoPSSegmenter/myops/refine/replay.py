"""A recorded session done again: the same clicks on the same images give the same masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from myops.case import images_sha256
from myops.errors import InputError
from myops.io.checksum import array_sha256
from myops.progress import Progress
from myops.refine.label_compression import apply_changes
from myops.refine.prompts import from_dict
from myops.refine.record import Record, RecordedStep
from myops.refine.rules import Rules
from myops.refine.session import RefinerProtocol, Session, WallOffer

if TYPE_CHECKING:
    from myops.case import Case
    from myops.segmentation import Segmentation


@dataclass(frozen=True)
class Replay:
    """A session done again.

    Attributes:
        session: in the state after the last step.
        differences: one sentence each; empty when everything that was verified agrees.
        offers: one sentence for each wall that a step offered to move and the record does not take.
    """

    session: Session
    differences: tuple[str, ...]
    offers: tuple[str, ...] = ()


def replay(
    record: Record,
    case: Case,
    segmentation: Segmentation,
    refiner: RefinerProtocol,
    progress: Progress | None = None,
) -> Replay:
    """Do the steps of a record again.

    With the same models and the same libraries on the same kind of processor the masks are the
    recorded ones, voxel for voxel. Another model is allowed; that and the first step whose labels
    differ are reported.

    Args:
        record: what was done.
        case: the images.
        segmentation: where the session started.
        refiner: gets the case.
        progress: called with the finished fraction (0..1) and the name of the step.

    Raises:
        InputError: other images or another start than recorded, or a step that is refused.

    Example:
        >>> record = myops.read_record("session.json")
        >>> again = myops.replay(record, case, segmentation, myops.Refiner.load())
        >>> again.differences
        ()
    """
    _check_images(record, case)
    _check_start(record, segmentation)
    session = Session(refiner, case, segmentation, record.rules, record.taking)
    first: str | None = None
    offers: dict[int, str] = {}
    for number, step in enumerate(record.steps, start=1):
        if progress is not None:
            progress((number - 1) / len(record.steps), f"step {number}")
        if step.action == "wall":
            offers.pop(number - 1, None)
        _repeat(session, step, number)
        if session.wall_offer is not None:
            offers[number] = _offered(session.wall_offer, number)
        if first is None and step.labels_sha256 is not None:
            first = _label_difference(session, step, number)
    differences = _model_differences(record, session)
    told = tuple(differences + ([first] if first else []))
    return Replay(session, told, tuple(offers.values()))


def _offered(offer: WallOffer, number: int) -> str:
    return (
        f"step {number} found scar up to {offer.mm:.1f} mm beyond the wall of slice "
        f"{offer.slice_index}, and the wall moved by 2 mm; to move it to all of this scar add "
        '{"action": "wall"} after the step'
    )


def _check_images(record: Record, case: Case) -> None:
    if not record.images_sha256:
        return
    found = images_sha256(case)
    differing = sorted(
        name
        for name in {*found, *record.images_sha256}
        if found.get(name) != record.images_sha256.get(name)
    )
    if differing:
        raise InputError(
            f"expected the images of the recorded session, found another {', '.join(differing)}; "
            "give the files that were segmented"
        )


def _check_start(record: Record, segmentation: Segmentation) -> None:
    found = array_sha256(segmentation.labels)
    if record.start_sha256 not in (None, found):
        raise InputError(
            f"expected the start labels of the recorded session (SHA-256 "
            f"{str(record.start_sha256)[:12]}...), found others ({found[:12]}...): give the "
            "segmentation that the session corrected"
        )


def _model_differences(record: Record, session: Session) -> list[str]:
    pairs: list[tuple[str, str | None, str | None]] = [
        (f"weights of {name}", checksum, session.start.model.get(name))
        for name, checksum in record.cascade_sha256.items()
    ]
    pairs.append(("refiner's weights", record.refiner_sha256, session.refiner.model.checksum))
    return [
        f"the {what} are not the recorded ones ({expected[:12]}..., found {str(found)[:12]}...)"
        for what, expected, found in pairs
        if expected is not None and expected != found
    ]


def _label_difference(session: Session, step: RecordedStep, number: int) -> str | None:
    if session.steps[-1].labels_sha256 == step.labels_sha256:
        return None
    return (
        f"step {number} ({step.action}) gave other labels than recorded, and later steps may too: "
        "another model, library version or processor"
    )


def _repeat(session: Session, step: RecordedStep, number: int) -> None:
    done = len(session.steps)
    try:
        ACTIONS[step.action](session, step.arguments)
    except InputError as error:
        raise InputError(f"step {number} ({step.action}): {error}") from None
    # The record of a replay keeps the reader's own time course.
    if step.time is not None:
        session.steps[done:] = [replace(new, time=step.time) for new in session.steps[done:]]


def _prompt(session: Session, arguments: Mapping[str, Any]) -> None:
    prompts = from_dict(arguments)
    place = (prompts.structure, prompts.slice_index)
    if prompts.box is not None:
        box = prompts.box
        session.box(*place, (box.row_0, box.column_0, box.row_1, box.column_1))
    for point in prompts.points:
        session.click(*place, point.row, point.column, point.positive)


def _accept(session: Session, arguments: Mapping[str, Any]) -> None:
    labels = apply_changes(session.labels, arguments["changes"])
    session.accept_labels(labels, arguments["name"])


def _wall(session: Session, arguments: Mapping[str, Any]) -> None:
    """Take the wall that was taken, also where another model offers another one or none."""
    changes = arguments.get("changes")
    session.take_wall(None if changes is None else apply_changes(session.labels, changes))


def _rules(session: Session, arguments: Mapping[str, Any]) -> None:
    session.rules = Rules(**arguments)


ACTIONS: dict[str, Callable[[Session, Mapping[str, Any]], object]] = {
    "prompt": _prompt,
    "move": lambda session, arguments: session.move_click(**arguments),
    "delete": lambda session, arguments: session.delete_click(**arguments),
    "accept": _accept,
    "wall": _wall,
    "undo": lambda session, _: session.undo(),
    "redo": lambda session, _: session.redo(),
    "rules": _rules,
}
