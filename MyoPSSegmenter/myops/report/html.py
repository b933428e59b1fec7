"""Content -> one HTML file that needs nothing else, for reading on screen and for printing."""

from __future__ import annotations

import base64

from .blocks import Content
from .colors import COLORS


def render_report(content: Content) -> str:
    """Write a report as a self-contained HTML page.

    Args:
        content: everything the page says and shows.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("myops.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["embedded"] = _embedded
    template = environment.get_template("template.html.j2")
    return template.render(content=content, colors=COLORS)


def _embedded(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
