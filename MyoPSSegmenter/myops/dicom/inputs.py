"""Which DICOM series of a folder is which sequence, with the reason: for `inputs`."""

from __future__ import annotations

import re
from pathlib import Path

from myops.dicom.series import DicomSeries, find_series
from myops.errors import InputError
from myops.io.images import check_file
from myops.patients.find import check_one_study, recognize
from myops.patients.folders import other_files
from myops.patients.sources import Source, rank_of_source, recognition
from myops.sequences import GRID_OPTIONS, GRID_SEQUENCES, OPTIONS, SEQUENCES, option


def find_in_folder(folder: Path) -> tuple[dict[str, Source], tuple[str, ...]]:
    """Sequence name to series, and what was taken, why, and what was left out, a sentence each.

    Raises:
        InputError: no images, several patients, or images of which none can be chosen or used.
    """
    found = recognize(folder)
    if found.sequences.keys().isdisjoint(GRID_SEQUENCES):
        left = "; ".join([*found.problems, *found.left_out])
        raise InputError(
            f"{folder}: expected an LGE or bSSFP short-axis stack, found none that can be used "
            f"({left}); name the image with {GRID_OPTIONS} FOLDER@SERIES_NUMBER"
        )
    undecided = [p for p in found.problems if "choose the right one" in p or "cannot be used" in p]
    if any(SEQUENCES[GRID_SEQUENCES[0]].long_title in problem for problem in undecided):
        raise InputError(
            f"{folder}: expected one LGE that can be used, found: {' '.join(undecided)} Name the "
            f"images with {OPTIONS} FOLDER@SERIES_NUMBER"
        )
    notes = [
        f"{key}: {one.name}, because {found.reasons[key]}" for key, one in found.sequences.items()
    ]
    notes += [f"left out: {text}" for text in found.left_out]
    return dict(found.sequences), (*notes, *undecided)


def named_series(sequence: str, path: Path) -> Source:
    """The series that an option names: a folder with one of the sequence, or "FOLDER@NUMBER".

    Raises:
        InputError: nothing there, or a folder that does not tell which series is meant.
    """
    numbered = None if path.exists() else re.fullmatch(r"(.+)@(\d+)", str(path))
    folder = Path(numbered[1]) if numbered else path
    if not folder.is_dir():
        check_file(path)
    series = find_series(other_files(folder.resolve(), ()))
    if numbered:
        series = tuple(one for one in series if one.number == int(numbered[2]))
    if not series:
        check_file(path)
    check_one_study(series, str(path))
    usable = [one for one in series if not one.problem]
    if not usable:
        raise InputError(
            f"{path}: expected slices of one volume for {option(sequence)}, found that "
            f"{series[0].problem}; name another series"
        )
    best = usable if len(usable) == 1 else _best_for(sequence, usable)
    if len(best) != 1:
        raise InputError(
            f"{path}: expected one series for {option(sequence)}, found "
            f"{', '.join(one.name for one in best or usable)}; name it as {folder}@NUMBER"
        )
    return best[0]


def series_of_uid(folder: Path, uid: str) -> DicomSeries:
    """The series that results name.

    Raises:
        InputError: the folder holds it no more.
    """
    found = [one for one in find_series(other_files(folder, ())) if one.uid == uid]
    usable = [one for one in found if not one.problem]
    if not usable:
        raise InputError(
            f"{folder}: expected the DICOM series that was segmented, found it no longer there; "
            f"name the folder where it is now with {OPTIONS}"
        )
    return max(usable, key=lambda one: one.depth)


def _best_for(sequence: str, series: list[DicomSeries]) -> list[DicomSeries]:
    """Those of a sequence that fit best: one, several that nothing tells apart, or none."""
    fitting = [one for one in series if recognition(one).sequence == sequence]
    ranks = [rank_of_source(one) for one in fitting]
    return [one for one, rank in zip(fitting, ranks) if rank == max(ranks)]
