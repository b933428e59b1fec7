"""Where to look next: the place where a click is expected to change the scar mass most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from MyoPSSegmenterLib.Runtime.Translation import tr as _

if TYPE_CHECKING:
    from myops.refine.guidance import Suggestion
    from MyoPSSegmenterLib.Steps.SessionEditor import SessionEditor


class LookHereNext:
    """Names one place after the other, until something changes.

    Attributes:
        suggestion: the place that was named last; None before the first and after a change.
    """

    def __init__(self, editor: SessionEditor) -> None:
        self._editor = editor
        self.forget()

    def forget(self) -> None:
        """Begin with the first place again: the labels changed."""
        self.suggestion: Suggestion | None = None
        self._named = 0

    def next(self) -> Suggestion | None:
        """The next place; None without a case, or where nothing is doubtful."""
        from myops.refine.guidance import look_here_next

        editor = self._editor
        editor.adoptIfEdited()
        session, case = editor.session, editor.case
        if session is None or case is None:
            return None
        prompts = [found.prompts for found in session.corrections.values()]
        found = look_here_next(
            session.start, session.labels, prompts, case.spacing_known
        ).suggestions
        self.suggestion = found[self._named % len(found)] if found else None
        self._named += 1
        if not found:
            editor.say(_("No doubtful place was found."))
        editor.tell("prompts")
        return self.suggestion
