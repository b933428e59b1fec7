"""Numbers in words: the only way in which tables, pages, pictures and the terminal write them.

What people read on a page has a true minus sign and a dash where there is no number; files for
programs and the terminal stay within ASCII (`plain`, `plain_significant`). Zero has no sign: what
rounds to it is neither −0.0 nor −0.00.
"""

from __future__ import annotations

from collections.abc import Callable

DASH = "–"
MINUS = "−"


def number(value: float | None, digits: int = 1, missing: str = DASH) -> str:
    """A number with so many decimals for a page, or the words for a missing one."""
    return plain(value, digits, missing).replace("-", MINUS)


def signed(value: float | None, digits: int = 1, missing: str = DASH) -> str:
    """A difference with its sign, for a page; no difference is +0."""
    return _fixed(value, f"+.{digits}f", missing).replace("-", MINUS)


def significant(value: float | None, missing: str = DASH) -> str:
    """A number with four digits for a page, such as an intensity: their units are arbitrary."""
    return plain_significant(value, missing).replace("-", MINUS)


def plain(value: float | None, digits: int, missing: str = DASH) -> str:
    """As `number`, with an ASCII minus, for files that programs read and for the terminal."""
    return _fixed(value, f".{digits}f", missing)


def plain_significant(value: float | None, missing: str = DASH) -> str:
    """As `significant`, with an ASCII minus."""
    return _fixed(value, ".4g", missing)


def number_range(
    limits: tuple[float, float] | None, write: Callable[[float], str], missing: str = DASH
) -> str:
    """Lowest to highest, "49 to 77"; once where both are written alike.

    Args:
        limits: lowest and highest; None where there are none.
        write: how one number is written.
        missing: the words for None.
    """
    if limits is None:
        return missing
    low, high = (write(limit) for limit in limits)
    return low if low == high else f"{low} to {high}"


def _fixed(value: float | None, form: str, missing: str) -> str:
    if value is None:
        return missing
    text = format(value, form)
    # Written again from a zero without sign: "-0.0" and "-0" would claim a direction.
    return text if float(text) else format(0.0, form)
