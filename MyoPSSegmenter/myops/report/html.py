"""Content -> one HTML file that needs nothing else, for reading on screen and for printing."""

from __future__ import annotations

from myops.report.colors import CARD_COLORS
from myops.report.document import Content
from myops.report.pages import page_template


def render_report(content: Content) -> str:
    """Write a report as a self-contained HTML page.

    Args:
        content: everything the page says and shows.
    """
    return page_template("template.html.j2").render(content=content, card_colors=CARD_COLORS)
