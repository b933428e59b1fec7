"""A session as JSON: what a reader did, to be done again by `replay.py`.

A file may be written by hand: only "steps" is needed, and of a step only its prompts:

    {"steps": [{"structure": "scar", "slice_index": 5, "points": [[120, 96, true]]}]}

What a file says about images, start, models and results is verified; what it leaves out is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from myops import __version__
from myops.case import images_sha256
from myops.errors import InputError
from myops.io.atomic import write_json
from myops.io.checksum import array_sha256
from myops.io.text_files import read_json
from myops.refine.connected import TAKINGS, Taking
from myops.refine.rules import FIRST_RULES, Rules
from myops.worklist.moments import is_moment, reading_seconds

if TYPE_CHECKING:
    from myops.refine.session import Session

FORMAT = 1
SESSION_FILE = "session.json"
NOTICE = "Research use only. Rows, columns and slices count from 0 on the program's own grid."
# What each action may have besides: what version 0.2 did not know, or a hand leaves out.
OPTIONAL: dict[str, dict[str, tuple[type, ...]]] = {
    "rules": {"move_wall": (bool,)},
    "wall": {"changes": (str,)},
}
# What each action needs, with the kind of each value; "prompt" is read by `prompts.from_dict`.
WHOLE, NUMBER, TEXT, FLAG = (int,), (int, float), (str,), (bool,)
ARGUMENTS: dict[str, dict[str, tuple[type, ...]]] = {
    "prompt": {"structure": TEXT, "slice_index": WHOLE},
    "move": {"slice_index": WHOLE, "index": WHOLE, "row": NUMBER, "column": NUMBER},
    "delete": {"slice_index": WHOLE, "index": WHOLE},
    "accept": {"name": TEXT, "changes": TEXT},
    "wall": {},
    "undo": {},
    "redo": {},
    "rules": {"allow_blood_pool": FLAG, "keep_inside": FLAG},
}


@dataclass(frozen=True)
class RecordedStep:
    """A step to be done again.

    Attributes:
        action, arguments: as in `session.Step`; a "prompt" may hold several points.
        time: when the reader did it, ISO 8601; None if not known.
        labels_sha256: of the label map after it; None if it shall not be verified.
    """

    action: str
    arguments: Mapping[str, Any]
    time: str | None = None
    labels_sha256: str | None = None


@dataclass(frozen=True)
class Record:
    """What a session file holds; empty or None is not verified.

    Attributes:
        steps: in order.
        rules: that were in force before the first step.
        images_sha256: sequence name to the checksum of its voxels on the case's grid.
        start_sha256: of the label map before the first step.
        refiner_sha256: of the refiner's weights.
        taking: how much of its answers was taken, see `connected.taken_change`.
        cascade_sha256: network name to the checksum of its weights.
    """

    steps: tuple[RecordedStep, ...]
    rules: Rules = field(default_factory=Rules)
    images_sha256: Mapping[str, str] = field(default_factory=dict)
    start_sha256: str | None = None
    refiner_sha256: str | None = None
    taking: Taking = "connected"
    cascade_sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def timed(self) -> bool:
        """Whether the steps tell when the reader did them."""
        return all(step.time is not None for step in self.steps) and not self.time_trouble

    @property
    def time_trouble(self) -> str:
        """Why the times that are there do not tell how long the reading took; empty if they do."""
        try:
            reading_seconds([step.time for step in self.steps if step.time is not None], 0.0)
        except ValueError as error:
            return str(error)
        return ""


def to_record(session: Session, timed: bool = True) -> dict[str, Any]:
    """JSON values of a session; nothing about the patient but the case's name and checksums.

    Args:
        session: what was done.
        timed: False leaves the times of the steps out: they are the replay's, not a reader's.
    """
    return {
        "format": FORMAT,
        "software": f"myops {__version__}",
        "notice": NOTICE,
        "case": session.case.name,
        "images_sha256": session_images_sha256(session),
        "start_sha256": array_sha256(session.start.labels),
        "refiner": {
            "name": session.refiner.model.name,
            "sha256": session.refiner.model.checksum,
            "taking": session.taking,
        },
        "cascade_sha256": dict(session.start.model),
        "rules": asdict(session.start_rules),
        "steps": [step_values(vars(step), timed) for step in session.steps],
    }


def write_record(path: str | Path, session: Session, timed: bool = True) -> Path:
    """Write a session file, which `read_record` and `myops refine --prompts` read.

    Args:
        path: the file, usually `session.json`; its folder exists.
        session: what was done.
        timed: as for `to_record`.

    Raises:
        InputError: the file cannot be written.
    """
    return write_json(path, to_record(session, timed))


# A session never changes its images: they are read once, not at every save.
_KNOWN_CHECKSUMS: WeakKeyDictionary[Session, dict[str, str]] = WeakKeyDictionary()


def session_images_sha256(session: Session) -> dict[str, str]:
    """`images_sha256` of a session's case, computed once for each session."""
    if session not in _KNOWN_CHECKSUMS:
        _KNOWN_CHECKSUMS[session] = images_sha256(session.case)
    return _KNOWN_CHECKSUMS[session]


def read_record(path: str | Path) -> Record:
    """Read a session file, to be done again by `replay`.

    Args:
        path: what `write_record`, `myops refine` or the Slicer module wrote, or a file written by
            hand (see the top of this module).

    Raises:
        InputError: no such file, no JSON, or see `from_record`.
    """
    path = Path(path)
    try:
        values = read_json(path)
    except OSError as error:
        raise InputError(
            f"{path}: expected a file of prompts, found {error.strerror}; check the path"
        ) from None
    try:
        return from_record(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def check_not_overwritten(prompts: Path, target: Path) -> None:
    """Refuse to write a replay's own record over the one that it replays.

    Raises:
        InputError: the file of prompts is the session file of the target folder.
    """
    if prompts.resolve() == (target / SESSION_FILE).resolve():
        raise InputError(
            f"expected another folder for the results than that of {prompts}, which would be "
            "overwritten; name one with --output"
        )


def from_record(values: Any) -> Record:
    """Check the JSON values of `to_record`, or of a file written by hand.

    Raises:
        InputError: a newer format, or a value that is missing or of another kind.
    """
    _expect(isinstance(values, dict), "an object with steps", values)
    version = values.get("format", FORMAT)
    _expect(version == FORMAT, f"format {FORMAT}, which this version of myops reads", version)
    steps = values.get("steps")
    _expect(isinstance(steps, list), "a list of steps", steps)
    refiner = values.get("refiner", {})
    _expect(isinstance(refiner, dict), "a refiner with its sha256", refiner)
    read = tuple(_step(step, number) for number, step in enumerate(steps, start=1))
    return Record(
        steps=read,
        rules=_rules(values.get("rules", {}), _was_recorded(read)),
        images_sha256=_checksums(values, "images_sha256"),
        start_sha256=_optional_text(values, "start_sha256"),
        refiner_sha256=_optional_text(refiner, "sha256"),
        taking=stated_taking(refiner, _was_recorded(read)),
        cascade_sha256=_checksums(values, "cascade_sha256"),
    )


def _was_recorded(steps: tuple[RecordedStep, ...]) -> bool:
    """Whether this program wrote the steps: nobody writes checksums of labels by hand."""
    return any(step.labels_sha256 for step in steps)


def stated_taking(refiner: Mapping[str, Any], recorded: bool) -> Taking:
    """How much of the answers was taken, as a file says it of its refiner.

    Args:
        refiner: its JSON values.
        recorded: whether this program wrote down what had been done: up to version 0.2 it took
            whole answers, and did not say so.

    Raises:
        InputError: something else than is known.
    """
    said = refiner.get("taking", "whole" if recorded else "connected")
    _expect(said in list(TAKINGS), f"taking among {', '.join(TAKINGS)}", said)
    return TAKINGS[said]


def step_values(step: Mapping[str, Any], timed: bool = True) -> dict[str, Any]:
    """JSON values of a step's attributes, its arguments among them; `from_record` reads them."""
    apart = {"action", "arguments"} | (set() if timed else {"time", "seconds"})
    rest = {k: value for k, value in step.items() if k not in apart}
    return {"action": step["action"], **step["arguments"], **rest}


def _step(values: Any, number: int) -> RecordedStep:
    place = f"step {number}: "
    _expect(isinstance(values, dict), place + "an object", values)
    action = values.get("action", "prompt")
    _expect(action in list(ARGUMENTS), place + f"an action among {', '.join(ARGUMENTS)}", action)
    there = {n: kinds for n, kinds in OPTIONAL.get(action, {}).items() if n in values}
    wanted = ARGUMENTS[action] | there
    for name, kinds in wanted.items():
        kind = " or ".join(k.__name__ for k in kinds)
        _expect(_is(values.get(name), kinds), f"{place}{name} ({kind})", values.get(name))
    names = set(wanted)
    if action == "prompt":
        _check_prompt_values(values, place)
        names |= {"points", "box"}
    arguments = {"points": [], **values} if action == "prompt" else values
    time = _optional_text(values, "time")
    _expect(time is None or is_moment(time), place + "a time in ISO 8601", time)
    return RecordedStep(
        action,
        {name: arguments[name] for name in sorted(names & set(arguments))},
        time,
        _optional_text(values, "labels_sha256"),
    )


def _check_prompt_values(values: Mapping[str, Any], place: str) -> None:
    """JSON's true is no number, and "false" in quotes would count as true: check the kinds."""
    points, box = values.get("points", []), values.get("box")
    right = isinstance(points, list) and all(_is_point(point) for point in points)
    _expect(right, place + "points as lists of row, column, true or false", points)
    right = box is None or (
        isinstance(box, list) and len(box) == 4 and all(_is(corner, NUMBER) for corner in box)
    )
    _expect(right, place + "a box of row, column, row, column", box)
    _expect(points or box, place + "at least one point or a box", "none")


def _is_point(point: Any) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 3
        and all(_is(place, NUMBER) for place in point[:2])
        and isinstance(point[2], bool)
    )


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    # To Python, true is a number.
    return isinstance(value, kinds) and isinstance(value, bool) == (kinds == FLAG)


def _rules(values: Any, recorded: bool) -> Rules:
    """Rules of a file; what was recorded before version 0.3 says nothing of walls that move."""
    known = set(asdict(Rules()))
    right = isinstance(values, dict) and set(values) <= known
    right = right and all(isinstance(value, bool) for value in values.values())
    _expect(right, f"rules ({', '.join(sorted(known))}: true or false)", values)
    return Rules(**({} if recorded else {"move_wall": FIRST_RULES.move_wall}) | values)


def _checksums(values: Mapping[str, Any], name: str) -> dict[str, str]:
    found = values.get(name, {})
    right = isinstance(found, dict) and all(isinstance(text, str) for text in found.values())
    _expect(right, f"{name} as names with checksums", found)
    return dict(found)


def _optional_text(values: Mapping[str, Any], name: str) -> str | None:
    found = values.get(name)
    _expect(found is None or isinstance(found, str), f"{name} as text", found)
    return found


def _expect(right: object, expected: str, found: Any) -> None:
    if not right:
        shown = repr(found)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        raise InputError(f"expected {expected}, found {shown}")
