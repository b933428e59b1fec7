"""A4 pages that are filled from top to bottom: text, tables and pictures.

Lengths are points (1/72 inch), measured down from the upper edge of the page.
"""

from __future__ import annotations

from myops.report.canvas import INK, RULE, SOFT_INK
from myops.report.document import Picture, Table
from myops.report.lettering import drawable, fitted, width_of
from myops.report.pdf_file import PdfFile, Sheet, read_png

WIDTH, HEIGHT = 595.0, 842.0
LEFT, TOP, BOTTOM = 40.0, 40.0, 52.0
INNER = WIDTH - 2 * LEFT
LINE_HEIGHT = 1.38
CELL_GAP = 7.0
TABLE_SIZE = 7.2
PAGE_NUMBER_WIDTH = 45.0
LEADING_FILL = "#eef4fa"


class Paper:
    """The page being filled, and how far.

    Attributes:
        down: where the next thing goes.
        number: of the page, from 1.
    """

    def __init__(self, file: PdfFile, footer: str) -> None:
        self._file, self._footer = file, footer
        self.number = 0
        self._sheet: Sheet | None = None
        self.down = TOP

    @property
    def sheet(self) -> Sheet:
        """What the page holds; a page begins with the first thing that is drawn on it."""
        if self._sheet is None:
            self._sheet = self._file.new_sheet()
            self.number += 1
        return self._sheet

    def end_page(self) -> None:
        """Put the footer below and hand the page over; a new one begins."""
        footer = fitted(self._footer, INNER - PAGE_NUMBER_WIDTH, 7)
        self.words(footer, LEFT, HEIGHT - 26, 7, SOFT_INK)
        self.words(f"Page {self.number}", WIDTH - LEFT, HEIGHT - 26, 7, SOFT_INK, align="right")
        self._sheet, self.down = None, TOP

    def room_for(self, height: float) -> None:
        """Begin a new page unless this one has room."""
        if self.down > TOP and self.down + height > HEIGHT - BOTTOM:
            self.end_page()

    def turn_page(self) -> None:
        """Begin a new page, unless there is little on this one."""
        if self.down > HEIGHT / 4:
            self.end_page()

    def words(
        self,
        text: str,
        x: float,
        baseline: float,
        size: float,
        color: str = INK,
        bold: bool = False,
        align: str = "left",
    ) -> None:
        """One line of text at a place."""
        shown = drawable(text)
        left = x - width_of(text, size, bold) if align == "right" else x
        self._file.words(self.sheet, shown, left, HEIGHT - baseline, size, color, bold)

    def box(self, x: float, top: float, width: float, height: float, color: str) -> None:
        """A filled rectangle behind what follows."""
        self.sheet.box(x, HEIGHT - top - height, width, height, color)

    def sample(self, x: float, down: float, length: float, color: str, style: str) -> None:
        """A piece of a line, for a legend."""
        self.sheet.line(x, HEIGHT - down, length, color, style, width=1.6)

    def rule(self, color: str = RULE, thickness: float = 0.6) -> None:
        """A line across the page."""
        self.box(LEFT, self.down - thickness / 2, INNER, thickness, color)

    def paragraph(
        self,
        text: str,
        size: float = 8.5,
        color: str = INK,
        bold: bool = False,
        fill: str | None = None,
    ) -> None:
        """Text in as many lines as it needs, on a colored ground if one is given."""
        inset = 7.0 if fill else 0.0
        lines = wrapped(text, INNER - 2 * inset, size, bold)
        step = size * LINE_HEIGHT
        self.room_for(len(lines) * step + 2 * inset)
        if fill:
            self.box(LEFT, self.down, INNER, len(lines) * step + 1.2 * inset, fill)
            self.down += 0.6 * inset
        for line in lines:
            self.words(line, LEFT + inset, self.down + size, size, color, bold)
            self.down += step
        self.down += 4 + 0.6 * inset

    def table(self, table: Table) -> None:
        """A table; where it does not fit on the page, its head is repeated on the next one."""
        widths = column_widths(table)
        head = _folded(table.headers, widths, bold=True)
        body = [_folded(row, widths) for row in table.rows]
        self.room_for(_height(head) + sum(_height(cells) for cells in body[:2]))
        self._row(table, head, widths, SOFT_INK, bold=True)
        for place, cells in enumerate(body):
            if self.down + _height(cells) > HEIGHT - BOTTOM:
                self.end_page()
                self._row(table, head, widths, SOFT_INK, bold=True)
            if place in table.leading:
                self.box(LEFT, self.down, INNER, _height(cells), LEADING_FILL)
            self._row(table, cells, widths, INK, bold=False)
        self.down += 9

    def _row(
        self,
        table: Table,
        cells: list[list[str]],
        widths: list[float],
        color: str,
        bold: bool,
    ) -> None:
        x = LEFT
        for place, (lines, width) in enumerate(zip(cells, widths)):
            left = place in table.words
            for line, text in enumerate(lines):
                baseline = self.down + 3 + TABLE_SIZE * (0.95 + LINE_HEIGHT * line)
                edge = x + CELL_GAP / 2 if left else x + width - CELL_GAP / 2
                align = "left" if left else "right"
                self.words(text, edge, baseline, TABLE_SIZE, color, bold, align)
            x += width
        self.down += _height(cells)
        self.rule()

    def pictures(
        self, items: tuple[Picture, ...], left: float, width: float, below: float = 0.0
    ) -> None:
        """Pictures side by side in their own proportions, on one page with what is below them."""
        shapes = [read_png(item.png) for item in items]
        each = (width - 6.0 * (len(items) - 1)) / len(items)
        heights = [each * shape.height / shape.width for shape in shapes]
        tall = max(heights)
        self.room_for(tall + below)
        for place, (item, height) in enumerate(zip(items, heights)):
            number = self._file.add_picture(item.png)
            x, y = left + place * (each + 6.0), HEIGHT - self.down - height
            self.sheet.picture(number, x, y, each, height)
        self.down += tall + 5


def column_widths(table: Table) -> list[float]:
    """Widths of the columns: numbers get what they need, words share the rest."""
    columns = list(zip(table.headers, *table.rows))
    # A header of several words may be folded: only its longest word counts for numbers.
    needs = []
    for header, *cells in columns:
        in_cells = max((width_of(cell, TABLE_SIZE) for cell in cells), default=0.0)
        in_header = max(width_of(word, TABLE_SIZE, True) for word in header.split(" "))
        needs.append(max(in_cells, in_header) + CELL_GAP)
    spare = INNER - sum(needs)
    if spare >= 0:
        return [need + spare * need / sum(needs) for need in needs]
    longest = max(range(len(needs)), key=needs.__getitem__)
    needs[longest] = max(needs[longest] + spare, 60.0)
    return needs


def wrapped(text: str, width: float, size: float, bold: bool = False) -> list[str]:
    """Fold text at spaces into lines of at most a width; a longer word is cut."""
    space = width_of("a a", size, bold) - 2 * width_of("a", size, bold)
    lines, line, used = [], "", 0.0
    for word in (part for whole in text.split(" ") for part in _pieces(whole, width, size, bold)):
        needed = width_of(word, size, bold)
        if line and used + space + needed <= width:
            line, used = f"{line} {word}", used + space + needed
            continue
        if line:
            lines.append(line)
        line, used = word, needed
    return [*lines, line]


def _pieces(word: str, width: float, size: float, bold: bool) -> list[str]:
    """A word cut into as many pieces as it takes to fit."""
    pieces = []
    while len(word) > 1 and width_of(word, size, bold) > width:
        share = width / width_of(word, size, bold)
        fits = max(1, int(share * len(word)))
        while fits > 1 and width_of(word[:fits], size, bold) > width:
            fits -= 1
        pieces.append(word[:fits])
        word = word[fits:]
    return [*pieces, word]


def _folded(cells: tuple[str, ...], widths: list[float], bold: bool = False) -> list[list[str]]:
    return [
        wrapped(cell, width - CELL_GAP + 0.5, TABLE_SIZE, bold)
        for cell, width in zip(cells, widths)
    ]


def _height(cells: list[list[str]]) -> float:
    return max(len(lines) for lines in cells) * TABLE_SIZE * LINE_HEIGHT + 5.0
