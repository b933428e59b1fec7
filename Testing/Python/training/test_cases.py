"""Labeled cases as patients to train on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from myops.cascade.segment import crop_case
from myops.datasets import LabeledCase, find_cases
from myops.errors import InputError
from myops.labels import MVO, MYOPS, lv_region
from myops.networks.build import build_prsn
from myops.networks.prsn import MFB
from myops.networks.unet import build_unet
from myops.phantom.files import write_cohort
from myops.phantom.patient import PhantomConfig
from myops.training import loop
from myops.training.checkpoint import learned_by, read_checkpoint
from myops.training.config import UnetConfig, make_config
from myops.training.data import cases, crops, feed, mixing
from myops.training.export import export_weights
from myops.training.stages import prsn, unet
from myops.weights.files import learned_from, read_manifest
from myops.weights.packs import shipped_packs

TINY = {
    "steps": "2",
    "batch_size": "2",
    "pool_start": "1",
    "workers": "0",
    "threads": "1",
    "curve_patients": "0",
    "curve_minutes": "0",
    "device": "cpu",
    "widths": "4,4",
    "size": "32",
}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    drawn = PhantomConfig(dropout=False, normal_share=0.0, acute_share=1.0)
    write_cohort(970_100, 3, folder, drawn)
    return folder


@pytest.fixture(scope="module")
def labeled(cohort) -> list[LabeledCase]:
    return list(find_cases(cohort))


@pytest.mark.slow
def test_a_case_becomes_a_patient_with_the_volumes_of_its_label_file(labeled):
    patient = cases.case_patient(labeled[0])
    assert set(patient.images) == {"bssfp", "lge", "t2"}
    for value in (MYOPS["blood_pool"], MYOPS["normal_myocardium"], MYOPS["edema"]):
        assert np.sum(patient.labels == value) == np.sum(labeled[0].labels == value)
    scar = np.isin(labeled[0].labels, [MYOPS["scar"], MVO])
    assert np.sum(patient.labels == MYOPS["scar"]) == scar.sum()
    assert patient.mvo.sum() == np.sum(labeled[0].labels == MVO)
    assert patient.acute


def test_slices_that_nobody_has_drawn_are_left_out(labeled):
    drawn = np.ones(len(labeled[0].labels), bool)
    drawn[0] = False
    patient = cases.case_patient(replace(labeled[0], labeled=drawn))
    assert len(patient.labels) == len(labeled[0].labels) - 1 == len(patient.images["lge"])


def test_a_case_without_edema_is_chronic(labeled):
    labels = labeled[0].labels.copy()
    labels[labels == MYOPS["edema"]] = MYOPS["normal_myocardium"]
    assert not cases.case_patient(replace(labeled[0], labels=labels)).acute


def with_partial_t2(labeled: LabeledCase, filled: bool) -> LabeledCase:
    """The case with every second half of its T2 slices lost, or filled with zeros."""
    t2 = labeled.images["t2"]
    half = t2.GetSize()[2] // 2
    if not filled:
        return replace(labeled, images={**labeled.images, "t2": t2[:, :, :half]})
    array = sitk.GetArrayFromImage(t2)
    array[half:] = 0
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(t2)
    return replace(labeled, images={**labeled.images, "t2": image})


@pytest.mark.slow
@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("stage", ["assn", "prsn", "dssnet", "unet"])
def test_a_network_learns_slice_by_slice_what_the_t2_shows(labeled, stage, filled):
    one = with_partial_t2(labeled[0], filled)
    case, patient = one.to_case(), cases.case_patient(one)
    box = crops.jittered_box(patient, np.random.default_rng(0))
    expected = crop_case(case, box, 48)[1][one.truth_for(case)[1]]
    assert set(expected[:, 2]) == {0.0, 1.0}, "half of the slices have no T2"
    made = loop.STAGES[stage].prepare(
        patient, np.random.default_rng(0), make_config(stage, {"size": "48"})
    )
    seen = made["present"]
    kept = [k for k in range(len(expected)) if lv_region(patient.labels[k]).any()]
    assert len(seen) >= len(kept) - 1  # a slice at the end may be missed on purpose
    assert set(seen[:, 2]) == {0.0, 1.0} and seen[:, 1].all()
    assert seen[:, 2].sum() <= expected[:, 2].sum()
    again = np.diff(seen[:, 2])
    assert np.abs(again).sum() == 1, "present on one side of the heart, absent on the other"


def test_no_edema_is_asked_for_where_there_is_no_t2(labeled):
    patient = cases.case_patient(with_partial_t2(labeled[0], False))
    config = make_config("prsn", {"size": "48"})
    made = prsn.prepare(patient, np.random.default_rng(0), config)
    batch = {name: torch.from_numpy(values) for name, values in made.items()}
    absent = batch["present"][:, 2] == 0
    labels = batch["labels"].long()
    assert (labels[absent] == prsn.EDEMA).any(), "the expert has drawn some there"
    target = prsn.main_target(labels, batch["present"], batch["acute"])
    assert not (target[absent] == prsn.EDEMA).any()
    assert (target[~absent] == prsn.EDEMA).any()
    seen = unet.seen_labels(labels, batch["present"])
    assert not (seen[absent] == prsn.EDEMA).any() and (seen[~absent] == labels[~absent]).all()
    shown = prsn.candidates({name: value.float() for name, value in batch.items()})
    assert not shown[absent, 2].any(), "the network sees nothing there"


def test_artifacts_do_not_make_an_empty_slice_seen(labeled):
    patient = cases.case_patient(with_partial_t2(labeled[0], True))
    config = make_config("unet", {"size": "48", "artifacts": "1"})
    made = feed.make_slices(loop.STAGES["unet"], patient, np.random.default_rng(3), config)
    assert set(made["present"][:, 2]) == {0.0, 1.0}


def test_one_case_is_too_few_to_train_on(labeled):
    with pytest.raises(InputError, match="at least two labeled cases"):
        cases.choose_cases(labeled[:1], [], "here")


def test_cases_without_any_scar_are_refused(labeled):
    healthy = [replace(one, labels=np.minimum(one.labels, 500)) for one in labeled]
    with pytest.raises(InputError, match="expected scar in at least one of 3 cases"):
        cases.choose_cases(healthy, [], "here")


def test_a_name_that_is_not_there_is_told(labeled):
    with pytest.raises(InputError, match="expected the cases Case_P999, found none"):
        cases.choose_cases(labeled, [labeled[0].name, labeled[1].name, "Case_P999"], "here")


def test_labels_without_a_heart_are_refused(labeled):
    empty = replace(labeled[0], labels=np.zeros_like(labeled[0].labels))
    with pytest.raises(InputError, match="expected labels of a left ventricle"):
        cases.case_patient(empty)


def test_every_round_shows_each_case_once_in_another_order_and_cut():
    patients = [f"patient {number}" for number in range(7)]
    source = mixing.case_source(patients, make_config("prsn", {"seed": "4"}))
    rounds = [[source(7 * turn + place)[0] for place in range(7)] for turn in range(3)]
    assert all(sorted(seen) == patients for seen in rounds)
    assert rounds[0] != rounds[1] != rounds[2]
    assert source(0)[1].random() != source(7)[1].random()
    assert source(5)[1].random() == source(5)[1].random()


@pytest.mark.slow
@pytest.mark.parametrize("inside", ["0", "1"])
def test_a_network_trains_on_named_cases_and_the_checkpoint_says_which(
    inside, cohort, labeled, tmp_path
):
    names = ",".join(one.name for one in labeled[:2])
    settings = TINY | {"cases": str(cohort), "case_names": names, "inside": inside}
    path = loop.train("unet", settings, tmp_path)
    config = json.loads(read_checkpoint(path)["config"])
    assert (config["cases"], config["case_names"]) == (str(cohort), names)
    with pytest.raises(InputError, match="found none"):
        loop.train("unet", settings | {"case_names": "nobody"}, tmp_path / "other")


@pytest.fixture(scope="module")
def learned_from_two(cohort, labeled, tmp_path_factory) -> Path:
    """A checkpoint that has learned from the first two cases."""
    names = ",".join(one.name for one in labeled[:2])
    settings = TINY | {"cases": str(cohort), "case_names": names}
    return loop.train("prsn", settings, tmp_path_factory.mktemp("two"))


def checksums(some: list[LabeledCase]) -> frozenset[str]:
    return frozenset().union(*(one.image_checksums for one in some))


@pytest.mark.slow
def test_a_checkpoint_names_the_images_that_it_has_learned_from(
    learned_from_two, labeled, tmp_path
):
    assert len(checksums(labeled)) == 3 * 3  # three sequences of three patients
    assert learned_by(learned_from_two) == checksums(labeled[:2])
    phantoms = loop.train("unet", TINY | {"steps": "1"}, tmp_path)
    assert learned_by(phantoms) == frozenset()


@pytest.mark.slow
def test_weights_carry_what_they_learned_from_into_manifest_header_and_further_trainings(
    learned_from_two, labeled, tmp_path
):
    entry = export_weights(learned_from_two, tmp_path / "weights")
    assert set(entry["learned"]) == checksums(labeled[:2])
    assert set(read_manifest(tmp_path / "weights")["prsn"]["learned"]) == checksums(labeled[:2])
    file = tmp_path / "weights" / "prsn.safetensors"
    assert learned_by(file) == checksums(labeled[:2])
    # On phantoms, from the file and from the checkpoint: what was known stays known.
    for number, start in enumerate((file, learned_from_two)):
        settings = TINY | {"start": str(start), "steps": "1"}
        later = loop.train("prsn", settings, tmp_path / f"later{number}")
        assert learned_by(later) == checksums(labeled[:2])


def test_networks_that_a_training_leans_on_count_as_what_it_starts_from(
    learned_from_two, labeled, tmp_path
):
    export_weights(learned_from_two, tmp_path)
    leaning = {"refiner": {"cascade": str(tmp_path)}, "assn": {"dae": str(learned_from_two)}}
    for stage, settings in leaning.items():
        config = make_config(stage, settings)
        assert loop.learned_before(stage, config) == checksums(labeled[:2]), stage
        assert loop.learned_before(stage, make_config(stage)) == frozenset()


@pytest.mark.parametrize("stage", ["refiner", "clickhead"])
def test_what_corrects_a_pack_has_learned_from_what_the_pack_has(stage, monkeypatch):
    known = learned_from(read_manifest(shipped_packs()["public-hearts"].folder))
    leaning = make_config(stage, {"cascade": "public-hearts"})
    assert known and loop.learned_before(stage, leaning) == known
    monkeypatch.setenv("MYOPS_MODEL", "public-hearts")
    assert loop.learned_before(stage, make_config(stage, {"cascade": "default"})) == known
    # Unless another is asked for, the free pack is corrected, whatever is in use.
    assert loop.learned_before(stage, make_config(stage)) == frozenset()


@pytest.mark.slow
def test_a_training_that_goes_on_with_other_cases_has_learned_from_both(
    learned_from_two, cohort, labeled, tmp_path
):
    shutil.copy(learned_from_two, tmp_path / "checkpoint.pt")
    names = ",".join(one.name for one in labeled[1:])
    path = loop.train("prsn", {"case_names": names, "steps": "3"}, tmp_path, resume=True)
    assert learned_by(path) == checksums(labeled)


def test_a_training_does_not_write_over_the_checkpoint_that_it_starts_from(
    learned_from_two, tmp_path
):
    path = shutil.copy(learned_from_two, tmp_path / "checkpoint.pt")
    before = path.read_bytes()
    with pytest.raises(InputError, match="which is read, would be overwritten"):
        loop.train("prsn", {"start": str(path), "steps": "3"}, tmp_path, resume=True)
    assert path.read_bytes() == before


def test_an_export_does_not_replace_a_file_that_no_manifest_names(learned_from_two, tmp_path):
    mine = tmp_path / "prsn.safetensors"
    mine.write_text("mine", "utf-8")
    with pytest.raises(InputError, match=r"found one that it does not name; move that file away"):
        export_weights(learned_from_two, tmp_path)
    assert mine.read_text("utf-8") == "mine"


def test_a_baseline_has_no_place_in_a_folder_of_weights(cohort, tmp_path):
    path = loop.train("unet", TINY | {"cases": str(cohort)}, tmp_path / "run")
    with pytest.raises(InputError, match="found unet, which is only compared with"):
        export_weights(path, tmp_path / "weights")
    assert not (tmp_path / "weights").exists()


def slices_of(labels: list[list[int]]) -> torch.Tensor:
    return torch.tensor(labels)[None, None]


def test_the_targets_of_a_baseline_by_hand():
    labels = slices_of([[prsn.OTHER, prsn.NORMAL], [prsn.EDEMA, prsn.SCAR]])
    scar = unet.target_planes(labels, "scar")[0]
    assert scar.tolist() == [[[0, 1], [1, 0]], [[0, 0], [0, 1]]]  # edema counts as normal
    edema = unet.target_planes(labels, "edema")[0]
    assert edema.tolist() == [[[0, 1], [0, 1]], [[0, 0], [1, 0]]]  # scar counts as normal
    tissues = unet.target_planes(labels, "tissues")[0]
    assert tissues.tolist() == [[[0, 1], [0, 0]], [[0, 0], [1, 0]], [[0, 0], [0, 1]]]
    region = unet.target_planes(slices_of([[prsn.OUTSIDE, prsn.OTHER]]), "region")[0]
    assert region.tolist() == [[[0, 1]]]


def test_a_baseline_sees_its_own_sequences_alone():
    network = build_unet((1,), 3, widths=(4, 8)).eval()
    images = torch.randn(2, 3, 16, 16)
    others = images.clone()
    others[:, [0, 2]] = 7.0
    present = torch.ones(2, 3)
    assert torch.equal(network(images, present), network(others, present))
    others[:, 1] = 7.0
    assert not torch.allclose(network(images, present), network(others, present))


@pytest.mark.parametrize("sequences", ["", "lge,ct"])
def test_unknown_sequences_are_refused(sequences):
    with pytest.raises(InputError, match="sequences expects some of bssfp, lge, t2"):
        unet.build(UnetConfig(sequences=sequences))


def test_an_unknown_target_or_fusion_is_refused():
    with pytest.raises(InputError, match="target expects one of region, scar, edema, tissues"):
        unet.build(UnetConfig(target="fat"))
    with pytest.raises(InputError, match="fusion expects one of cafb, mfb"):
        prsn.build(make_config("prsn", {"fusion": "sum"}))


def test_mfb_fuses_sum_product_and_maximum_by_hand():
    fusion = MFB(1, 1)
    features = [torch.full((1, 1, 1, 1), value) for value in (1.0, 2.0, 0.5, 3.0)]
    product = float(np.prod(np.tanh([1.0, 2.0, 0.5, 3.0])))
    for weights, expected in (([1, 0, 0], 6.5), ([0, 1, 0], product), ([0, 0, 1], 3.0)):
        fusion.mix.weight.data = torch.tensor(weights, dtype=torch.float32).reshape(1, 3, 1, 1)
        fusion.mix.bias.data.zero_()
        assert fusion(features, torch.ones(1, 3)).item() == pytest.approx(expected, rel=1e-6)


def test_mfb_takes_no_notice_of_an_absent_sequence():
    network = build_prsn(widths=(4, 8), fusion="mfb").eval()
    images = torch.randn(1, 3, 16, 16)
    present = torch.tensor([[1.0, 1.0, 0.0]])
    images[:, 2] = 0
    before = network(images, present)["main"]
    with torch.no_grad():
        for parameter in network.t2.parameters():
            parameter.add_(1.0)
    assert torch.allclose(before, network(images, present)["main"], atol=1e-6)


def test_a_perfect_baseline_has_no_loss():
    config = UnetConfig(target="scar")
    labels = torch.randint(1, 4, (2, 1, 8, 8))
    batch = {
        "images": torch.zeros(2, 3, 8, 8),
        "region": torch.ones(2, 1, 8, 8),
        "labels": labels,
        "present": torch.ones(2, 3),
    }
    planes = unet.target_planes(labels, "scar")
    perfect = 50 * torch.cat((1 - planes.sum(1, keepdim=True), planes), dim=1)
    loss = unet.make_loss(config, torch.device("cpu"))
    assert loss(lambda *_: perfect, batch)[0].item() < 1e-3
    assert loss(lambda *_: -perfect, batch)[0].item() > 0.5


@pytest.mark.slow
def test_deliberate_noise_changes_scar_but_not_the_wall_and_is_the_same_every_time(cohort):
    plain = cases.training_cases(make_config("unet", {"cases": str(cohort)}))
    settings = {"cases": str(cohort), "label_noise": "border:high"}
    noisy, again, other = (
        cases.with_label_noise(plain, make_config("unet", settings | {"seed": seed}))
        for seed in ("0", "0", "1")
    )
    for before, after, same, different in zip(plain, noisy, again, other, strict=True):
        assert not np.array_equal(before.labels, after.labels)
        assert np.array_equal(after.labels, same.labels)
        assert not np.array_equal(after.labels, different.labels)
        assert np.array_equal(before.labels == 500, after.labels == 500)
    assert all(np.array_equal(one.labels, two.labels) for one, two in zip(plain, plain))


@pytest.mark.slow
@pytest.mark.parametrize("text", ["mixed", "mixed:worst", "wrong:high", ":low"])
def test_unknown_noise_is_refused_with_the_known_kinds(text, cohort):
    config = make_config("unet", {"cases": str(cohort), "label_noise": text})
    with pytest.raises(InputError, match=r"kinds border, islands, threshold, mixed, levels none"):
        cases.with_label_noise(cases.training_cases(config), config)


def test_artifacts_change_what_is_trained_on_but_not_its_labels(labeled):
    patient = cases.case_patient(labeled[0])
    made = [
        feed.make_slices(
            loop.STAGES["unet"],
            patient,
            np.random.default_rng(3),
            make_config("unet", {"size": "64", "artifacts": strength}),
        )
        for strength in ("0", "1")
    ]
    assert made[0]["images"].shape == made[1]["images"].shape
    assert not np.allclose(made[0]["images"], made[1]["images"], atol=0.05)
    assert np.array_equal(patient.images["lge"], cases.case_patient(labeled[0]).images["lge"])


def test_the_kl_term_counts_with_its_weight_and_hard_labels_have_none():
    logits = torch.randn(2, 4, 16, 16)
    target = torch.nn.functional.one_hot(torch.randint(0, 4, (2, 16, 16)), 4)
    target = target.permute(0, 3, 1, 2).float()
    inside = torch.ones(2, 1, 16, 16)

    def loss(**weights: float) -> tuple:
        return prsn.class_loss(logits, target, inside, UnetConfig(**weights))

    hard, parts = loss(dice_weight=0.6, cross_entropy_weight=0.4)
    assert set(parts) == {"dice", "entropy"}
    assert hard.item() == pytest.approx(
        0.6 * parts["dice"].item() + 0.4 * parts["entropy"].item(), rel=1e-6
    )
    soft, parts = loss(dice_weight=0.6, cross_entropy_weight=0.2, kl_weight=0.2)
    expected = 0.6 * parts["dice"] + 0.2 * parts["entropy"] + 0.2 * parts["kl"]
    assert soft.item() == pytest.approx(expected.item(), rel=1e-6)
    assert parts["kl"].item() > 0
