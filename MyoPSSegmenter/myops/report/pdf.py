"""Content -> PDF for filing: A4, the same words, tables and pictures as the page."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from myops.report.canvas import INK, SOFT_INK
from myops.report.colors import CARD_COLORS
from myops.report.document import Block, Card, Content, Legend, Line, Strip, Table, Text
from myops.report.lettering import width_of
from myops.report.montage import BACKGROUND
from myops.report.pdf_file import PdfFile
from myops.report.pdf_page import HEIGHT, INNER, LEFT, WIDTH, Paper, wrapped
from myops.structures import STRUCTURES

ACCENT = STRUCTURES["myocardium"].on_paper
PANEL, CAUTION = "#f4f6f9", "#fff8e6"
LEGEND_INK = "#e8ecf2"
STRIP_WORDS_WIDTH = 68.0
# So wide that eight slices fit on a page.
WIDEST_TILE = 80.0


def write_pdf(content: Content, path: Path) -> None:
    """Write a report as PDF.

    The file's own fields name the software, never the patient. Pictures are the page's own.

    Args:
        content: everything the pages say and show.
        path: file to write.
    """
    file = PdfFile(WIDTH, HEIGHT)
    paper = Paper(file, f"{content.title}. {content.footer}")
    _first_page(paper, content)
    for section in content.sections:
        if section.new_page:
            paper.turn_page()
        _heading(paper, section.title)
        for block in section.blocks:
            _draw(paper, block)
    paper.end_page()
    made = f"D:{datetime.now(timezone.utc):%Y%m%d%H%M%S}Z"
    facts = {"Title": content.kind, "Creator": content.footer, "CreationDate": made}
    path.write_bytes(file.content(facts))


def _first_page(paper: Paper, content: Content) -> None:
    paper.words(content.kind.upper(), LEFT, paper.down + 8, 7.5, ACCENT, bold=True)
    for place, (name, words) in enumerate(content.facts):
        right, baseline = LEFT + INNER, paper.down + 6 + 10.5 * place
        paper.words(words, right, baseline, 7.5, SOFT_INK, align="right")
        start = right - width_of(words, 7.5) - 4
        paper.words(name, start, baseline, 7.5, INK, bold=True, align="right")
    paper.down += 30
    paper.paragraph(content.title, 16, bold=True)
    paper.rule(ACCENT, 2)
    paper.down += 6
    notice = f"Research use only. Not a medical device. {content.status}"
    paper.paragraph(notice, 7.5, SOFT_INK, fill=PANEL)
    paper.paragraph(content.summary, 10.5, bold=True)
    _cards(paper, content.cards)
    for warning in content.warnings or ("None.",):
        fill = CAUTION if content.warnings else None
        paper.paragraph(f"Warning: {warning}" if fill else "No warnings.", 7.5, fill=fill)
    for block in content.first:
        _draw(paper, block)


def _cards(paper: Paper, cards: tuple[Card, ...]) -> None:
    gap = 8.0
    width = (INNER - gap * (len(cards) - 1)) / len(cards)
    for place, card in enumerate(cards):
        x, top = LEFT + place * (width + gap), paper.down + 2
        paper.box(x, top, width, 58, PANEL)
        paper.box(x, top, width, 2.5, CARD_COLORS.get(card.tissue or "", "#b6bfcb"))
        paper.words(card.title, x + 7, top + 13, 7, SOFT_INK)
        size = 15.0 if card.unit else 11.0
        paper.words(card.value, x + 7, top + 31, size, bold=True)
        after = x + 11 + width_of(card.value, size, True)
        paper.words(card.unit, after, top + 31, 9, SOFT_INK)
        for line, words in enumerate(wrapped(card.detail, width - 12, 6.8)):
            paper.words(words, x + 7, top + 43 + 9 * line, 6.8, SOFT_INK)
    paper.down += 68


def _heading(paper: Paper, title: str) -> None:
    paper.room_for(70)
    paper.down += 8 if paper.down > 60 else 0
    paper.words(title, LEFT, paper.down + 11, 11.5, ACCENT, bold=True)
    paper.down += 19


def _draw(paper: Paper, block: Block) -> None:
    if isinstance(block, Text):
        warns = block.tone == "warning"
        small = block.tone == "small"
        paper.paragraph(
            block.words,
            7.2 if small else 8.2,
            SOFT_INK if small else INK,
            fill=CAUTION if warns else None,
        )
    elif isinstance(block, Table):
        paper.table(block)
    elif isinstance(block, Strip):
        _strip(paper, block)
    elif isinstance(block, Legend):
        _legend(paper, block)
    else:
        paper.pictures(block.items, LEFT, INNER * block.share, below=14)
        if block.caption:
            paper.paragraph(block.caption, 7, SOFT_INK)


def _strip(paper: Paper, strip: Strip) -> None:
    """Words to the left of the picture; a few columns do not fill the width."""
    width = min(INNER - STRIP_WORDS_WIDTH, strip.columns * WIDEST_TILE)
    paper.room_for(width / strip.columns + 6)
    top = paper.down
    paper.words(strip.title, LEFT, top + 9, 8.5, bold=True)
    baseline = top + 9
    for line in strip.lines:
        for part in wrapped(line, STRIP_WORDS_WIDTH - 3, 6.6):
            baseline += 9
            paper.words(part, LEFT, baseline, 6.6, SOFT_INK)
    paper.pictures((strip.picture,), LEFT + STRIP_WORDS_WIDTH, width)
    paper.down = max(paper.down, baseline + 6)


def _legend(paper: Paper, legend: Legend) -> None:
    """Outlines and colors on the dark ground of the pictures."""
    lines = list(legend.lines)
    if legend.clicks:
        lines.append(Line("+ and −: clicks", "#ffffff", "none"))
    if legend.uncertainty:
        lines.append(Line("Uncertainty, dark 0 to bright 1", "#f98e09", "solid"))
    rows: list[list[Line]] = [[]]
    used = 0.0
    for line in lines:
        width = width_of(line.words, 7) + 36
        if used + width > INNER - 10:
            rows.append([])
            used = 0.0
        rows[-1].append(line)
        used += width
    paper.room_for(13.0 * len(rows) + 6)
    paper.box(LEFT, paper.down, INNER, 13.0 * len(rows) + 4, BACKGROUND)
    for row in rows:
        x = LEFT + 8
        for line in row:
            paper.sample(x, paper.down + 8.5, 15, line.color, line.style)
            paper.words(line.words, x + 20, paper.down + 11, 7, LEGEND_INK)
            x += width_of(line.words, 7) + 36
        paper.down += 13
    paper.down += 9
