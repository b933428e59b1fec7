"""nnU-Net as the external reference: its raw format, its own commands, its label maps on our grid.

The commands are stand-ins, small scripts that write down how they were called; the last test runs
the real package where it is installed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner
from oblique import OBLIQUE

from myops.cli import cli
from myops.datasets import LabeledCase, find_cases
from myops.errors import InputError
from myops.evaluation.metrics import compare
from myops.geometry.grid import from_sitk
from myops.geometry.square import SquareBox
from myops.reproduce.cohort import Split, TestCase
from myops.reproduce.evaluate import Reproduction, score_case
from myops.reproduce.nnunet import files
from myops.reproduce.nnunet import row as nnunet_row
from myops.reproduce.nnunet.commands import (
    NnunetRun,
    find_command,
    installed_version,
    plan_and_preprocess,
    predict_nnunet,
    run_command,
    train_nnunet,
    with_short_trainer,
)
from myops.reproduce.nnunet.files import (
    SUFFIX,
    export_raw,
    from_nnunet_labels,
    labels_of,
    read_on_grid,
    to_nnunet_labels,
)
from myops.reproduce.protocol import PROTOCOLS
from myops.reproduce.rows import NNUNET, TABLES, Row, choose_rows, rows_for

STRUCTURES = ("lv_region", "myocardium", "scar", "edema", "scar_or_edema")
LIBRARY = Path(__file__).parents[3] / "MyoPSSegmenter"
NAMES = ["heart_1", "heart_2", "heart_3"]
Cases = Callable[[], Iterator[LabeledCase]]


def evaluate_predictions(cases, names, predictions, row="nnU-Net", seed=0):
    """Compare nnU-Net's label maps with the truth, as the other rows of a table are."""
    scores = []
    for labeled in cases:
        if labeled.name in names:
            case = labeled.to_case()
            test = TestCase(labeled.name, case, *labeled.truth_for(case), None)
            labels = read_on_grid(predictions / f"{labeled.name}{SUFFIX}", case.geometry)
            scores += score_case(Row(row, NNUNET, measures=STRUCTURES), seed, test, labels)
    return scores


def ring_labels(size: int = 24) -> np.ndarray:
    """A wall around blood, a sector of it scar, another edema, and the right ventricle beside."""
    labels = np.zeros((5, size, size - 4), np.uint16)
    labels[1:4, 6:16, 6:16] = 200
    labels[1:4, 9:13, 9:13] = 500
    labels[1:4, 6:9, 6:12] = 2221
    labels[2, 13:16, 7:12] = 1220
    labels[1:4, 6:16, 2:5] = 600
    return labels


@pytest.fixture
def cohort(
    tmp_path: Path, texture: Callable[..., np.ndarray], make_image: Callable[..., sitk.Image]
) -> Cases:
    """Three patients on an oblique, anisotropic grid; the labels show in the images."""
    folder = tmp_path / "cohort"
    folder.mkdir()
    labels = ring_labels()
    for number, name in enumerate(NAMES):
        for seed, sequence in enumerate(("C0", "DE", "T2")):
            noise = texture(labels.shape, seed=10 * number + seed)
            image = make_image(noise + labels, spacing=(1.4, 1.2, 9.0), direction=OBLIQUE)
            sitk.WriteImage(image, str(folder / f"{name}_{sequence}.nii.gz"))
        truth = make_image(labels, spacing=(1.4, 1.2, 9.0), direction=OBLIQUE)
        sitk.WriteImage(truth, str(folder / f"{name}_gd.nii.gz"))
    return lambda: find_cases(folder)


@pytest.fixture
def exported(tmp_path: Path, cohort: Cases) -> NnunetRun:
    """Two patients to train on and one to test on, exported; stand-ins are nnU-Net's commands."""
    export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path / "out")
    return NnunetRun(tmp_path / "out", processes=3, commands=tmp_path / "stand_ins")


def stand_in(folder: Path, name: str, body: str = "") -> Path:
    """A script in place of one of nnU-Net's commands: notes arguments and variables, then body."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(
        f"#!{sys.executable}\n"
        "# A stand-in for a command of nnU-Net's, made by a test.\n"
        "import json, os, sys, time\n"
        "from pathlib import Path\n"
        "with open(__file__ + '.calls', 'a', encoding='utf-8') as calls:\n"
        "    print(json.dumps([sys.argv[1:], dict(os.environ)]), file=calls)\n" + body,
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


def calls_of(path: Path) -> list[tuple[list[str], dict[str, str]]]:
    noted = path.with_name(path.name + ".calls")
    return (
        [json.loads(line) for line in noted.read_text(encoding="utf-8").splitlines()]
        if noted.exists()
        else []
    )


TRAINS = (
    "at = Path(os.environ['nnUNet_results'], 'Dataset701_MyoPS',"
    " sys.argv[5] + '__nnUNetPlans__2d', 'fold_' + sys.argv[3])\n"
    "at.mkdir(parents=True, exist_ok=True)\n"
    "(at / 'checkpoint_final.pth').touch()\n"
)


def test_the_export_has_nnunets_layout_and_names(tmp_path: Path, cohort: Cases) -> None:
    target = export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path)
    assert target == tmp_path / "nnUNet_raw" / "Dataset701_MyoPS"
    found = sorted(str(path.relative_to(target)) for path in target.rglob("*.*"))
    channels = ("0000", "0001", "0002")
    assert found == sorted(
        [
            "dataset.json",
            *(f"imagesTr/{name}_{c}.nii.gz" for name in NAMES[:2] for c in channels),
            *(f"imagesTs/heart_3_{c}.nii.gz" for c in channels),
            "labelsTr/heart_1.nii.gz",
            "labelsTr/heart_2.nii.gz",
            "labelsTs/heart_3.nii.gz",
        ]
    )


def test_dataset_json_says_what_nnunet_asks_for(tmp_path: Path, cohort: Cases) -> None:
    target = export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path, 702, "Two")
    assert target.name == "Dataset702_Two"
    found = json.loads((target / "dataset.json").read_text(encoding="utf-8"))
    found.pop("myops")
    assert found == {
        "channel_names": {"0": "bssfp", "1": "lge", "2": "t2"},
        "labels": {
            "background": 0,
            "blood_pool": 1,
            "normal_myocardium": 2,
            "edema": 3,
            "scar": 4,
        },
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }


def test_labels_go_to_nnunets_numbers_and_back() -> None:
    labels = np.array([[0, 500, 200, 1220, 2221, 2222, 600]], np.uint16)
    numbers = to_nnunet_labels(labels)
    assert numbers.dtype == np.uint8
    assert numbers.tolist() == [[0, 1, 2, 3, 4, 4, 0]]
    back = from_nnunet_labels(numbers)
    assert back.dtype == np.uint16
    assert back.tolist() == [[0, 500, 200, 1220, 2221, 2221, 0]]


def test_lge_alone_has_no_number_for_edema_which_counts_as_muscle_there() -> None:
    numbers = labels_of(["lge"])
    assert numbers == {"background": 0, "blood_pool": 1, "normal_myocardium": 2, "scar": 3}
    labels = np.array([[0, 500, 200, 1220, 2221, 2222, 600]], np.uint16)
    exported = to_nnunet_labels(labels, numbers)
    assert exported.tolist() == [[0, 1, 2, 2, 3, 3, 0]]
    assert from_nnunet_labels(exported, numbers).tolist() == [[0, 500, 200, 200, 2221, 2221, 0]]
    with pytest.raises(InputError, match="labels 0 to 3, found 4"):
        from_nnunet_labels(np.array([4]), numbers)
    assert labels_of(["bssfp"]) == {"background": 0, "blood_pool": 1, "normal_myocardium": 2}
    assert to_nnunet_labels(labels, labels_of(["bssfp"])).tolist() == [[0, 1, 2, 2, 2, 2, 0]]


def test_one_sequence_is_exported_as_the_only_channel(tmp_path: Path, cohort: Cases) -> None:
    whole = export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path / "whole")
    target = export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path / "lge", sequences=["lge"])
    assert sorted(path.name for path in (target / "imagesTr").iterdir()) == [
        f"{name}_0000.nii.gz" for name in NAMES[:2]
    ]
    found = json.loads((target / "dataset.json").read_text(encoding="utf-8"))
    assert found["channel_names"] == {"0": "lge"}
    assert found["labels"] == labels_of(["lge"])
    lge, second = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        for path in (
            target / "imagesTs" / "heart_3_0000.nii.gz",
            whole / "imagesTs" / "heart_3_0001.nii.gz",
        )
    )
    assert np.array_equal(lge, second)
    with pytest.raises(InputError, match="holds another export"):
        export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path / "lge")


def test_a_patient_without_a_channel_is_named_with_what_is_expected(
    tmp_path: Path, cohort: Cases
) -> None:
    without = [replace(one, images={"bssfp": one.images["bssfp"]}) for one in cohort()]
    with pytest.raises(InputError, match="heart_1: expected LGE, T2, found no LGE, T2"):
        export_raw(without, NAMES[:2], NAMES[2:], tmp_path / "out", sequences=["lge", "t2"])


@pytest.mark.parametrize("number", [5, -1, 1.5])
def test_a_number_that_was_not_exported_is_refused(number: float) -> None:
    with pytest.raises(InputError, match=f"labels 0 to 4, found {number}"):
        from_nnunet_labels(np.array([0, number]))


def test_every_channel_keeps_its_oblique_place(tmp_path: Path, cohort: Cases) -> None:
    target = export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path / "out")
    for number, sequence in enumerate(("C0", "DE", "T2")):
        original = sitk.ReadImage(str(tmp_path / "cohort" / f"heart_1_{sequence}.nii.gz"))
        path = target / "imagesTr" / f"heart_1_{number:04d}.nii.gz"
        image = sitk.ReadImage(str(path))
        moved = sitk.Resample(original, image, sitk.Transform(), sitk.sitkNearestNeighbor)
        assert np.array_equal(sitk.GetArrayFromImage(moved), sitk.GetArrayFromImage(image))
        # nibabel is another reader and counts in RAS: left and posterior turn their signs.
        affine = nibabel.load(path).affine
        case = next(find_cases(tmp_path / "cohort")).to_case()
        for index in ([0, 0, 0], [3, 5, 2], [19, 23, 4]):
            lps = case.geometry.position_mm(np.array(index))
            assert (affine @ [*index, 1])[:3] == pytest.approx(lps * (-1, -1, 1), abs=1e-3)


def test_exported_labels_read_back_agree_with_the_truth_exactly(
    tmp_path: Path, cohort: Cases
) -> None:
    target = export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path)
    scores = evaluate_predictions(cohort(), NAMES[2:], target / "labelsTs", "reference", 3)
    assert [(s.row, s.seed, s.case, s.structure) for s in scores] == [
        ("reference", 3, "heart_3", structure)
        for structure in ("lv_region", "myocardium", "scar", "edema", "scar_or_edema")
    ]
    assert [(s.agreement.dice, s.agreement.hd_mm) for s in scores] == [(1.0, 0.0)] * 5
    # 3 x 3 x 6 voxels of scar, 1.4 x 1.2 x 9 mm each.
    assert scores[2].agreement.volume_prediction_ml == pytest.approx(54 * 1.4 * 1.2 * 9e-3)


def test_a_prediction_is_measured_as_compare_does(tmp_path: Path, cohort: Cases) -> None:
    target = export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path)
    path = target / "labelsTs" / "heart_3.nii.gz"
    image = sitk.ReadImage(str(path))
    changed = sitk.GetArrayFromImage(image)
    changed[1] = 0
    wrong = sitk.GetImageFromArray(changed)
    wrong.CopyInformation(image)
    (tmp_path / "predictions").mkdir()
    sitk.WriteImage(wrong, str(tmp_path / "predictions" / path.name))
    scores = evaluate_predictions(cohort(), NAMES[2:], tmp_path / "predictions")
    # One of three slices of scar is missing: 2 * 36 / (36 + 54).
    assert scores[2].agreement.dice == pytest.approx(0.8)
    truth = from_nnunet_labels(sitk.GetArrayFromImage(image))
    expected = compare(from_nnunet_labels(changed), truth, image.GetSpacing())["lv_region"]
    assert scores[0].agreement.hd_mm == pytest.approx(expected.hd_mm)


def test_a_prediction_on_another_grid_is_refused(tmp_path: Path, cohort: Cases) -> None:
    target = export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path)
    path = target / "labelsTs" / "heart_3.nii.gz"
    image = sitk.ReadImage(str(path))
    image.SetSpacing((1.4, 1.4, 9.0))
    sitk.WriteImage(image, str(path))
    with pytest.raises(InputError, match=r"heart_3.*found another"):
        evaluate_predictions(cohort(), NAMES[2:], target / "labelsTs")


def test_a_missing_prediction_is_named(tmp_path: Path, cohort: Cases) -> None:
    with pytest.raises(InputError, match="heart_3.nii.gz"):
        evaluate_predictions(cohort(), NAMES[2:], tmp_path)


def test_a_square_around_the_heart_is_exported_and_put_back(
    tmp_path: Path, cohort: Cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    def box_of(case: object) -> SquareBox:
        return SquareBox((3.0, 12.0), 99.0, (1.2, 1.4))

    monkeypatch.setattr(files, "_heart_box", lambda: box_of)
    target = export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path, size_mm=16.8)
    image = sitk.ReadImage(str(target / "imagesTs" / "heart_3_0001.nii.gz"))
    # 14 rows of 1.2 mm, moved down to the image's edge; 12 columns of 1.4 mm, from 6.
    assert image.GetSize() == (12, 14, 5)
    case = next(cohort()).to_case()
    assert image.GetOrigin() == pytest.approx(case.geometry.position_mm(np.array([6, 0, 0])))
    (test,) = [found for found in cohort() if found.name == "heart_3"]
    truth, _ = test.truth_for(test.to_case())
    inside = np.zeros(truth.shape, bool)
    inside[:, :14, 6:18] = True
    scores = evaluate_predictions(cohort(), NAMES[2:], target / "labelsTs")
    expected = compare(np.where(inside, truth, 0), truth, case.geometry.spacing_mm)
    assert 0 < scores[0].agreement.dice < 1
    assert all(s.agreement == expected[s.structure] for s in scores)


def test_where_the_heart_finder_sees_none_the_whole_image_is_exported(
    tmp_path: Path, cohort: Cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def no_heart(case: object, models: object) -> SquareBox:
        asked.append(models)
        raise InputError("no heart")

    monkeypatch.setattr("myops.weights.files.load_models", lambda device: f"models on {device}")
    monkeypatch.setattr("myops.cascade.segment.locate_heart", no_heart)
    target = export_raw(cohort(), NAMES[:1], NAMES[2:], tmp_path, size_mm=10.0)
    image = sitk.ReadImage(str(target / "imagesTs" / "heart_3_0000.nii.gz"))
    assert image.GetSize() == (20, 24, 5)
    assert asked == ["models on cpu"] * 2


def test_a_patient_without_a_sequence_is_refused(tmp_path: Path, cohort: Cases) -> None:
    (tmp_path / "cohort" / "heart_2_T2.nii.gz").unlink()
    with pytest.raises(InputError, match=r"heart_2.*found no T2.*leave this patient out"):
        export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (["heart_1"], ["heart_1"], "heart_1 in both"),
        ([], ["heart_1"], "patients to train on, found none"),
        (["heart_1"], ["heart_7"], "named heart_7"),
    ],
)
def test_names_that_make_no_split_are_refused(
    tmp_path: Path, cohort: Cases, train: list[str], test: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        export_raw(cohort(), train, test, tmp_path)


def test_a_patient_that_comes_twice_is_refused(tmp_path: Path, cohort: Cases) -> None:
    with pytest.raises(InputError, match="heart_1 twice"):
        export_raw([*cohort(), *cohort()], NAMES[:2], NAMES[2:], tmp_path)


def test_an_interrupted_export_goes_on_where_it_stopped(
    tmp_path: Path, cohort: Cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = files.write_image

    def until_the_sixth(image: sitk.Image, path: Path) -> None:
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(path.name)
        write(image, path)

    monkeypatch.setattr(files, "write_image", until_the_sixth)
    with pytest.raises(KeyboardInterrupt):
        export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path)
    # What a kill leaves in the middle of a file; nnU-Net would count it as a patient.
    folder = tmp_path / "nnUNet_raw" / "Dataset701_MyoPS" / "imagesTr"
    (folder / ".1-2-heart_2_0001.nii.gz").touch()
    assert len(written) == 5
    again: list[str] = []
    monkeypatch.setattr(
        files, "write_image", lambda i, path: (again.append(path.name), write(i, path))
    )
    target = export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path)
    first, second = (
        [f"{name}_0000.nii.gz", f"{name}_0001.nii.gz", f"{name}_0002.nii.gz", f"{name}.nii.gz"]
        for name in NAMES[:2]
    )
    assert written == [*first, second[0]]
    assert again[:4] == second
    assert len(again) == 8
    assert not list(target.glob("*/.*"))


def test_another_split_does_not_go_into_the_same_folder(tmp_path: Path, cohort: Cases) -> None:
    export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path)
    with pytest.raises(InputError, match="holds another export"):
        export_raw(cohort(), NAMES[:1], NAMES[2:], tmp_path)


def test_a_whole_data_set_is_read_once_and_trains_on_what_is_not_tested(
    tmp_path: Path, cohort: Cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def once(folder: Path, convention: str) -> Iterator[LabeledCase]:
        for one in cohort():
            read.append(one.name)
            yield one

    monkeypatch.setattr("myops.datasets.find_cases", once)
    command = ["dataset", "nnunet", str(tmp_path), "-o", str(tmp_path / "a"), "--test", NAMES[2]]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    assert read == NAMES
    named = export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path / "b")
    made = Path(done.stdout.strip())
    names = [sorted(p.relative_to(root) for p in root.rglob("*")) for root in (made, named)]
    assert names[0] == names[1]
    assert files.read_description(made) == files.read_description(named)
    # The same again goes on; a data set that has grown is another export, and nothing is added.
    assert CliRunner().invoke(cli, command).exit_code == 0
    with pytest.raises(InputError, match="holds another export"):
        export_raw(cohort(), None, NAMES[1:], tmp_path / "a")
    with pytest.raises(InputError, match="named heart_1"):
        export_raw(list(cohort())[1:], None, NAMES[2:], tmp_path / "a")


def test_commands_get_nnunets_variables_and_options(
    exported: NnunetRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = exported.commands
    assert folder is not None
    preprocess = stand_in(folder, "nnUNetv2_plan_and_preprocess")
    train = stand_in(folder, "nnUNetv2_train", TRAINS)
    predict = stand_in(folder, "nnUNetv2_predict")
    monkeypatch.setenv("nnUNet_raw", "/somewhere/else")
    monkeypatch.setenv("nnUNet_extTrainer", "/mine")
    plan_and_preprocess(exported)
    assert train_nnunet(exported) == exported.model / "checkpoint_final.pth"
    target = predict_nnunet(exported)
    out = exported.output
    options, variables = calls_of(preprocess)[0]
    assert options == [
        "-d",
        "701",
        "-c",
        "2d",
        "-npfp",
        "3",
        "-np",
        "3",
        "--verify_dataset_integrity",
        "--clean",
    ]
    assert variables["nnUNet_raw"] == str(out / "nnUNet_raw")
    assert variables["nnUNet_preprocessed"] == str(out / "nnUNet_preprocessed")
    assert variables["nnUNet_results"] == str(out / "nnUNet_results")
    assert variables["nnUNet_extTrainer"] == f"{out / 'trainers'}{os.pathsep}/mine"
    assert variables["nnUNet_n_proc_DA"] == variables["nnUNet_def_n_proc"] == "3"
    assert calls_of(train)[0][0] == ["701", "2d", "all", "-tr", "nnUNetTrainer", "-device", "cpu"]
    images = out / "nnUNet_raw" / "Dataset701_MyoPS" / "imagesTs"
    assert calls_of(predict)[0][0] == [
        *("-i", str(images), "-o", str(target), "-d", "701", "-c", "2d", "-tr", "nnUNetTrainer"),
        *["-f", "all", "-device", "cpu", "-npp", "3", "-nps", "3", "--continue_prediction"],
    ]


def test_what_is_done_is_not_done_again(exported: NnunetRun) -> None:
    assert exported.commands is not None
    preprocess = stand_in(exported.commands, "nnUNetv2_plan_and_preprocess")
    train = stand_in(exported.commands, "nnUNetv2_train", TRAINS)
    for _ in range(2):
        plan_and_preprocess(exported)
        train_nnunet(exported)
    assert len(calls_of(preprocess)) == len(calls_of(train)) == 1


@pytest.mark.parametrize("name", ["checkpoint_latest.pth", "checkpoint_best.pth"])
def test_a_stopped_training_goes_on_from_its_checkpoint(exported: NnunetRun, name: str) -> None:
    assert exported.commands is not None
    train = stand_in(exported.commands, "nnUNetv2_train", TRAINS)
    exported.model.mkdir(parents=True)
    (exported.model / name).touch()
    train_nnunet(exported)
    assert calls_of(train)[0][0][-3:] == ["--c", "-device", "cpu"]


def test_a_training_that_leaves_no_checkpoint_is_an_error(exported: NnunetRun) -> None:
    assert exported.commands is not None
    stand_in(exported.commands, "nnUNetv2_train")
    with pytest.raises(InputError, match="expected nnU-Net's checkpoint .* found none"):
        train_nnunet(exported)


def test_two_patients_cannot_be_split_into_five_folds(exported: NnunetRun) -> None:
    with pytest.raises(InputError, match=r"5 or more training patients for fold 0, found 2"):
        train_nnunet(replace(exported, fold=0))


def test_without_an_export_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="call export_raw with this folder first"):
        plan_and_preprocess(NnunetRun(tmp_path))


def test_a_failed_command_shows_the_end_of_its_log(exported: NnunetRun) -> None:
    assert exported.commands is not None
    lines = "for k in range(40): print('line', k)\nsys.exit('RuntimeError: out of memory')\n"
    path = stand_in(exported.commands, "nnUNetv2_train", lines)
    with pytest.raises(InputError) as caught:
        train_nnunet(exported)
    message = str(caught.value)
    log = exported.output / "logs" / "nnUNetv2_train.log"
    assert "nnUNetv2_train failed with exit code 1" in message
    assert "line 39 | RuntimeError: out of memory" in message
    assert "line 32 |" not in message
    assert str(log) in message
    text = log.read_text(encoding="utf-8")
    assert text.strip().startswith(f"$ {path} 701 2d all")
    assert "line 0\n" in text
    with pytest.raises(InputError, match="failed"):
        train_nnunet(exported)
    assert (
        log.read_text(encoding="utf-8").count("RuntimeError: out of memory") == 2
    )  # the first log is kept


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_command_that_somebody_killed_is_said_to_be_killed(exported: NnunetRun) -> None:
    assert exported.commands is not None
    stand_in(exported.commands, "nnUNetv2_train", "os.kill(os.getpid(), 9)\n")
    with pytest.raises(InputError, match="nnUNetv2_train was ended by signal 9: it printed noth"):
        train_nnunet(exported)


def test_the_log_grows_while_the_command_runs(exported: NnunetRun) -> None:
    assert exported.commands is not None
    log = exported.output / "logs" / "nnUNetv2_train.log"
    body = f"print('Epoch 0')\nsys.exit('Epoch 0' not in Path({str(log)!r}).read_text('utf-8'))\n"
    stand_in(exported.commands, "nnUNetv2_train", body)
    run_command(exported, "nnUNetv2_train", [])


def test_without_nnunet_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MYOPS_NNUNET", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"on the PATH; run pip install nnunetv2 \(Apache-2.0\)"):
        find_command("nnUNetv2_train")
    with pytest.raises(InputError, match=r"nnUNetv2_train, found none in .*MYOPS_NNUNET"):
        find_command("nnUNetv2_train", tmp_path / "nowhere")


def test_commands_are_found_by_argument_variable_or_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there, path = (tmp_path / name for name in ("here", "there", "path"))
    for folder in (here, there, path):
        stand_in(folder, "nnUNetv2_train")
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.delenv("MYOPS_NNUNET", raising=False)
    assert find_command("nnUNetv2_train").parent == path
    monkeypatch.setenv("MYOPS_NNUNET", str(there))
    assert find_command("nnUNetv2_train").parent == there
    assert find_command("nnUNetv2_train", here).parent == here


def test_the_version_is_that_of_the_python_beside_the_commands(tmp_path: Path) -> None:
    stand_in(tmp_path, "nnUNetv2_train")
    run = NnunetRun(tmp_path, commands=tmp_path)
    assert installed_version(run) == "unknown"
    stand_in(tmp_path, "python", "print('9.8.7')\n")
    assert installed_version(run) == "9.8.7"


def test_a_short_trainer_is_a_class_that_nnunet_can_find(exported: NnunetRun) -> None:
    assert exported.commands is not None
    short = with_short_trainer(exported, 4, 30)
    assert short.trainer == "nnUNetTrainer_4x30"
    text = (exported.output / "trainers" / "nnUNetTrainer_4x30.py").read_text(encoding="utf-8")
    compile(text, "trainer", "exec")
    assert "class nnUNetTrainer_4x30(nnUNetTrainer):" in text
    for setting in ("num_epochs = 4", "num_iterations_per_epoch = 30", "iterations_per_epoch = 6"):
        assert f"{setting}\n" in text
    train = stand_in(exported.commands, "nnUNetv2_train", TRAINS)
    assert train_nnunet(short).parents[1].name == "nnUNetTrainer_4x30__nnUNetPlans__2d"
    assert calls_of(train)[0][0][3:5] == ["-tr", "nnUNetTrainer_4x30"]


@pytest.mark.scheduled
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_the_command_and_its_workers(exported: NnunetRun, number: int) -> None:
    assert exported.commands is not None
    noted = exported.output / "pids"
    stand_in(
        exported.commands,
        "nnUNetv2_train",
        "import subprocess\n"
        "worker = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"Path({str(noted)!r}).write_text(f'{{os.getpid()}} {{worker.pid}}\\n', 'utf-8')\n"
        "time.sleep(60)\n",
    )
    code = (
        f"import signal, sys; sys.path.insert(0, {str(LIBRARY)!r})\n"
        # Tests that run in a shell's background are started with Ctrl-C switched off.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path\n"
        "from myops.reproduce.nnunet.commands import NnunetRun, train_nnunet\n"
        f"train_nnunet(NnunetRun(Path({str(exported.output)!r}), "
        f"commands=Path({str(exported.commands)!r})))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as ours:
        wait_until(lambda: noted.exists() and noted.read_text(encoding="utf-8").endswith("\n"))
        ours.send_signal(number)
        _, errors = ours.communicate(timeout=30)
    assert ours.returncode != 0
    assert number != signal.SIGINT or b"KeyboardInterrupt" in errors
    for pid in noted.read_text(encoding="utf-8").split():
        wait_until(lambda pid=pid: not is_running(int(pid)))


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A killed process whose new parent has not asked for its exit code yet.
    state = Path(f"/proc/{pid}/stat")
    return not (
        state.exists() and state.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "Z"
    )


PLANS = (
    "at = Path(os.environ['nnUNet_preprocessed'], 'Dataset701_MyoPS')\n"
    "at.mkdir(parents=True, exist_ok=True)\n"
    "plans = {'configurations': {'2d': {'batch_size': 12}}}\n"
    "(at / 'nnUNetPlans.json').write_text(json.dumps(plans), 'utf-8')\n"
)
PREDICTS_THE_TRUTH = (
    "import shutil\n"
    "target = Path(sys.argv[sys.argv.index('-o') + 1])\n"
    "truth = Path(os.environ['nnUNet_raw'], 'Dataset701_MyoPS', 'labelsTs')\n"
    "shutil.copytree(truth, target, dirs_exist_ok=True)\n"
)


@pytest.fixture
def row_run(tmp_path: Path, cohort: Cases, monkeypatch: pytest.MonkeyPatch) -> Reproduction:
    """A reproduction of nnU-Net's row alone, with stand-ins that predict the truth."""
    bodies = {"plan_and_preprocess": PLANS, "train": TRAINS, "predict": PREDICTS_THE_TRUTH}
    for name, body in bodies.items():
        stand_in(tmp_path / "stand_ins", f"nnUNetv2_{name}", body)
    monkeypatch.setenv("MYOPS_NNUNET", str(tmp_path / "stand_ins"))
    protocol = replace(PROTOCOLS["quick"], nnunet_mm=None)
    table = choose_rows(TABLES["cascade"], ["nnU-Net"])
    return Reproduction("cascade", table, protocol, tmp_path / "out", tmp_path / "cohort")


def test_a_row_of_nnunets_is_trained_for_as_many_slices_as_the_others(row_run, cohort):
    (row,) = row_run.table.rows
    settings = PROTOCOLS["quick"].settings
    split = Split(tuple(NAMES[:2]), tuple(NAMES[2:]))
    predictions = nnunet_row.train_and_predict(row_run, row_run.data, split, 1, row)
    trainer = predictions.parents[1].name.split("__")[0]
    epochs, iterations = (int(part) for part in trainer.removeprefix("nnUNetTrainer_").split("x"))
    slices = int(settings["steps"]) * int(settings["batch_size"])
    assert abs(12 * epochs * iterations - slices) < 12 * epochs
    (case,) = [found.to_case() for found in cohort() if found.name == "heart_3"]
    (labeled,) = [found for found in cohort() if found.name == "heart_3"]
    truth, drawn = labeled.truth_for(case)
    scores = nnunet_row.evaluate(row_run, [TestCase("heart_3", case, truth, drawn, None)], 1, row)
    assert [score.structure for score in scores] == list(row.measures)
    assert all((score.row, score.seed, score.case) == ("nnU-Net", 1, "heart_3") for score in scores)
    assert all(score.agreement.dice == 1 for score in scores)


def test_patients_with_lge_alone_train_a_row_of_one_channel(row_run, cohort, tmp_path):
    for path in (*tmp_path.glob("cohort/*_C0.nii.gz"), *tmp_path.glob("cohort/*_T2.nii.gz")):
        path.unlink()
    row_run = replace(row_run, table=rows_for(row_run.table, frozenset({"lge"})))
    (row,) = row_run.table.rows
    assert row.measures == ("lv_region", "scar")
    nnunet_row.train_and_predict(
        row_run, row_run.data, Split(tuple(NAMES[:2]), tuple(NAMES[2:])), 0, row
    )
    (labeled,) = [found for found in cohort() if found.name == "heart_3"]
    case = labeled.to_case()
    truth, drawn = labeled.truth_for(case)
    scores = nnunet_row.evaluate(row_run, [TestCase("heart_3", case, truth, drawn, None)], 0, row)
    assert {score.structure: score.agreement.dice for score in scores} == {
        "lv_region": 1.0,
        "scar": 1.0,
    }


def test_a_row_of_nnunets_wants_a_budget_in_steps(row_run):
    minutes = replace(row_run.protocol, settings={"minutes": "2", "device": "cpu"})
    row_run = replace(row_run, protocol=minutes)
    split = Split(tuple(NAMES[:2]), tuple(NAMES[2:]))
    with pytest.raises(InputError, match="set steps, or leave the row nnU-Net out"):
        nnunet_row.train_and_predict(row_run, row_run.data, split, 0, row_run.table.rows[0])


def test_the_real_nnunet_predicts_on_our_grid_and_counts_dice_as_we_do(
    tmp_path: Path, cohort: Cases
) -> None:
    try:
        find_command("nnUNetv2_train")
    except InputError:
        pytest.skip("nnunetv2 is not installed; name its folder of commands in MYOPS_NNUNET")
    export_raw(cohort(), NAMES[:2], NAMES[2:], tmp_path)
    run = with_short_trainer(NnunetRun(tmp_path, processes=1), epochs=1, iterations=1)
    plan_and_preprocess(run)
    train_nnunet(run)
    predictions = predict_nnunet(run)
    (case,) = [found.to_case() for found in cohort() if found.name == "heart_3"]
    image = sitk.ReadImage(str(predictions / "heart_3.nii.gz"))
    assert from_sitk(image).is_same_grid(case.geometry, 0.01)
    scores = evaluate_predictions(cohort(), NAMES[2:], predictions)
    assert len(scores) == 5
    assert all(0 <= score.agreement.dice <= 1 for score in scores)
    assert installed_version(run)[0].isdigit()
    # nnU-Net's own Dice of its training patients, by its own reader of its own files.
    validation = run.model / "validation"
    summary = json.loads((validation / "summary.json").read_text(encoding="utf-8"))
    theirs = {Path(c["prediction_file"]).name: c["metrics"] for c in summary["metric_per_case"]}
    ours = evaluate_predictions(cohort(), NAMES[:2], validation)
    for score in ours:
        if score.structure in ("scar", "edema"):
            number = str(files.LABELS[score.structure])
            expected = theirs[f"{score.case}.nii.gz"][number]["Dice"]
            assert score.agreement.dice == pytest.approx(expected)
