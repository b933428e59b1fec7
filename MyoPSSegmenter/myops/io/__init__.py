"""Image files in, results out: reading with every check, writing whole or not at all."""

from myops.io.atomic import json_text, set_aside, write_atomic, write_bytes, write_image, write_json
from myops.io.checks import MAX_AXIS_COSINE, SUFFIXES
from myops.io.images import check_grid, quiet_simpleitk, read_image

__all__ = [
    "MAX_AXIS_COSINE",
    "SUFFIXES",
    "check_grid",
    "json_text",
    "quiet_simpleitk",
    "read_image",
    "set_aside",
    "write_atomic",
    "write_bytes",
    "write_image",
    "write_json",
]
