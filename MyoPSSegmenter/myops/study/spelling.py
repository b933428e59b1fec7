"""Names that people spell in two ways: one reader counted as two, or two as one.

Nothing is put right here. Two spellings of one name are refused, since only the user knows whether
they are one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

from myops.errors import InputError
from myops.io.readable import readable


def same_name(name: str) -> str:
    """What two spellings of a name have in common: capital letters, spaces, Unicode forms."""
    letters = unicodedata.normalize("NFKC", readable(name)).casefold()
    return " ".join(re.split(r"[\s_]+", unicodedata.normalize("NFKC", letters))).strip()


def same_session(name: str) -> str:
    """The same of a session: "1", "01", "1.0", "session 1" and "Session_1" are one."""
    number = re.sub(r"^session ?", "", same_name(name))
    whole = re.fullmatch(r"0*(\d+)(\.0*)?", number)
    return whole[1] if whole else number


def check_spelling(
    names: Iterable[str], what: str, source: str, same: Callable[[str], str] = same_name
) -> None:
    """Refuse two spellings of one name.

    Args:
        names: as they are spelled.
        what: of what kind, such as "reader".
        source: where they come from, for the error.
        same: what two spellings of a name have in common.

    Raises:
        InputError: naming both spellings.
    """
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(same(name), name)
        if other != name:
            raise InputError(
                f"{source}: expected one spelling of each {what}, found {other!r} and {name!r}; "
                f"spell it in one way, or give each {what} a name that differs in more than "
                "capital letters, spaces or leading zeros"
            )
