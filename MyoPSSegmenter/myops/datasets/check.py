"""What a folder of labeled hearts holds, case by case, and what is odd about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from myops.datasets.find import case_loaders
from myops.datasets.labeled_case import CaseLoader, LabeledCase
from myops.errors import InputError
from myops.io.csv_files import csv_text
from myops.progress import Progress
from myops.structures import LABEL_VALUES, STRUCTURES

# Voxels that differ so much from the data set's median are another protocol, or a lost header.
ODD_SPACING_RATIO = 2.0
# More of the wall than this is hardly ever scar: two labels may be exchanged.
ODD_SCAR_SHARE = 0.6
VOLUMES = ("blood_pool", "right_ventricle", "myocardium", "scar", "mvo", "edema")


@dataclass(frozen=True)
class CheckedCase:
    """One case of a data set.

    Attributes:
        dataset, name: as in `LabeledCase`; the file, where it cannot be read.
        sequences: that are there, in the order of the table.
        size_xyz: voxels of the image with the labels.
        spacing_mm: its spacing (x, y, z); None where the header holds none.
        slices_drawn: how many slices the expert has drawn.
        volumes_ml: structure to its volume, those that the labels tell; None without a spacing.
        untold: diseases that an image shows and the labels do not tell.
        odd: what to look at, one sentence each.
        problem: why it cannot be read; "" if it can.
        checksums: of its images.
    """

    dataset: str
    name: str
    sequences: tuple[str, ...] = ()
    size_xyz: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] | None = None
    slices_drawn: int = 0
    volumes_ml: dict[str, float | None] = field(default_factory=dict)
    untold: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    problem: str = ""
    checksums: frozenset[str] = frozenset()

    def to_row(self) -> dict[str, Any]:
        """A row of the table."""
        return {
            "dataset": self.dataset,
            "case": self.name,
            "problem": self.problem,
            "odd": " | ".join(self.odd),
            "sequences": " ".join(self.sequences),
            "size": " x ".join(map(str, self.size_xyz)),
            "spacing_mm": " x ".join(f"{mm:g}" for mm in self.spacing_mm or ()),
            "slices_drawn": self.slices_drawn,
            "not_told": " ".join(self.untold),
            **{f"{name}_ml": _rounded(self.volumes_ml.get(name)) for name in VOLUMES},
        }


def check_folder(
    folder: Path, convention: str = "", progress: Progress | None = None
) -> list[CheckedCase]:
    """Read every labeled heart below a folder; one that cannot be read does not stop the rest.

    Args:
        folder: of the data sets.
        convention: of the label files, see `find.case_loaders`.
        progress: told after each case.

    Raises:
        InputError: no folder, or nothing in it is known.
    """
    loaders = case_loaders(folder, convention)
    checked = []
    for number, load in enumerate(loaders, start=1):
        checked.append(check_case(load))
        if progress is not None:
            progress(number / len(loaders), checked[-1].name)
    return compared(checked)


def check_case(load: CaseLoader) -> CheckedCase:
    """Read one heart, and say what is odd about it alone."""
    try:
        found = load()
        case = found.to_case()
    except (InputError, OSError, RuntimeError, ValueError) as error:
        (path,) = getattr(load, "args", ("case",))
        return CheckedCase("", Path(path).name, problem=" ".join(str(error).split()))
    geometry = case.original.geometry
    voxel_ml = geometry.voxel_volume_ml if case.spacing_known else None
    return CheckedCase(
        found.dataset,
        found.name,
        case.sequences,
        geometry.size_xyz,
        geometry.spacing_mm if case.spacing_known else None,
        int(np.count_nonzero(found.labeled)),
        _volumes(found, voxel_ml),
        tuple(sorted(found.untold)),
        (*_odd_labels(found), *case.warnings),
        checksums=found.image_checksums,
    )


def compared(cases: Sequence[CheckedCase]) -> list[CheckedCase]:
    """The same cases, with what is odd beside the others: copies, spacings, missing sequences."""
    owners: dict[str, str] = {}
    found = []
    for one in cases:
        twins = sorted({owners[key] for key in one.checksums if key in owners} - {one.name})
        odd = [f"the same image as in {', '.join(twins)}"] if twins else []
        for key in one.checksums:
            owners.setdefault(key, one.name)
        family = [other for other in cases if other.dataset == one.dataset and not other.problem]
        if not one.problem:
            odd += _odd_spacing(one, family)
            odd += _missing(one, family)
        found.append(replace(one, odd=(*odd, *one.odd)))
    return found


def as_csv(cases: Sequence[CheckedCase]) -> str:
    """The cases as the text of a CSV file."""
    return csv_text(list(cases[0].to_row()), (one.to_row() for one in cases))


def as_text(cases: Sequence[CheckedCase]) -> str:
    """Counts by data set, then a line for each problem and each odd thing."""
    return "\n".join([*_counts(cases), *_lines(cases)])


def _counts(cases: Sequence[CheckedCase]) -> Iterator[str]:
    for name in dict.fromkeys(one.dataset for one in cases if not one.problem):
        own = [one for one in cases if one.dataset == name]
        yield f"{name}: {len(own)} cases"
        kinds = [" + ".join(one.sequences) for one in own]
        for kind in dict.fromkeys(kinds):
            yield f"  {kinds.count(kind)} with {kind}"
        for structure in VOLUMES:
            held = [one.volumes_ml[structure] for one in own if one.volumes_ml.get(structure)]
            if held:
                middle = median(value for value in held if value is not None)
                title = STRUCTURES[structure].title
                yield f"  {title}: in {len(held)} cases, median {middle:.1f} mL"
        for disease in sorted({name for one in own for name in one.untold}):
            count = sum(disease in one.untold for one in own)
            yield f"  {disease} is not told in {count} cases whose images show it"


def _lines(cases: Sequence[CheckedCase]) -> Iterator[str]:
    for one in cases:
        if one.problem:
            yield f"Cannot be read: {one.name}: {one.problem}"
        for text in one.odd:
            yield f"Odd: {one.dataset} {one.name}: {text}"


def _volumes(found: LabeledCase, voxel_ml: float | None) -> dict[str, float | None]:
    counts = {
        name: int(np.count_nonzero(STRUCTURES[name].mask(found.labels)))
        for name in VOLUMES
        if name in found.structures or (name == "right_ventricle" and _holds(found, name))
    }
    return {key: None if voxel_ml is None else n * voxel_ml for key, n in counts.items()}


def _holds(found: LabeledCase, structure: str) -> bool:
    return bool((found.labels == LABEL_VALUES[structure]).any())


def _odd_labels(found: LabeledCase) -> Iterator[str]:
    masks = {name: STRUCTURES[name].mask(found.labels) for name in VOLUMES}
    for name in ("myocardium", "blood_pool"):
        if not masks[name].any():
            yield f"no {STRUCTURES[name].in_sentence} is labeled"
    if not found.labeled.all():
        yield f"{np.count_nonzero(~found.labeled)} of {len(found.labeled)} slices are not drawn"
    empty = found.labeled & ~masks["myocardium"].any(axis=(1, 2))
    inner = np.flatnonzero(masks["myocardium"].any(axis=(1, 2)))
    between = [k + 1 for k in np.flatnonzero(empty) if inner.size and inner[0] < k < inner[-1]]
    if between:
        yield f"no myocardium in slice {', '.join(map(str, between))} between slices with some"
    wall = np.count_nonzero(masks["myocardium"])
    if wall and np.count_nonzero(masks["scar"]) > ODD_SCAR_SHARE * wall:
        yield f"scar is {np.count_nonzero(masks['scar']) / wall:.0%} of the myocardium"


def _odd_spacing(one: CheckedCase, family: Sequence[CheckedCase]) -> Iterator[str]:
    """Axes on which voxels are twice or half as long as in the data set's median."""
    known = [other.spacing_mm for other in family if other.spacing_mm]
    if one.spacing_mm is None or len(known) < 3:
        return
    for axis, value in enumerate(one.spacing_mm):
        usual = median(spacing[axis] for spacing in known)
        if not 1 / ODD_SPACING_RATIO < value / usual < ODD_SPACING_RATIO:
            yield f"voxels of {value:g} mm along {'xyz'[axis]}, {usual:g} mm in the others"


def _missing(one: CheckedCase, family: Sequence[CheckedCase]) -> Iterator[str]:
    """Sequences that more than half of the data set have."""
    for name in dict.fromkeys(key for other in family for key in other.sequences):
        having = sum(name in other.sequences for other in family)
        if name not in one.sequences and having > len(family) / 2:
            yield f"no {name}, which {having} of {len(family)} cases have"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
