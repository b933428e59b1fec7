"""nnU-Net's files: labeled patients in its raw format, its label maps back, our metrics.

OUTPUT/nnUNet_raw/Dataset701_MyoPS/dataset.json
.../imagesTr, imagesTs   <name>_0000 bSSFP, _0001 LGE, _0002 T2, on the Case's grid
.../labelsTr, labelsTs   <name>, numbers 0 to 4; nnU-Net never reads labelsTs

Patients with fewer sequences have fewer channels, and no number for what none of them shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from myops.case import Case
from myops.datasets import LabeledCase
from myops.errors import InputError
from myops.geometry.grid import GRID_TOLERANCE_MM, Geometry, from_sitk, to_sitk
from myops.geometry.square import SquareBox
from myops.io.atomic import write_image, write_json
from myops.io.images import read_image
from myops.io.text_files import read_json
from myops.labels import MYOPS
from myops.reproduce.cohort import find_box
from myops.sequences import NETWORK_SEQUENCES, SEQUENCE_TITLES
from myops.structures import NETWORK_TISSUES, SHOWN_BY
from myops.structures import STRUCTURES as TABLE

RAW, DESCRIPTION, SUFFIX = "nnUNet_raw", "dataset.json", ".nii.gz"

# From a case to the square around its heart; None where there is no heart.
BoxOf = Callable[[Case], SquareBox | None]


def labels_of(sequences: Iterable[str]) -> dict[str, int]:
    """Structure to nnU-Net's number, of what these sequences show.

    nnU-Net wants consecutive values. The blood of the right ventricle counts as background.
    """
    given = frozenset(sequences)
    shown = [name for name in NETWORK_TISSUES if name not in SHOWN_BY or SHOWN_BY[name] in given]
    return {name: number for number, name in enumerate(("background", *shown))}


# Of patients with all three sequences.
LABELS = labels_of(NETWORK_SEQUENCES)


def export_raw(
    cases: Iterable[LabeledCase],
    names_train: Sequence[str] | None,
    names_test: Sequence[str],
    folder: Path,
    dataset_id: int = 701,
    name: str = "MyoPS",
    size_mm: float | None = None,
    sequences: Sequence[str] = NETWORK_SEQUENCES,
) -> Path:
    """Write patients in nnU-Net's raw format, these sequences on the Case's grid; or go on with it.

    Args:
        cases: labeled patients; read one by one, those of other names are left out.
        names_train: patients to train on; None = all that are not to predict.
        names_test: patients to predict.
        folder: gets nnUNet_raw/Dataset<id>_<name>/; complete patients in it are not written again.
        dataset_id: 1 to 999.
        name: of the data set.
        size_mm: side of the square that is kept in every slice, around the heart as the shipped
            heart finder sees it (the whole image where it sees none); None = whole images.
        sequences: the channels, in this order; every patient has all of them.

    Returns:
        The folder of the data set.

    Raises:
        InputError: a patient without one of the sequences, a name that is missing, given twice or
            both trained and tested on, unusable images, or a folder with another export.
    """
    _check_names(names_train, names_test)
    target = Path(folder) / RAW / f"Dataset{dataset_id:03d}_{name}"
    trained = _claim(target, _description(names_train, names_test, size_mm, sequences))
    box_of = _heart_box() if size_mm is not None else None
    found: list[str] = []
    for labeled in cases:
        kind = "Ts" if labeled.name in names_test else "Tr"
        if kind == "Tr" and trained is not None and labeled.name not in trained:
            if names_train is None:
                raise _another_export(target)
            continue
        if labeled.name in found:
            raise InputError(f"expected every patient once, found {labeled.name} twice")
        found.append(labeled.name)
        _export(labeled, target, kind, size_mm, box_of, sequences)
    _check_found(found, [*(trained or ()), *names_test])
    if trained is None:  # they are known only now
        trained = [one for one in found if one not in names_test]
        _check_names(trained, names_test)
        described = _description(trained, names_test, size_mm, sequences)
        write_json(target / DESCRIPTION, described)
    return target


def to_nnunet_labels(labels: np.ndarray, numbers: Mapping[str, int] = LABELS) -> np.ndarray:
    """MyoPS labels (any shape) as nnU-Net's numbers, uint8; MVO is scar, RV blood background.

    Scar and edema that have no number count as muscle.
    """
    exported = np.zeros(np.shape(labels), np.uint8)
    exported[TABLE["myocardium"].mask(labels)] = numbers["normal_myocardium"]
    for structure, number in numbers.items():
        if number:
            exported[TABLE[structure].mask(labels)] = number
    return exported


def from_nnunet_labels(predicted: np.ndarray, numbers: Mapping[str, int] = LABELS) -> np.ndarray:
    """nnU-Net's numbers (any shape) as uint16 MyoPS labels.

    Raises:
        InputError: another number.
    """
    values = np.array([MYOPS.get(structure, 0) for structure in numbers], np.uint16)
    unknown = np.setdiff1d(predicted, np.arange(len(values)))
    if unknown.size:
        raise InputError(
            f"expected nnU-Net's labels 0 to {len(values) - 1}, found "
            f"{', '.join(f'{value:g}' for value in unknown[:8])}; predict with a model that was "
            "trained on this export"
        )
    return values[np.asarray(predicted).astype(np.intp)]


def read_description(target: Path) -> dict[str, Any]:
    """dataset.json of an exported data set's folder.

    Raises:
        InputError: the file is damaged.
    """
    path = target / DESCRIPTION
    try:
        return dict(read_json(path))
    except ValueError as error:
        raise InputError(
            f"{path}: expected JSON, found a damaged file; delete it and export again"
        ) from error


def _check_found(found: Sequence[str], wanted: Sequence[str]) -> None:
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise InputError(
            f"expected labeled patients named {', '.join(missing)}, found none of them; "
            "give the folder of the whole data set"
        )


def _check_names(names_train: Sequence[str] | None, names_test: Sequence[str]) -> None:
    if names_train is None:
        return
    both = sorted(set(names_train) & set(names_test))
    if both:
        raise InputError(
            f"expected patients to train on or to test on, found {', '.join(both)} in both; "
            "split them"
        )
    if not names_train:
        raise InputError("expected patients to train on, found none; name at least one")


def _description(
    names_train: Sequence[str] | None,
    names_test: Sequence[str],
    size_mm: float | None,
    sequences: Sequence[str],
) -> dict[str, Any]:
    """dataset.json, with a note of ours that nnU-Net does not read."""
    trained = None if names_train is None else sorted(set(names_train))
    return {
        "channel_names": {str(number): name for number, name in enumerate(sequences)},
        "labels": labels_of(sequences),
        "numTraining": len(trained or ()),
        "file_ending": SUFFIX,
        "myops": {
            "train": trained,
            "test": sorted(set(names_test)),
            "size_mm": size_mm,
        },
    }


def _claim(target: Path, description: dict[str, Any]) -> Sequence[str] | None:
    """Make the folders and dataset.json, and refuse to mix two exports.

    Returns:
        Names of the patients to train on; None where no export has found out yet.
    """
    note = description["myops"]
    trained: list[str] | None = note["train"]
    if (target / DESCRIPTION).exists():
        earlier = read_description(target)
        if trained is None:
            trained = earlier.get("myops", {}).get("train")
            description = description | {
                "numTraining": len(trained or ()),
                "myops": {**note, "train": trained},
            }
        if earlier != description:
            raise _another_export(target)
        # nnU-Net would take the unfinished files of a killed export for patients.
        for unfinished in target.glob(f"*/.*{SUFFIX}"):
            unfinished.unlink()
        return trained
    for name in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        (target / name).mkdir(parents=True, exist_ok=True)
    write_json(target / DESCRIPTION, description)
    return trained


def _another_export(target: Path) -> InputError:
    return InputError(
        f"{target} holds another export; expected the same patients, sequences and size_mm, or "
        "choose another folder"
    )


def _heart_box() -> BoxOf:
    from myops.weights.files import load_models

    return partial(find_box, models=load_models("cpu"))


def _export(
    labeled: LabeledCase,
    target: Path,
    kind: str,
    size_mm: float | None,
    box_of: BoxOf | None,
    sequences: Sequence[str],
) -> None:
    """Write one patient, unless all of its files are there."""
    absent = [SEQUENCE_TITLES[name] for name in sequences if name not in labeled.images]
    if absent:
        expected = ", ".join(SEQUENCE_TITLES[name] for name in sequences)
        raise InputError(
            f"{labeled.name}: expected {expected}, found no {', '.join(absent)}; nnU-Net needs "
            "every channel of every patient: leave this patient out, or export without this channel"
        )
    truth_path = target / f"labels{kind}" / f"{labeled.name}{SUFFIX}"
    paths = {
        sequence: target / f"images{kind}" / f"{labeled.name}_{number:04d}{SUFFIX}"
        for number, sequence in enumerate(sequences)
    }
    if all(path.exists() for path in (truth_path, *paths.values())):
        return
    case = labeled.to_case()
    truth, _ = labeled.truth_for(case)
    box = box_of(case) if box_of is not None else None
    window, geometry = _window(case.geometry, box, size_mm)
    for sequence, path in paths.items():
        write_image(to_sitk(case.images[sequence][window], geometry), path)
    numbers = to_nnunet_labels(truth[window], labels_of(sequences))
    write_image(to_sitk(numbers, geometry), truth_path)


def _window(
    geometry: Geometry, box: SquareBox | None, size_mm: float | None
) -> tuple[tuple[slice, slice, slice], Geometry]:
    """The part (z, y, x) of a grid within a square around the box's center, and its own grid."""
    if box is None or size_mm is None:
        return (slice(None), slice(None), slice(None)), geometry
    depth, *shape = geometry.array_shape
    spans = []
    for center, count, spacing in zip(box.center_yx, shape, box.spacing_yx_mm):
        wanted = min(count, max(1, round(size_mm / spacing)))
        # A square that would leave the image is moved inside it.
        start = min(max(0, round(center - (wanted - 1) / 2)), count - wanted)
        spans.append(slice(start, start + wanted))
    rows, columns = spans
    first = geometry.position_mm(np.array([columns.start, rows.start, 0]))
    kept = replace(
        geometry,
        size_xyz=(columns.stop - columns.start, rows.stop - rows.start, depth),
        origin_mm=(float(first[0]), float(first[1]), float(first[2])),
    )
    return (slice(None), rows, columns), kept


def _read_labels(path: Path, numbers: Mapping[str, int]) -> tuple[np.ndarray, Geometry]:
    import SimpleITK as sitk

    image = read_image(path)
    try:
        return from_nnunet_labels(sitk.GetArrayFromImage(image), numbers), from_sitk(image)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_on_grid(path: Path, grid: Geometry, numbers: Mapping[str, int] = LABELS) -> np.ndarray:
    """A prediction as uint16 MyoPS labels (z, y, x) on the Case's grid; 0 outside its window.

    Args:
        path: the label map that nnU-Net has written.
        grid: the Case's.
        numbers: structure to number, as the export's dataset.json has them.

    Raises:
        InputError: missing or damaged file, a foreign label or a foreign grid.
    """
    labels, found = _read_labels(path, numbers)
    start = np.round(grid.index_xyz(np.array(found.origin_mm))).astype(int)
    stop = start + found.size_xyz
    first = grid.position_mm(start)
    expected = replace(
        grid,
        size_xyz=found.size_xyz,
        origin_mm=(float(first[0]), float(first[1]), float(first[2])),
    )
    inside = (start >= 0).all() and (stop <= grid.size_xyz).all()
    if not inside or not found.is_same_grid(expected, GRID_TOLERANCE_MM):
        raise InputError(
            f"{path}: expected a prediction on the grid of the exported images, found another; "
            "predict the patients of this export"
        )
    whole = np.zeros(grid.array_shape, np.uint16)
    whole[tuple(slice(a, b) for a, b in zip(start[::-1], stop[::-1]))] = labels
    return whole
