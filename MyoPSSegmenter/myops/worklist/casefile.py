"""One JSON per case, reader and session: what was done, by whom, and how long it took.

    STUDY/<case>/<reader>/<session>/case.json            this file
                                    state.npz            masks and prompts, see `refine.saved`
                                    measurements.json    numbers, for `myops study`
                                    session.json         the clicks, for `myops refine --prompts`

Names of patients may hold what a file system refuses: `folder_name` writes such characters as %2F.
"""

from __future__ import annotations

import math
import re
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from myops import __version__
from myops.errors import InputError
from myops.io.atomic import set_aside, write_json
from myops.io.json_fields import amount, count, text
from myops.io.text_files import parse_json
from myops.worklist.moments import utc_moment
from myops.worklist.reader_ids import check_reader, check_session, folder_name
from myops.worklist.timing import ClickRecord, StageClock

FORMAT = 1
CASE_FILE, STATE_FILE = "case.json", "state.npz"
STATUSES = ("new", "automatic", "corrected", "approved")
NOTICE = "Research use only."
ALIGNMENTS = ("alignments", "segmented_alignments")
MATRIX_SIZE = 16
# How `write_atomic` names a file while it is written.
UNFINISHED = re.compile(r"\.\d+-(\d+-)?[a-z]+\.(json|npz)")
UNFINISHED_AFTER_S = 3600.0


@dataclass(frozen=True)
class StatusChange:
    """A case got a status.

    Attributes:
        status: one of `STATUSES`.
        at: when, ISO 8601 in UTC.
        by: the reader's initials.
    """

    status: str
    at: str
    by: str


@dataclass(frozen=True)
class CaseFile:
    """A case as one reader read it in one session.

    Attributes:
        case: name of the patient or phantom, as shown.
        reader: initials, capital letters.
        session: the reader's first, second ... reading.
        changes: every status it got, in order; none for a new case.
        clock: `StageClock.to_dict`: seconds by stage.
        clicks: every prompt, with the latency of its answer.
        undos, redos: how often.
        masses_g: "lv_myocardium", "scar", "mvo", "edema" to g; None where not assessed.
        methods_g: conventional rule to its scar mass in g; None where it is invalid.
        note: why there is no scar mass, or what the reader wrote.
        images_sha256: sequence to the checksum of its voxels on the case's grid.
        model: network to the checksum of its weights.
        alignments: sequence to how it was moved, as `savedAlignment` of the Slicer layer notes it:
            "matrix" and, where a search has found another one, "found", 16 numbers each.
        segmented_alignments: the same of the images that the segmentation was made of.
    """

    case: str
    reader: str
    session: str = "1"
    changes: tuple[StatusChange, ...] = ()
    clock: Mapping[str, Any] = field(default_factory=lambda: StageClock().to_dict())
    clicks: tuple[ClickRecord, ...] = ()
    undos: int = 0
    redos: int = 0
    masses_g: Mapping[str, float | None] = field(default_factory=dict)
    methods_g: Mapping[str, float | None] = field(default_factory=dict)
    note: str = ""
    images_sha256: Mapping[str, str] = field(default_factory=dict)
    model: Mapping[str, str] = field(default_factory=dict)
    alignments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    segmented_alignments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "case", unicodedata.normalize("NFC", self.case).strip())
        object.__setattr__(self, "reader", check_reader(self.reader))
        object.__setattr__(self, "session", check_session(self.session))
        folder_name(self.case)

    @property
    def status(self) -> str:
        """The present status."""
        return self.changes[-1].status if self.changes else "new"

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by stage."""
        return StageClock.from_dict(self.clock).seconds

    def with_status(self, status: str, at: datetime | None = None) -> CaseFile:
        """The same with another status from now on; unchanged where it has that status already.

        Raises:
            InputError: no such status.
        """
        if status not in STATUSES:
            raise InputError(f"expected a status among {', '.join(STATUSES)}, found {status!r}")
        if status == self.status:
            return self
        moment = (at or datetime.now(timezone.utc)).isoformat(timespec="seconds")
        return replace(self, changes=(*self.changes, StatusChange(status, moment, self.reader)))


def session_folder(study: str | Path, case: str, reader: str, session: str = "1") -> Path:
    """STUDY/<case>/<reader>/<session>, whatever characters the case's name has.

    Raises:
        InputError: no name, or initials or a session that cannot be used.
    """
    return Path(study) / folder_name(case) / check_reader(reader) / check_session(session)


def write_case_file(study: str | Path, case_file: CaseFile) -> Path:
    """Write a case's JSON beside the old one, then move it there in one step.

    Returns:
        STUDY/<case>/<reader>/<session>/case.json.

    Raises:
        InputError: the place cannot be written, or holds another case (file systems that do not
            tell capital letters apart); what was there before stays.
    """
    folder = session_folder(study, case_file.case, case_file.reader, case_file.session)
    _check_same_case(folder / CASE_FILE, case_file)
    _remove_unfinished(folder)
    return write_json(folder / CASE_FILE, _values(case_file))


def read_case_file(path: str | Path, keep_aside: bool = True) -> CaseFile:
    """Read a case's JSON.

    Args:
        path: a case.json, or the folder of its session.
        keep_aside: rename a damaged file to case.json.damaged, so that a new one can be begun.

    Raises:
        InputError: no such file, a damaged one, or one of a newer program.
    """
    path = Path(path) / CASE_FILE if Path(path).is_dir() else Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: expected the file of a case, found {error.strerror}; check the path"
        ) from None
    try:
        values = parse_json(content, path.name)
        newer = isinstance(values, dict) and values.get("format", FORMAT) != FORMAT
        found = None if newer else _case_file(values)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        kept = set_aside(path) if keep_aside else path
        raise InputError(
            f"{path}: expected the file of a case, found a damaged one ({error!r}); it is kept as "
            f"{kept.name}, open the case again to begin a new one"
        ) from None
    if found is None:
        raise InputError(
            f"{path}: expected format {FORMAT}, found {values['format']!r}; open the study with "
            "the version of the program that wrote it"
        )
    return found


def find_case_files(study: str | Path) -> tuple[Path, ...]:
    """Every case.json of a study, in the order of case, reader and session."""
    return tuple(sorted(Path(study).glob(f"*/*/*/{CASE_FILE}")))


def _check_same_case(path: Path, new: CaseFile) -> None:
    """Refuse to write over another case; a damaged file is kept aside instead of being lost."""
    if not path.exists():
        return
    try:
        found = read_case_file(path)
    except InputError:
        if path.exists():  # of a newer program, or not to be moved
            raise
        return
    if (found.case, found.reader, found.session) != (new.case, new.reader, new.session):
        raise InputError(
            f"{path}: expected the file of {new.case}, reader {new.reader}, found that of "
            f"{found.case}, reader {found.reader}; rename one of the two patients"
        )


def _remove_unfinished(folder: Path) -> None:
    """Remove what killed programs left beside the files, once nobody can be writing it."""
    for path in folder.glob(".*-*"):
        if not UNFINISHED.fullmatch(path.name):
            continue
        try:
            if time.time() - path.stat().st_mtime > UNFINISHED_AFTER_S:
                path.unlink()
        except OSError:  # gone, or not ours to remove
            continue


def _values(found: CaseFile) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "software": f"myops {__version__}",
        "notice": NOTICE,
        "case": found.case,
        "reader": found.reader,
        "session": found.session,
        "status": found.status,
        "status_changes": [vars(change) for change in found.changes],
        **found.clock,
        "undos": found.undos,
        "redos": found.redos,
        "masses_g": dict(found.masses_g),
        "methods_g": dict(found.methods_g),
        "note": found.note,
        "images_sha256": dict(found.images_sha256),
        "model": dict(found.model),
        # Only where a sequence was moved: other files stay as they are.
        **{name: getattr(found, name) for name in ALIGNMENTS if getattr(found, name)},
        "clicks": [click.to_dict() for click in found.clicks],
    }


def _case_file(values: Mapping[str, Any]) -> CaseFile:
    clock = {name: values[name] for name in ("seconds", "idle_seconds", "idle_after_s")}
    return CaseFile(
        text(values["case"]),
        text(values["reader"]),
        text(values["session"]),
        tuple(_change(change) for change in values["status_changes"]),
        StageClock.from_dict(clock).to_dict(),
        tuple(ClickRecord.from_dict(click) for click in values["clicks"]),
        count(values["undos"]),
        count(values["redos"]),
        _masses(values["masses_g"]),
        _masses(values["methods_g"]),
        text(values["note"]),
        {text(name): text(checksum) for name, checksum in values["images_sha256"].items()},
        {text(name): text(checksum) for name, checksum in values["model"].items()},
        *(_alignments(values.get(name, {})) for name in ALIGNMENTS),
    )


def _alignments(values: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Matrices as texts.

    Raises:
        ValueError: other than 16 numbers.
    """
    found = {text(key): {text(k): text(v) for k, v in one.items()} for key, one in values.items()}
    for words in (words for one in found.values() for words in one.values()):
        numbers = [float(word) for word in words.split()]
        if len(numbers) != MATRIX_SIZE or not all(math.isfinite(one) for one in numbers):
            raise ValueError(f"expected 16 numbers of a matrix, found {words!r}")
    if any("matrix" not in one for one in found.values()):
        raise ValueError("expected a matrix for each sequence that was moved, found none")
    return found


def _change(values: Mapping[str, Any]) -> StatusChange:
    if values["status"] not in STATUSES:
        raise ValueError(f"no status: {values['status']!r}")
    utc_moment(values["at"])
    return StatusChange(values["status"], values["at"], check_reader(text(values["by"])))


def _masses(values: Mapping[str, Any]) -> dict[str, float | None]:
    return {text(name): None if grams is None else amount(grams) for name, grams in values.items()}
