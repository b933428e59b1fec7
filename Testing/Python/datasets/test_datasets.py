"""Labeled hearts of public data sets: found by their names, with labels where they belong."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from oblique import OBLIQUE

from myops.datasets import case_loaders, find_cases, phantom_case, phantom_readers
from myops.errors import InputError
from myops.geometry.grid import to_sitk
from myops.phantom.patient import PhantomConfig, generate_patient


def write(array: np.ndarray, path: Path, direction: tuple[float, ...] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.4, 1.4, 10.0))
    image.SetOrigin((5.0, -20.0, 40.0))
    if direction:
        image.SetDirection(direction)
    sitk.WriteImage(image, str(path))


def noise(shape: tuple[int, ...] = (3, 16, 16), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(200, 40, shape).astype(np.float32)


def labels_0_to_4() -> np.ndarray:
    labels = np.zeros((3, 16, 16), np.uint8)
    labels[1, 4, :5] = (0, 1, 2, 3, 4)
    return labels


@pytest.fixture
def emidec(tmp_path: Path) -> Path:
    for name in ("Case_P002", "Case_N001"):
        write(noise(), tmp_path / "emidec" / name / f"{name}_LGE.nii.gz")
        write(labels_0_to_4(), tmp_path / "emidec" / name / f"{name}_gt.nii.gz")
    return tmp_path


def test_emidec_cases_are_read_with_no_reflow_apart(emidec: Path) -> None:
    first, second = find_cases(emidec)
    assert (first.dataset, first.name, second.name) == ("emidec", "Case_N001", "Case_P002")
    assert list(first.images) == ["lge"]
    assert first.labels[1, 4, :5].tolist() == [0, 500, 200, 2221, 2222]
    assert first.structures == {"myocardium", "blood_pool", "scar", "mvo"}
    assert first.labeled.all()


def test_myops_2020_is_read_as_the_challenge_hands_it_out(tmp_path: Path) -> None:
    for number in (101, 102):
        for seed, sequence in enumerate(("C0", "DE", "T2")):
            name = f"myops_training_{number}_{sequence}.nii.gz"
            write(noise(seed=number + seed), tmp_path / "train25" / name)
        labels = tmp_path / "train25_myops_gd" / f"myops_training_{number}_gd.nii.gz"
        write(np.full((3, 16, 16), 200, np.uint16), labels)
    write(noise(), tmp_path / "test20" / "myops_test_201_C0.nii.gz")  # its labels are not public
    cases = list(find_cases(tmp_path))
    assert [case.name for case in cases] == ["myops_training_101", "myops_training_102"]
    assert all(set(case.images) == {"bssfp", "lge", "t2"} for case in cases)
    shown = sitk.GetArrayFromImage(cases[1].images["lge"])
    assert np.array_equal(shown, noise(seed=103))
    # Another patient of the same name: nobody can tell which of the two the labels belong to.
    write(noise(), tmp_path / "other" / "myops_training_102_DE.nii.gz")
    assert set(list(find_cases(tmp_path))[1].images) == {"bssfp", "t2"}


@pytest.mark.parametrize("below", [".", "emidec", "emidec/Case_P002"])
def test_a_data_set_is_found_from_above_and_from_inside(emidec: Path, below: str) -> None:
    names = [case.name for case in find_cases(emidec / below)]
    assert names == (["Case_P002"] if "P002" in below else ["Case_N001", "Case_P002"])


def test_an_acdc_frame_has_myocardium_and_blood_pool_only(tmp_path: Path) -> None:
    labels = np.zeros((3, 16, 16), np.uint8)
    labels[0, 0, :4] = (0, 1, 2, 3)
    write(noise(), tmp_path / "patient001_frame01.nii.gz")
    write(labels, tmp_path / "patient001_frame01_gt.nii.gz")
    (case,) = find_cases(tmp_path)
    assert (case.dataset, case.name, case.sequence) == ("acdc", "patient001_frame01", "bssfp")
    assert case.labels[0, 0, :4].tolist() == [0, 600, 200, 500]
    assert case.structures == {"myocardium", "blood_pool"}


def test_a_myops_folder_gives_all_its_sequences(patient_folder: Path) -> None:
    (case,) = find_cases(patient_folder)
    assert (case.dataset, case.name, case.sequence) == ("myops", "myops_007", "lge")
    assert sorted(case.images) == ["bssfp", "lge", "t2"]
    assert np.count_nonzero(case.labels == 500) == 2 * 4 * 4
    assert case.to_case().sequences == ("bssfp", "lge", "t2")


def test_several_myops_patients_may_share_a_folder(tmp_path: Path) -> None:
    for name in ("train_101", "train_102"):
        write(noise(), tmp_path / f"{name}_DE.nii.gz")
        write(np.full((3, 16, 16), 200, np.uint16), tmp_path / f"{name}_gd.nii.gz")
    assert [case.name for case in find_cases(tmp_path)] == ["train_101", "train_102"]


def test_only_slices_with_both_sunnybrook_contours_count_as_labeled(tmp_path: Path) -> None:
    dicom, contours = tmp_path / "SC-1" / "dicom", tmp_path / "SC-1" / "contours"
    dicom.mkdir(parents=True)
    for number in range(1, 41):
        (dicom / f"{number}.dcm").touch()
    for number in (19, 39):  # phase 18 of two slices of 20 phases each
        image = sitk.GetImageFromArray(noise((16, 16), number).astype(np.int16))
        sitk.WriteImage(image, str(dicom / f"{number}.dcm"))
    for kind, low, high in (("o", 2.5, 9.5), ("i", 4.5, 7.5)):
        folder = contours / f"{kind}-contours"
        folder.mkdir(parents=True)
        corners = [(low, low), (high, low), (high, high), (low, high)]
        np.savetxt(folder / f"IM-0001-0019-{kind}contour-manual.txt", corners)
    (case,) = find_cases(tmp_path)
    assert (case.name, case.labeled.tolist()) == ("SC-1_ED", [True, False])
    # Pixel centers 3..9 lie inside the outer square, 5..7 inside the inner one.
    assert np.count_nonzero(case.labels[0] == 500) == 3 * 3
    assert np.count_nonzero(case.labels[0] == 200) == 7 * 7 - 3 * 3
    assert not case.labels[1].any()


def test_the_truth_lands_on_the_cases_grid_as_resampling_says(tmp_path: Path) -> None:
    apex_first = tuple(v * (-1 if i % 3 == 2 else 1) for i, v in enumerate(OBLIQUE))
    labels = np.random.default_rng(1).choice([0, 200, 500, 2221], (4, 12, 10)).astype(np.uint16)
    write(noise((4, 12, 10)), tmp_path / "a_DE.nii.gz", apex_first)
    write(labels, tmp_path / "a_gd.nii.gz", apex_first)
    (found,) = find_cases(tmp_path)
    case = found.to_case()
    truth, labeled = found.truth_for(case)
    grid = to_sitk(np.zeros(case.geometry.array_shape, np.uint16), case.geometry)
    image = sitk.ReadImage(str(tmp_path / "a_gd.nii.gz"))
    expected = sitk.GetArrayFromImage(
        sitk.Resample(image, grid, sitk.Transform(), sitk.sitkNearestNeighbor)
    )
    assert np.array_equal(truth, expected)
    assert not np.array_equal(truth, labels)  # this orientation is turned over
    assert labeled.tolist() == [True] * 4


@pytest.mark.slow
def test_a_phantom_is_its_generators_truth_with_mvo_marked() -> None:
    patient = generate_patient(2, PhantomConfig(dropout=False))
    assert patient.mvo.any()
    case = phantom_case(patient.seed)
    assert (case.dataset, case.name) == ("phantom", f"phantom_{patient.seed:06d}")
    assert np.array_equal(case.labels == 2222, patient.mvo)
    assert np.array_equal(case.labels[~patient.mvo], patient.labels[~patient.mvo])


def test_readers_can_be_sent_to_another_process(emidec: Path) -> None:
    readers = [*case_loaders(emidec), *phantom_readers(3, 2)]
    assert len(readers) == 4
    copy = pickle.loads(pickle.dumps(readers))  # noqa: S301 - our own object, made here
    assert copy[0]().name == "Case_N001"


def test_a_folder_without_labeled_hearts_is_refused(tmp_path: Path) -> None:
    write(noise(), tmp_path / "scan_DE.nii.gz")
    with pytest.raises(InputError, match="expected labeled hearts .* found none"):
        case_loaders(tmp_path)


def test_labels_of_another_shape_are_refused(tmp_path: Path) -> None:
    write(noise(), tmp_path / "a_DE.nii.gz")
    write(np.full((3, 16, 15), 200, np.uint16), tmp_path / "a_gd.nii.gz")
    with pytest.raises(InputError, match=r"16 x 16 x 3 voxels.*found 15 x 16 x 3"):
        list(find_cases(tmp_path))


@pytest.mark.slow
def test_the_real_hearts_are_all_found(real_hearts: Path) -> None:
    counts: dict[str, int] = {}
    for read in case_loaders(real_hearts):
        name = read.func.__name__  # type: ignore[attr-defined]
        counts[name] = counts.get(name, 0) + 1
    assert set(counts) == {"read_emidec", "read_acdc", "read_sunnybrook"}
    # Every truth lies there under the name that its data set gives it, in whichever folder.
    truths = set(real_hearts.rglob("*_gt.nii.gz"))
    emidec = {path for path in truths if path.name.startswith("Case_")}
    assert counts["read_emidec"] == len(emidec) >= 14
    assert counts["read_acdc"] == len(truths - emidec) >= 12
    assert counts["read_sunnybrook"] == len(list(real_hearts.rglob("contours"))) >= 1
