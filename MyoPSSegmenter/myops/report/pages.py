"""Templates of the self-contained pages, and pictures inside them."""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def page_template(name: str) -> Template:
    """A template of this folder, compiled once; it has the filter `embedded` for PNG bytes."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("myops.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["embedded"] = embedded
    return environment.get_template(name)


def embedded(png: bytes) -> str:
    """A PNG as the address of a picture that lies inside the page."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
