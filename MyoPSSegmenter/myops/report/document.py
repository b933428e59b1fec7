"""What a report is made of; `html.py` and `pdf.py` each lay it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        words: plain text.
        tone: "small" for what explains, "warning" for what must not be missed.
    """

    kind: ClassVar[str] = "text"
    words: str
    tone: Literal["normal", "small", "warning"] = "normal"


@dataclass(frozen=True)
class Table:
    """A table of cells that are ready to be shown.

    Attributes:
        headers: one per column.
        rows: as long as the headers each.
        words: columns of words, set to the left; numbers stand to the right.
        leading: rows that the others are compared with.
    """

    kind: ClassVar[str] = "table"
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[int] = frozenset({0})
    leading: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Picture:
    """A PNG and what it shows in words."""

    png: bytes
    words: str


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side, and a caption below them; `share` is their part of the width."""

    kind: ClassVar[str] = "pictures"
    items: tuple[Picture, ...]
    caption: str = ""
    share: float = 1.0


@dataclass(frozen=True)
class Strip:
    """One slice in all columns, with its masses beside it."""

    kind: ClassVar[str] = "strip"
    title: str
    lines: tuple[str, ...]
    picture: Picture
    columns: int


@dataclass(frozen=True)
class Line:
    """An outline of the pictures: what it is and how it is drawn."""

    words: str
    color: str
    style: Literal["solid", "dashed", "dotted", "none"]


@dataclass(frozen=True)
class Legend:
    """What the outlines and colors of the pictures mean."""

    kind: ClassVar[str] = "legend"
    lines: tuple[Line, ...]
    uncertainty: bool
    clicks: bool


Block = Text | Table | Pictures | Strip | Legend


@dataclass(frozen=True)
class Section:
    """A heading and what is below it; on paper `new_page` begins a page."""

    title: str
    blocks: tuple[Block, ...]
    new_page: bool = False


@dataclass(frozen=True)
class Card:
    """One of the numbers on top; `tissue` gives its color, None a gray one."""

    title: str
    value: str
    unit: str
    detail: str
    tissue: str | None


@dataclass(frozen=True)
class Content:
    """A whole report.

    Attributes:
        title: the patient's name where it was asked for.
        kind: what the report is about.
        facts: date, software and sequences, each with its name.
        status: whether a reader corrected the result; follows the research-use line.
        summary: the result in one sentence.
        cards: the main numbers.
        warnings: one sentence each.
        first: the pictures that stand before the first table.
        sections: everything else, in order.
        footer: on every page.
    """

    title: str
    kind: str
    facts: tuple[tuple[str, str], ...]
    status: str
    summary: str
    cards: tuple[Card, ...]
    warnings: tuple[str, ...]
    first: tuple[Block, ...]
    sections: tuple[Section, ...]
    footer: str
