"""Names of patients and readers, as folders that every file system takes."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from urllib.parse import unquote

from myops.errors import InputError

MAX_READER = 12
# Bytes in UTF-8: file systems take 255, and a suffix must fit.
MAX_FOLDER_BYTES = 120
# Characters that Windows, macOS or Linux refuse in a file name, and the % that replaces them.
REFUSED = frozenset('<>:"/\\|?*%')
# Windows keeps these names for devices, with any suffix.
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def folder_name(name: str) -> str:
    """A folder's name for a patient's name; the same name gives the same folder.

    Spaces and letters of any language stay. Refused characters become %2F and the like, which
    `patient_name` undoes. Names too long for a file system are cut and end in a checksum.

    Raises:
        InputError: an empty name, or bytes that are not text.
    """
    clean = unicodedata.normalize("NFC", name).strip()
    if not clean:
        raise InputError("expected the name of a case, found none; name it")
    try:
        clean.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"expected a name of letters, found {name!r}; rename the folder") from None
    written = "".join(_written(letter) for letter in clean)
    if written[0] == "." or DEVICES.fullmatch(written):  # hidden, above, or a device
        written = f"%{ord(written[0]):02X}{written[1:]}"
    if written[-1] == ".":  # Windows drops it
        written = f"{written[:-1]}%2E"
    if len(written.encode("utf-8")) <= MAX_FOLDER_BYTES:
        return written
    short = written.encode("utf-8")[: MAX_FOLDER_BYTES - 9].decode("utf-8", "ignore")
    return f"{short}-{hashlib.sha256(clean.encode('utf-8')).hexdigest()[:8]}"


def patient_name(folder: str) -> str:
    """The name that `folder_name` wrote as a folder, as far as it was not cut."""
    return unquote(folder)


def check_reader(reader: str) -> str:
    """A reader's initials in capital letters.

    Raises:
        InputError: not 1 to 12 letters, digits, - or _ .
    """
    initials = unicodedata.normalize("NFC", reader).strip().upper()
    if not _is_word(initials) or len(initials) > MAX_READER or DEVICES.fullmatch(initials):
        raise InputError(
            f"expected a reader's initials, 1 to {MAX_READER} letters or digits, found "
            f"{reader[:40]!r}; enter initials such as AB"
        )
    return initials


def check_session(session: str) -> str:
    """The name of a reading: letters, digits, - or _ .

    Raises:
        InputError: empty, too long, or other characters.
    """
    name = unicodedata.normalize("NFC", str(session)).strip()
    if not _is_word(name) or len(name) > MAX_READER or DEVICES.fullmatch(name):
        raise InputError(
            f"expected a session such as 1 or 2, found {name[:40]!r}; use letters and digits"
        )
    return name


def _written(letter: str) -> str:
    # Controls, and marks that turn the direction of writing: they hide what a name says.
    hidden = unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp")
    if letter not in REFUSED and not hidden:
        return letter
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8"))


def _is_word(text: str) -> bool:
    return bool(text) and text[0].isalnum() and all(c.isalnum() or c in "-_" for c in text)
