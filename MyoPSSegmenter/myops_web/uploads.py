"""A patient that was uploaded: checked beside the others, and there whole or not at all.

What came is judged by its content and by the library's own readers, in a process with a limit of
its memory: a file that is made to break a reader ends that process and nothing else.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from myops.errors import InputError
from myops.worklist.reader_ids import folder_name
from myops_web.image_kinds import is_image
from myops_web.one_patient import free_place, lay_flat, only_patient, unpack_archives
from myops_web.process import limit_memory

STAGE = ".uploading-"
# What a server that was killed left behind is removed after so long.
STALE_S = 86_400.0
MOST_FILES = 20_000
CHECK_S = 600.0
BROKEN = (
    "expected images of a patient, found files that the readers cannot take in the time and memory "
    "they have; nothing was kept: export the images again"
)


@dataclass
class UploadStage:
    """A folder for one upload, alone in a hidden one beside the patients.

    Attributes:
        folder: of the images; it gets the patient's name when that is known.
        limit_bytes: more than this is refused.
    """

    folder: Path
    limit_bytes: int
    _written: int = 0
    _files: int = 0

    def rename(self, name: str) -> None:
        """Give the folder the patient's name, by which the images are then found."""
        self.folder = self.folder.rename(self.folder.with_name(name))

    def remove(self) -> None:
        """Remove what is left of it."""
        shutil.rmtree(self.folder.parent, ignore_errors=True)

    def new_file(self, name: str) -> Path:
        """Where a file of this name goes: never outside, never over another one.

        Raises:
            InputError: a name that is none, or too many files.
        """
        self._files += 1
        if self._files > MOST_FILES:
            raise InputError(
                f"expected at most {MOST_FILES} files, found more; pack them into a .zip"
            )
        # The folders that a browser or a hostile client sends before the name count for nothing.
        last = name.replace("\\", "/").rsplit("/", 1)[-1]
        safe = folder_name(last.encode("utf-8", "replace").decode("utf-8"))
        return free_place(self.folder / safe)

    def count(self, received: int) -> None:
        """Note bytes that came.

        Raises:
            InputError: they are too many.
        """
        self._written += received
        if self._written > self.limit_bytes:
            raise too_large(self.limit_bytes)


def too_large(limit_bytes: int) -> InputError:
    """The error for more than the server takes."""
    return InputError(
        f"expected at most {limit_bytes / 2**20:.0f} MB for a patient, found more; leave out what "
        "is not needed, or ask whoever started the server for a larger --upload-gb"
    )


def new_stage(folder: Path, limit_bytes: int) -> UploadStage:
    """Make a place for an upload, and remove old ones that nobody finished."""
    for old in folder.glob(f"{STAGE}*"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > STALE_S:
                shutil.rmtree(old, ignore_errors=True)
    images = Path(tempfile.mkdtemp(prefix=STAGE, dir=folder)) / "images"
    images.mkdir()
    return UploadStage(images, limit_bytes)


def free_name(name: str, folder: Path, results: Path) -> Path:
    """The folder of a new patient.

    Args:
        name: as the reader gave it.
        folder: of all patients.
        results: where readings are, perhaps in the same folder.

    Raises:
        InputError: no name, or one that is taken.
    """
    place = folder / folder_name(name)
    if place == results:
        raise _taken(place)
    _check_free(place)
    return place


def _check_free(place: Path) -> None:
    if place.exists() or place.is_symlink():
        raise _taken(place)


def _taken(place: Path) -> InputError:
    return InputError(
        f"expected the name of a new patient, found that {place.name} is there already; choose "
        "another name"
    )


def finish(stage: UploadStage, place: Path) -> None:
    """Let a checked upload become a patient, in one step.

    Raises:
        InputError: another upload has taken the name meanwhile.
    """
    _check_free(place)
    stage.folder.chmod(0o755)
    stage.folder.rename(place)


def check_upload(folder: Path, limit_bytes: int) -> int:
    """Unpack archives, remove what is no image, and read every sequence as a reader would.

    Args:
        folder: with what came, alone in another folder; only images are left in it.
        limit_bytes: for what archives unpack to.

    Returns:
        How many files were left out because they are no images.

    Raises:
        InputError: unsafe or damaged archives, no patient, several patients, a name that the list
            would not show, or damaged images.
    """
    from myops.patients.find import read_source
    from myops.sequences import FILE_PATTERNS, GRID_SEQUENCES

    unpack_archives(folder, limit_bytes)
    left_out = _remove_others(folder)
    lay_flat(folder)
    patient = only_patient(folder)
    if patient.sequences.keys().isdisjoint(GRID_SEQUENCES):
        found = ", ".join(source.name for source in patient.unrecognized[:5]) or "other images"
        raise InputError(
            f"expected an LGE or bSSFP image, files named {FILE_PATTERNS}, found {found}; rename "
            "the files, or add the missing image"
        )
    for source in patient.sequences.values():
        read_source(source)
    return left_out


def _remove_others(folder: Path) -> int:
    others = [path for path in folder.rglob("*") if path.is_file() and not is_image(path)]
    for path in others:
        path.unlink()
    return len(others)


def check_in_process(folder: str, limit_bytes: int, memory_gb: float, pipe: Connection) -> None:
    """Do `check_upload` and send its answer: a number, or the sentence of an error."""
    limit_memory(memory_gb)
    answer: Any
    try:
        answer = check_upload(Path(folder), limit_bytes)
    except InputError as error:
        answer = str(error)
    except OSError as error:
        answer = no_room(error)
    except MemoryError:
        answer = BROKEN
    pipe.send(answer)


def checked(stage: UploadStage, memory_gb: float, context: Any) -> int:
    """Check an upload in a process of its own; see `check_upload`.

    Args:
        stage: all files are in it.
        memory_gb: that the process may take.
        context: of multiprocessing.

    Raises:
        InputError: what `check_upload` raises, or the process came to an end without an answer.
    """
    ours, theirs = context.Pipe(duplex=False)
    arguments = (str(stage.folder), stage.limit_bytes, memory_gb, theirs)
    process = context.Process(target=check_in_process, args=arguments, daemon=True)
    process.start()
    theirs.close()
    try:
        answer = ours.recv() if ours.poll(CHECK_S) else BROKEN
    except EOFError:  # it was ended, or crashed
        answer = BROKEN
    finally:
        process.kill()
        process.join()
        ours.close()
    if isinstance(answer, int):
        return answer
    words = str(answer).replace(f"{stage.folder}/", "").replace(str(stage.folder), "it")
    raise InputError(words.replace(str(stage.folder.parent), "it"))


def no_room(error: OSError) -> str:
    """What a failed writing means, without the server's paths."""
    return (
        f"expected room for the images, found that the server cannot keep them ({error.strerror}); "
        "nothing was kept: ask whoever started the server"
    )
