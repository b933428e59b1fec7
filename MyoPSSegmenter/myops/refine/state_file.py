"""A session in one file, to go on where it was left: masks, prompts, undo and redo.

The file is a zip archive with the suffix .npz; nothing in it is pickled:

    state.json   what was done, the open prompts and the history, as tables of numbers
    planes.npy   every slice that the history needs, packed, one after another
    start.npz    where the session started: labels, probabilities, uncertainty

`record.py` writes what a reader did, to be done again with a network. This file holds the results,
so it needs no network and gives them back voxel for voxel. Probabilities stay float32 for that: a
click after resuming must give what it would have given before (2 MB for 7 slices of 240 x 288).
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from myops import __version__
from myops.case import images_sha256
from myops.errors import InputError
from myops.io.atomic import write_atomic
from myops.io.json_fields import flag, text
from myops.io.readable import encoded
from myops.refine.connected import Taking
from myops.refine.history import History
from myops.refine.record import (
    from_record,
    session_images_sha256,
    stated_taking,
    step_values,
)
from myops.refine.rules import Rules
from myops.refine.session import RefinerProtocol, Session, Step
from myops.refine.state_start import pack_start, start_values, unpack_start
from myops.refine.state_tables import Snapshots, StateTables, from_tables, to_tables

if TYPE_CHECKING:
    from myops.case import Case
    from myops.segmentation import Segmentation

FORMAT = 1
STATE, PLANES, START = "state.json", "planes.npy", "start.npz"
NOTICE = "Research use only. Written by MyoPS Segmenter to resume a session."
# More than 500 steps in 120 slices need; a file that claims more is none of ours.
MAX_STATE_BYTES = 200_000_000
# A case of 50 million voxels has 1.5 GB of probabilities, and half of that is background.
MAX_START_BYTES = 1_500_000_000


@dataclass(frozen=True)
class SavedState:
    """Everything a session needs to go on. Nothing in it changes when the session goes on.

    Attributes:
        case: name of the case.
        images_sha256: sequence name to the checksum of its voxels on the case's grid.
        segmentation: where the session started.
        rules: those before the first step, and the present ones.
        refiner: name of the refiner.
        refiner_sha256: checksum of its weights; None where there were none.
        taking: how much of its answers is taken, see `connected.taken_change`.
        steps: everything that was done.
        snapshots: what can be undone and redone, the oldest first.
        position: index of the present snapshot.
    """

    case: str
    images_sha256: Mapping[str, str]
    segmentation: Segmentation
    rules: tuple[Rules, Rules]
    refiner: str
    refiner_sha256: str | None
    taking: Taking
    steps: tuple[Step, ...]
    snapshots: Snapshots
    position: int

    @property
    def labels(self) -> np.ndarray:
        """The label map as it was left, uint16 (z, y, x)."""
        return self.history().present[0]

    def history(self) -> History[Any]:
        """A history of its own for every session that goes on from here."""
        plane = self.segmentation.labels.shape[1:]
        return History.resumed(self.snapshots, self.position, (plane[0], plane[1]))


def to_state(session: Session) -> SavedState:
    """What `save_state` writes: taken in a moment, to be written in another thread."""
    return SavedState(
        session.case.name,
        session_images_sha256(session),
        session.start,
        (session.start_rules, session.rules),
        session.refiner.model.name,
        session.refiner.model.checksum,
        session.taking,
        tuple(session.steps),
        session.history.snapshots,
        session.history.position,
    )


def save_state(path: str | Path, session: Session | SavedState) -> Path:
    """Write a session beside the file, then move it there in one step.

    Args:
        path: ends in .npz.
        session: a session, or `to_state` of it where this runs in another thread.

    Raises:
        InputError: the place cannot be written; what was there before stays.
    """
    state = session if isinstance(session, SavedState) else to_state(session)
    tables = to_tables(state.snapshots)
    planes = BytesIO()
    np.save(planes, np.frombuffer(b"".join(tables.planes), np.uint8))
    values = _values(state) | tables.values | {"planes": [len(p) for p in tables.planes]}
    state_json = json.dumps(values, ensure_ascii=False, allow_nan=False)

    def write(beside: Path) -> None:
        with zipfile.ZipFile(beside, "w") as archive:
            archive.writestr(STATE, encoded(state_json), zipfile.ZIP_DEFLATED, 1)
            archive.writestr(PLANES, planes.getvalue())  # packed already, like the next one
            archive.writestr(START, pack_start(state.segmentation))

    return write_atomic(path, write)


def read_state(path: str | Path) -> SavedState:
    """Read what `save_state` wrote; every number in it is checked.

    Raises:
        InputError: no such file, a damaged one, or one of a newer program.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            values = json.loads(_member(archive, STATE, MAX_STATE_BYTES))
            planes = _member(archive, PLANES, MAX_STATE_BYTES)
            start = _member(archive, START, MAX_START_BYTES)
        return _state(values, planes, start)
    except OSError as error:
        raise InputError(
            f"{path}: expected a saved session, found {error.strerror or error}; check the path"
        ) from None
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None
    except DAMAGE as error:
        raise InputError(
            f"{path.name}: expected a saved session, found a damaged file ({error!r}); "
            "segment the case again"
        ) from None


def restore(state: SavedState, case: Case, refiner: RefinerProtocol) -> Session:
    """Go on with a saved session.

    Args:
        state: from `read_state` or `to_state`.
        case: the same images.
        refiner: gets the case; `no_refiner.NoRefiner` where torch is missing.

    Raises:
        InputError: other images than those of the session.
    """
    found = images_sha256(case)
    names = {*found, *state.images_sha256}
    other = sorted(name for name in names if found.get(name) != state.images_sha256.get(name))
    if other or case.geometry != state.segmentation.geometry:
        what = ", ".join(other) or "position or spacing of the images"
        raise InputError(
            f"expected the images that the saved session of {state.case} corrected, found another "
            f"{what}; load the same images, or begin a new session"
        )
    return Session.resumed(
        refiner, case, state.segmentation, state.rules, state.history(), state.steps, state.taking
    )


# What reading damaged or foreign bytes raises.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
)


def _values(state: SavedState) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "software": f"myops {__version__}",
        "notice": NOTICE,
        "case": state.case,
        "images_sha256": dict(state.images_sha256),
        "start": start_values(state.segmentation),
        "rules": [asdict(rules) for rules in state.rules],
        "refiner": {
            "name": state.refiner,
            "sha256": state.refiner_sha256,
            "taking": state.taking,
        },
        "steps": [step_values(vars(step)) for step in state.steps],
        "position": state.position,
    }


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """The bytes of a member, its checksum verified; its claimed size is what is read at most."""
    size = archive.getinfo(name).file_size
    if size > limit:
        raise ValueError(f"{name} claims {size} bytes")
    return archive.read(name)


def _state(values: Any, planes: bytes, start: bytes) -> SavedState:
    if values["format"] != FORMAT:
        raise InputError(
            f"expected format {FORMAT}, which this version of myops reads, found "
            f"{values['format']!r}; open it with the version that wrote it"
        )
    segmentation = unpack_start(values["start"], start)
    depth, rows, columns = segmentation.labels.shape
    tables = StateTables(_cut(planes, values["planes"]), values)
    first, present = values["rules"]
    steps = _steps(values["steps"])
    state = SavedState(
        str(values["case"]),
        {str(name): str(checksum) for name, checksum in values["images_sha256"].items()},
        segmentation,
        (_flags(first), _flags(present)),
        text(values["refiner"]["name"]),
        None if values["refiner"]["sha256"] is None else text(values["refiner"]["sha256"]),
        stated_taking(values["refiner"], bool(steps)),
        steps,
        from_tables(tables, (depth, rows, columns)),
        values["position"],
    )
    state.history()  # refuses a position that is not there
    return state


def _steps(rows: Any) -> tuple[Step, ...]:
    recorded = from_record({"steps": rows}).steps
    return tuple(
        Step(
            step.action,
            step.arguments,
            text(step.time),
            float(row["seconds"]),
            None if row["confidence"] is None else float(row["confidence"]),
            int(row["changed_voxels"]),
            int(row["refused_voxels"]),
            text(step.labels_sha256),
        )
        for step, row in zip(recorded, rows, strict=True)
    )


def _flags(values: Any) -> Rules:
    return Rules(**{name: flag(value) for name, value in values.items()})


def _cut(planes: bytes, lengths: Any) -> list[bytes]:
    content = np.load(BytesIO(planes), allow_pickle=False).tobytes()
    if any(not isinstance(length, int) or length < 0 for length in lengths):
        raise ValueError("lengths of slices below 0")
    if sum(lengths) != len(content):
        raise ValueError("slices are missing")
    ends = np.cumsum([0, *lengths]).tolist()
    return [content[begin:end] for begin, end in pairwise(ends)]
