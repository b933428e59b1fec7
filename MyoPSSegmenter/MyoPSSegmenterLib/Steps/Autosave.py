"""When a change is saved, and the mark of a case that is open."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from MyoPSSegmenterLib.Runtime.Translation import tr as _

# A change is saved when nothing followed for so long, and at the latest after the second time.
QUIET_S, LATEST_S = 0.3, 2.0
# After a failure: the disk may have room by then.
RETRY_S = 10.0


class Autosave:
    """Says when it is time to save."""

    def __init__(self) -> None:
        self._changedAt: float | None = None
        self._unsavedSince: float | None = None

    @property
    def isDue(self) -> bool:
        """Whether changes wait and the moment has come."""
        return self.waitS == 0

    @property
    def waitS(self) -> float | None:
        """Seconds until it is due, 0 if it is; None where nothing is to be saved."""
        if self._changedAt is None or self._unsavedSince is None:
            return None
        due = min(self._changedAt + QUIET_S, self._unsavedSince + LATEST_S)
        return max(0.0, due - time.monotonic())

    def changed(self) -> None:
        """Something is to be saved."""
        self._changedAt = time.monotonic()
        if self._unsavedSince is None:
            self._unsavedSince = self._changedAt

    def begun(self) -> None:
        """All changes so far are being saved."""
        self._changedAt = self._unsavedSince = None

    def failed(self) -> None:
        """They were not: try again later."""
        self._changedAt = self._unsavedSince = time.monotonic() + RETRY_S


class SessionMarker:
    """A file with the name of the open case: there after a start only if the program broke off."""

    def __init__(self, study: Path, reader: str, session: str) -> None:
        self.path = study / f".open-{reader}-{session}"

    def read(self) -> str | None:
        """Name of the case that was open; None if everything was closed."""
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def write(self, name: str) -> str | None:
        """Note the open case.

        Returns:
            What is wrong with the folder, for the user; None if nothing is.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(name, encoding="utf-8")
        except OSError as error:
            return _(
                "Nothing can be saved in {parent} ({reason}): choose another folder for the "
                "results."
            ).format(parent=self.path.parent, reason=error.strerror)
        return None

    def remove(self) -> None:
        """The case was closed in order."""
        with suppress(OSError):  # a folder that could not be written holds no mark
            self.path.unlink(missing_ok=True)
