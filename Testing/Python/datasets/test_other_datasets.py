"""MyoPS++, MS-CMRSeg and nnU-Net's raw format: found by name, with what their labels tell."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_labels import heart, noise
from small_labels import write_stack as write

from myops.datasets import find_cases
from myops.errors import InputError
from myops.reproduce.nnunet.files import export_raw


@pytest.mark.parametrize(
    ("sequences", "told"),
    [(("LGE",), {"scar"}), (("LGE", "C0"), {"scar"}), (("LGE", "C0", "T2"), {"scar", "edema"})],
)
def test_a_center_of_myops_plus_plus_tells_what_its_sequences_show(
    tmp_path: Path, sequences: tuple[str, ...], told: set[str]
) -> None:
    for seed, name in enumerate(sequences):
        write(noise(seed=seed), tmp_path / "CenterA" / f"Case1001_{name}.nii.gz")
    write(heart(scar=2221), tmp_path / "CenterA" / "Case1001_gd.nii.gz")
    (case,) = find_cases(tmp_path)
    assert (case.dataset, case.name, case.sequence) == ("myops++", "Case1001", "lge")
    assert len(case.images) == len(sequences)
    assert case.structures == {"myocardium", "blood_pool"} | told
    assert case.untold == frozenset()
    assert np.count_nonzero(case.labels == 2221) == 1


def test_each_sequence_of_ms_cmrseg_is_a_case_and_its_scar_is_not_told(tmp_path: Path) -> None:
    for seed, name in enumerate(("C0", "LGE", "T2")):
        write(noise(seed=seed), tmp_path / "images" / f"patient3_{name}.nii.gz")
        write(heart(), tmp_path / "labels" / f"patient3_{name}_manual.nii.gz")
    cine, lge = find_cases(tmp_path)
    assert (cine.name, lge.name) == ("patient3_C0", "patient3_LGE")
    assert (cine.sequence, lge.sequence) == ("bssfp", "lge")
    assert cine.structures == lge.structures == {"myocardium", "blood_pool"}
    assert (cine.untold, lge.untold) == (frozenset(), {"scar"})
    assert np.count_nonzero(lge.labels == 200) == 25 - 9


def nnunet(
    root: Path, labels: dict[str, int], channels: dict[str, str], values: np.ndarray
) -> Path:
    root.mkdir(parents=True)
    description = {"labels": labels, "channel_names": channels, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(description), "utf-8")
    for number in channels:
        write(noise(seed=int(number)), root / "imagesTr" / f"heart_{int(number):04d}.nii.gz")
    write(values, root / "labelsTr" / "heart.nii.gz")
    return root


def test_a_raw_data_set_is_read_by_its_description(tmp_path: Path) -> None:
    root = nnunet(
        tmp_path / "Dataset501_Scar",
        {"background": 0, "LV": 3, "MYO": 1, "infarct": 2},
        {"0": "LGE", "1": "T2"},
        heart(scar=2, wall=1, blood=3),
    )
    (case,) = find_cases(root.parent)
    assert (case.dataset, case.name, set(case.images)) == ("nnunet", "heart", {"lge", "t2"})
    assert [np.count_nonzero(case.labels == v) for v in (2221, 200, 500)] == [1, 15, 9]
    assert case.structures == {"blood_pool", "normal_myocardium", "myocardium", "scar"}
    assert case.untold == {"edema"}


@pytest.mark.parametrize(
    ("labels", "channels", "words"),
    [
        ({"background": 0, "liver": 1}, {"0": "LGE"}, "found 'liver': 1"),
        ({"background": 0, "scar": [1, 2]}, {"0": "LGE"}, "found 'scar'"),
        ({"background": 0, "scar": 1}, {"0": "CT"}, "found 'CT'"),
    ],
)
def test_words_of_another_organ_are_refused(
    tmp_path: Path, labels: dict[str, int], channels: dict[str, str], words: str
) -> None:
    root = nnunet(tmp_path / "Dataset1_X", labels, channels, heart(wall=1, blood=1))
    with pytest.raises(InputError, match=words):
        list(find_cases(root))


def test_what_is_written_for_nnunet_is_read_again(tmp_path: Path) -> None:
    for seed, name in enumerate(("C0", "DE", "T2")):
        write(noise(seed=seed), tmp_path / "own" / f"a_{name}.nii.gz")
    write(heart(scar=2221, edema=1220), tmp_path / "own" / "a_gd.nii.gz")
    (own,) = find_cases(tmp_path / "own")
    root = export_raw([own], ["a"], [], tmp_path / "out")
    (again,) = find_cases(root)
    case = own.to_case()
    assert (again.dataset, again.name) == ("nnunet", "a")
    assert np.array_equal(again.to_case().images["t2"], case.images["t2"])
    assert np.array_equal(again.truth_for(case)[0], own.truth_for(case)[0])
    assert {"scar", "edema", "blood_pool", "myocardium"} <= again.structures


def test_labels_without_their_disease_teach_prsn_the_rest_and_are_refused_by_others(
    tmp_path: Path,
) -> None:
    cases = pytest.importorskip("myops.training.data.cases")
    from myops.training.config import make_config
    from myops.training.loop import STAGES

    write(noise(), tmp_path / "patient3_LGE.nii.gz")
    write(heart(), tmp_path / "patient3_LGE_manual.nii.gz")
    (case,) = find_cases(tmp_path)
    # As large as a heart: the square of 16 x 16 pixels is not.
    patient = replace(cases.case_patient(case), spacing_mm=(4.0, 4.0, 10.0))
    rng = np.random.default_rng(0)
    made = STAGES["prsn"].prepare(patient, rng, make_config("prsn", {"size": "48"}))
    assert set(map(tuple, made["untold"].tolist())) == {(1.0, 0.0)}  # scar, edema
    for stage in ("dssnet", "unet"):
        with pytest.raises(InputError, match="expected labels that tell scar, which its images"):
            STAGES[stage].prepare(patient, rng, make_config(stage, {"size": "48"}))
