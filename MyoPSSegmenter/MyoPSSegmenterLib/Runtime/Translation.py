"""`tr`, imported as `_`: a sentence in the user's language, as Slicer translates it.

Sentences with values are templates, which a translation may order anew: `_("{a} of {b}").format()`.
Names that go into files (steps of a session, names of nodes) are not translated.
"""

from __future__ import annotations

try:
    # Finds the context by the file that calls it, so it is handed on as it is.
    from slicer.i18n import tr
except ImportError:  # slicer-core alone, as in a browser: there is no language to choose

    def tr(text: str) -> str:
        """The sentence itself."""
        return text


__all__ = ["tr"]
