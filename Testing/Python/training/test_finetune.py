"""Learning from a site's corrected cases: what is learned from, compared, kept or refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from click.testing import CliRunner

from myops.cascade.segment import CascadeConfig
from myops.case import case_from_images
from myops.cli import cli
from myops.datasets import HEART, LabeledCase, find_cases
from myops.errors import InputError
from myops.labels import MYOPS, scar
from myops.networks.prsn import PRSN
from myops.phantom.files import write_cohort
from myops.phantom.patient import PhantomConfig
from myops.refine.missing_refiner import NoRefiner
from myops.refine.session import Session
from myops.refine.state_file import save_state
from myops.segmentation import Segmentation
from myops.training import finetune as tuning
from myops.training.averaging import install_halfway
from myops.training.checkpoint import load_weights
from myops.training.finetune import Comparison, FinetuneConfig, finetune, split_cases, why_worse
from myops.weights.files import (
    SHIPPED_FOLDER,
    install_weights,
    learned_from,
    load_models,
    load_network,
    load_tensors,
    metadata_of,
    read_manifest,
    save_weights,
)
from myops.weights.packs import PACKS_FOLDER
from myops.worklist.approved import approved_cases
from myops.worklist.casefile import CaseFile, write_case_file


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_cohort(970_300, 4, folder, PhantomConfig(view="heart", dropout=False, normal_share=0.0))
    return folder


@pytest.fixture(scope="module")
def site(folder) -> list[LabeledCase]:
    return list(find_cases(folder))


def labeled(name: str, scarred: bool) -> LabeledCase:
    labels = np.full((2, 4, 4), MYOPS["scar"] if scarred else MYOPS["normal_myocardium"], np.uint16)
    return LabeledCase("approved", name, {}, labels, np.ones(2, bool), frozenset())


def test_every_case_is_on_one_side_and_scar_is_on_both():
    cases = [labeled(f"{k}", scarred=k in (3, 8)) for k in range(12)]
    for seed in range(20):
        learned, held_out = split_cases(cases, FinetuneConfig(seed=seed))
        assert sorted(case.name for case in learned + held_out) == sorted(c.name for c in cases)
        assert len(held_out) == 3
        assert any(scar(case.labels).any() for case in learned)
        assert any(scar(case.labels).any() for case in held_out)


def test_scar_in_one_case_alone_is_too_little_to_compare():
    with pytest.raises(
        InputError, match=r"expected scar in at least 2 of 5 cases .* found it in 1"
    ):
        split_cases([labeled(f"{k}", scarred=k == 2) for k in range(5)], FinetuneConfig())


@pytest.mark.slow
def test_too_few_cases_and_unknown_networks_are_refused(site, tmp_path):
    with pytest.raises(InputError, match="expected at least 4 corrected cases, found 3"):
        finetune(site[:3], tmp_path)
    with pytest.raises(InputError, match="expected networks among assn, prsn, found dae"):
        finetune(site, tmp_path, FinetuneConfig(networks=("dae", "prsn")))


def test_worse_in_one_structure_is_worse_and_chance_is_not():
    before = {"scar": 0.60, "myocardium": 0.80}
    assert why_worse(before, {"scar": 0.70, "myocardium": 0.797}) == ""
    assert "myocardium 0.800 -> 0.780" in why_worse(before, {"scar": 0.70, "myocardium": 0.78})


BEFORE = {"scar": 0.60, "myocardium": 0.80}


@pytest.mark.parametrize(
    ("trained", "halfway", "chosen"),
    [
        ((0.70, 0.80), (0.65, 0.80), "trained"),
        ((0.65, 0.80), (0.70, 0.80), "halfway"),
        ((0.70, 0.78), (0.62, 0.80), "halfway"),  # a structure that is worse is not made up for
        ((0.61, 0.80), (0.70, 0.70), "trained"),
        ((0.50, 0.70), (0.40, 0.70), "trained"),  # both are worse: the better one is told
        ((0.60, 0.80), (0.60, 0.80), "halfway"),  # of equals the one that forgets less
    ],
)
def test_the_best_one_that_is_no_worse_is_chosen(trained, halfway, chosen):
    tried = {
        name: dict(zip(BEFORE, values, strict=True))
        for name, values in (("trained", trained), ("halfway", halfway))
    }
    assert tuning.choose(BEFORE, tried) == chosen


def test_scar_in_healthy_hearts_is_worse_whatever_the_dice_says():
    before = {"scar": 0.60, "false_scar_percent": 0.2}
    assert why_worse(before, {"scar": 0.60, "false_scar_percent": 0.6}) == ""
    worse = {"scar": 0.70, "false_scar_percent": 2.0}
    assert "scar in hearts without 0.2 % -> 2.0 % of the myocardium" in why_worse(before, worse)
    better = {"scar": 0.61, "false_scar_percent": 0.0}
    assert tuning.choose(before, {"one": better, "other": worse}) == "one"
    assert tuning.choose(before, {"other": worse, "one": better}) == "one"


def test_false_scar_is_measured_where_the_expert_says_that_there_is_none(monkeypatch):
    """By hand: 4 of 16 voxels of the wall, in one of two slices that the expert has drawn."""
    one = scanned(0, value=MYOPS["normal_myocardium"])
    healthy = replace(one, structures=HEART | {"scar"})
    untold = scanned(1, value=MYOPS["normal_myocardium"])  # scar is not told apart

    def found(case, _models) -> SimpleNamespace:
        labels = np.full((2, 4, 4), MYOPS["normal_myocardium"], np.uint16)
        labels[0, 1] = MYOPS["scar"]
        return SimpleNamespace(labels=labels)

    monkeypatch.setattr("myops.cascade.segment.segment", found)
    models = SimpleNamespace(learned=frozenset())
    assert tuning.measure([healthy, untold], models)["false_scar_percent"] == 12.5
    assert "false_scar_percent" not in tuning.measure([untold], models)


def test_the_chosen_odds_of_scar_are_those_that_the_adapted_weights_decide_with(
    memory, tmp_path, monkeypatch
):
    """`synthetic` decides at 2; what is best at 8 is used at 8."""

    def compare(_cases, models) -> dict[str, float]:
        odds = CascadeConfig.of(load_models("cpu", str(models))).scar_odds
        return {"scar": 0.5 + odds / 100}

    monkeypatch.setattr(tuning, "measure", compare)
    result = call(EIGHT, tmp_path, model="synthetic")
    assert result.chosen == "halfway between both, scar at odds of 8"
    kept = CascadeConfig.of(load_models("cpu", str(tmp_path / "weights")))
    assert kept == replace(CascadeConfig(), scar_odds=8.0)
    monkeypatch.setattr(tuning, "measure", lambda *_: {"scar": 0.5})
    result = call(EIGHT, tmp_path, model="synthetic")
    assert result.chosen == "halfway between both"
    assert CascadeConfig.of(load_models("cpu", str(tmp_path / "weights"))) == CascadeConfig()


def rewrite(folder: Path, change) -> None:
    """A trained PRSN in a folder of weights, made by hand."""
    entry = read_manifest(folder)["prsn"]
    network = load_network("prsn", folder / entry["file"])
    with torch.no_grad():
        change(network)
    install_weights("prsn", network, folder, metadata_of(entry) | {"learned": ["a" * 64]})


def test_halfway_is_the_mean_of_before_and_after_and_says_so(tmp_path):
    root = PACKS_FOLDER / "public-hearts"
    tuning.copy_weights(root, tmp_path / "w")

    def change(network) -> None:
        network.main.head.bias += 2
        network.main.mvo.bias -= 4

    rewrite(tmp_path / "w", change)
    install_halfway("prsn", root, tmp_path / "w")
    before, mean = (load_tensors(folder / "prsn.safetensors") for folder in (root, tmp_path / "w"))
    differs = {
        name: mean[name].float() - value.float()
        for name, value in before.items()
        if not torch.allclose(mean[name].float(), value.float(), atol=1e-3)
    }
    assert set(differs) == {"main.head.bias", "main.mvo.bias"}
    assert differs["main.head.bias"].numpy() == pytest.approx(1, abs=0.01)
    assert differs["main.mvo.bias"].numpy() == pytest.approx(-2, abs=0.01)
    entry = read_manifest(tmp_path / "w")["prsn"]
    assert entry["halfway_from"] == read_manifest(root)["prsn"]["sha256"]
    assert entry["learned"] == ["a" * 64]
    load_models("cpu", str(tmp_path / "w"))


def test_an_output_that_was_not_there_before_stays_as_it_was_learned(tmp_path):
    """`synthetic` has no output for MVO: half of one would be none."""
    tuning.copy_weights(SHIPPED_FOLDER, tmp_path / "w")
    entry = read_manifest(SHIPPED_FOLDER)["prsn"]
    network = PRSN((16, 32, 64, 128), planes=3, margin=5, mvo=1)
    load_weights(SHIPPED_FOLDER / "prsn.safetensors", network)
    with torch.no_grad():
        network.main.mvo.weight += 3
        network.main.head.weight += 3
    config = entry["config"] | {"mvo": 1}
    install_weights("prsn", network, tmp_path / "w", metadata_of(entry) | {"config": config})
    install_halfway("prsn", SHIPPED_FOLDER, tmp_path / "w")
    mean = load_tensors(tmp_path / "w" / "prsn.safetensors")
    start = load_tensors(SHIPPED_FOLDER / "prsn.safetensors")
    assert mean["main.mvo.weight"].float().numpy() == pytest.approx(3)
    head = (mean["main.head.weight"].float() - start["main.head.weight"].float()).numpy()
    assert head == pytest.approx(1.5, abs=0.01)


def shipped_checksums() -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in read_manifest(SHIPPED_FOLDER).items()}


def spoil(_network: str, root: Path, adapted: Path, *_: object) -> None:
    """In a training's place: a PRSN that finds scar everywhere."""
    network = load_network("prsn", root / "prsn.safetensors")
    network.main.head.bias.data[3] += 50
    save_weights(network, adapted / "prsn.safetensors", {"network": "prsn"})
    path = adapted / "manifest.json"
    content = json.loads(path.read_text("utf-8"))
    for entry in content["networks"]:
        if entry["name"] == "prsn":
            from myops.io.checksum import file_sha256

            entry["sha256"] = file_sha256(adapted / "prsn.safetensors")
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.slow
def test_a_worse_model_is_not_kept_and_the_original_stays(site, tmp_path, monkeypatch):
    before = shipped_checksums()
    monkeypatch.setattr(tuning, "train_network", spoil)
    result = finetune(site, tmp_path, say=lambda _: None)
    assert not result.kept
    assert "scar" in result.reason
    assert result.after["scar"] < result.before["scar"] - 0.1
    assert not (tmp_path / "weights").exists()
    assert shipped_checksums() == before
    written = json.loads((tmp_path / "comparison.json").read_text("utf-8"))
    assert written["kept"] is False
    assert written["held_out"] == list(result.held_out)
    bolder = "scar at odds of 8"
    names = ("trained on", "halfway between both")
    assert set(written["tried"]) == {*names, *(f"{name}, {bolder}" for name in names)}
    assert written["after"] == written["tried"][written["chosen"]]


@pytest.mark.scheduled
def test_the_command_trains_on_and_says_how_to_use_the_result(folder, tmp_path):
    arguments = ["finetune", "--cases", str(folder), "--output", str(tmp_path / "out")]
    arguments += ["--minutes", "0.02", "--set", "workers=0", "--set", "batch_size=1"]
    arguments += ["--set", "learning_rate=1e-9", "--set", "pool_start=1", "--set", "threads=1"]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "training prsn on 3 cases" in done.output
    adapted = tmp_path / "out" / "weights"
    assert f"--model {adapted}" in done.output
    one, other = (load_tensors(place / "prsn.safetensors") for place in (SHIPPED_FOLDER, adapted))
    # At that rate nothing is learned: the adapted network has the shipped one's numbers.
    kernel = "main.head.weight"
    assert np.allclose(one[kernel].float(), other[kernel].float(), atol=1e-3)
    entry = read_manifest(adapted)["prsn"]
    assert entry["data"] == "labeled cases of cases"
    assert set(read_manifest(adapted)) == set(read_manifest(SHIPPED_FOLDER))
    # A second call trains again: what has ended is not gone on with.
    assert not (tmp_path / "out" / "training").exists()
    again = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert "prsn  finished at step 0" not in again.output
    assert read_manifest(adapted)["prsn"]["steps"] > 0


@dataclass
class Memory:
    """In a training's place: networks that remember in OUTPUT/training whom they have seen."""

    stop: bool = True  # while both models are compared
    compared: list[frozenset[str]] = field(default_factory=list)

    def train(self, network, root, adapted, folder, settings, cases) -> None:
        path = folder / "seen.json"
        seen = set(json.loads(path.read_text("utf-8"))) if path.exists() else set()
        seen |= {checksum for one in cases for checksum in one.image_checksums}
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(sorted(seen)), "utf-8")
        manifest = json.loads((adapted / "manifest.json").read_text("utf-8"))
        for entry in manifest["networks"]:
            if entry["name"] == network:
                entry["learned"] = sorted(seen | set(entry.get("learned", [])))
        (adapted / "manifest.json").write_text(json.dumps(manifest), "utf-8")

    def compare(self, held_out, models) -> dict[str, float]:
        if self.stop:
            raise KeyboardInterrupt
        known = learned_from(read_manifest(models))
        self.compared += [known & one.image_checksums for one in held_out]
        return {"scar": 0.5}


@pytest.fixture
def memory(monkeypatch) -> Memory:
    memory = Memory()
    monkeypatch.setattr(tuning, "train_network", memory.train)
    monkeypatch.setattr(tuning, "measure", memory.compare)
    monkeypatch.setattr(tuning, "load_models", lambda _device, folder: Path(folder))
    return memory


def scanned(number: int, name: str = "", value: int = MYOPS["scar"]) -> LabeledCase:
    """A patient of one LGE, known by its number."""
    voxels = np.random.default_rng(number).normal(size=(2, 4, 4))
    labels = np.full((2, 4, 4), value, np.uint16)
    images = {"lge": sitk.GetImageFromArray(voxels)}
    return LabeledCase("approved", name or f"{number}", images, labels, np.ones(2, bool), HEART)


def call(cases, output, say=None, model="default", **settings) -> Comparison:
    return finetune(cases, output, FinetuneConfig(**settings), say or (lambda _: None), model)


def interrupted(memory, cases, output, **settings) -> None:
    memory.stop = True
    with pytest.raises(KeyboardInterrupt):
        call(cases, output, **settings)
    memory.stop = False


EIGHT = [scanned(number) for number in range(8)]
CHANGES = {
    "one case more": ([*EIGHT, scanned(8)], {}),
    "one case less": (EIGHT[1:], {}),
    "another seed": (EIGHT, {"seed": 3}),
    "a larger share held out": (EIGHT, {"held_out": 0.5}),
    "another order": (EIGHT[::-1], {}),
    "others under the same names": ([scanned(k + 4, f"{k}") for k in range(8)], {}),
    "names exchanged": ([scanned(k, f"{7 - k}") for k in range(8)][::-1], {}),
    "a corrected label": ([scanned(0, value=500), *EIGHT[1:]], {}),
    "another learning rate": (EIGHT, {"learning_rate": 1e-5}),
    "another setting": (EIGHT, {"settings": {"jitter": "2"}}),
    "other networks and another seed": (EIGHT, {"networks": ("assn", "prsn"), "seed": 3}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_after_an_interruption_nothing_held_out_was_ever_learned_from(change, memory, tmp_path):
    cases, settings = CHANGES[change]
    interrupted(memory, EIGHT, tmp_path)
    said: list[str] = []
    result = call(cases, tmp_path, said.append, **settings)
    assert any("starting anew" in line for line in said)
    assert memory.compared and not any(memory.compared)
    # What is kept says whom it has learned from, and these are all the others.
    by_name = {one.name: one.image_checksums for one in cases}
    others = [sums for name, sums in by_name.items() if name not in result.held_out]
    kept = learned_from(read_manifest(tmp_path / "weights"))
    assert kept == frozenset().union(*others)


@pytest.mark.parametrize(
    ("cases", "settings"),
    [
        (EIGHT, {}),
        (EIGHT, {"minutes": 30.0}),
        ([scanned(k, f"new name {k}") for k in range(8)], {}),
    ],
)
def test_an_interrupted_training_of_the_same_cases_goes_on(cases, settings, memory, tmp_path):
    interrupted(memory, EIGHT, tmp_path)
    marker = tmp_path / "training" / "prsn" / "marker"
    marker.touch()
    interrupted(memory, cases, tmp_path, **settings)
    assert marker.exists()
    said: list[str] = []
    call(cases, tmp_path, said.append, **settings)
    assert any("going on with the interrupted training" in line for line in said)
    assert memory.compared and not any(memory.compared)
    assert not (tmp_path / "training").exists()


def test_a_training_that_does_not_say_what_it_learned_from_is_not_gone_on_with(memory, tmp_path):
    interrupted(memory, EIGHT, tmp_path)
    (tmp_path / "training" / "plan.json").write_text("{", "utf-8")
    said: list[str] = []
    call(EIGHT, tmp_path, said.append, seed=3)
    assert any("starting anew" in line for line in said)
    assert not any(memory.compared)


def test_a_case_that_the_model_has_learned_from_is_never_held_out(memory, tmp_path):
    memory.stop = False
    first = call(EIGHT, tmp_path / "first")
    adapted = str(tmp_path / "first" / "weights")
    known = {one.name for one in EIGHT} - set(first.held_out)
    for seed in range(6):
        said: list[str] = []
        # Half would be four cases: only the two that are new to the model can be compared on.
        output = tmp_path / f"again{seed}"
        second = call(EIGHT, output, said.append, adapted, seed=seed, held_out=0.5)
        assert set(second.held_out) == set(first.held_out)
        (line,) = (line for line in said if line.startswith("not held out, since"))
        assert {name.strip() for name in line.partition(":")[2].split(",")} == known
    assert not any(memory.compared)


def test_patients_whom_a_pack_does_not_suit_start_from_the_other_pack(memory, tmp_path):
    memory.stop = False
    said: list[str] = []
    call(EIGHT, tmp_path / "alone", said.append, "public-hearts")
    assert not any("is not meant for" in line for line in said)  # LGE alone
    pairs = [replace(one, images=one.images | {"t2": one.images["lge"]}) for one in EIGHT]
    call(pairs, tmp_path / "pairs", said.append, "public-hearts")
    message = "public-hearts is not meant for all of these cases: starting from synthetic"
    assert message in said


def test_patients_without_lge_adapt_the_prsn_that_they_are_segmented_with():
    root = PACKS_FOLDER / "public-hearts"
    cine = [replace(one, images={"bssfp": one.images["lge"]}) for one in EIGHT]
    assert tuning._part("prsn", root, cine) == "prsn_cine"
    assert tuning._part("prsn", root, [*cine, EIGHT[0]]) == "prsn"
    assert tuning._part("assn", root, cine) == "assn"
    assert tuning._part("prsn", SHIPPED_FOLDER, cine) == "prsn"  # has one for all


def test_a_model_that_knows_every_case_with_scar_is_not_compared_at_all(memory, tmp_path):
    memory.stop = False
    first = call(EIGHT, tmp_path / "first")
    known = [one for one in EIGHT if one.name not in first.held_out]
    new = [scanned(20 + k, value=MYOPS["normal_myocardium"]) for k in range(3)]
    with pytest.raises(
        InputError, match="expected a case with scar that the model has not learned"
    ):
        call([*known, *new], tmp_path / "next", model=str(tmp_path / "first" / "weights"))
    assert not (tmp_path / "next").exists()


def test_weights_of_an_earlier_version_that_learned_from_unnamed_cases_are_refused(
    memory, tmp_path
):
    memory.stop = False
    call(EIGHT, tmp_path / "first")
    path = tmp_path / "first" / "weights" / "manifest.json"
    content = json.loads(path.read_text("utf-8"))
    for entry in content["networks"]:
        if entry.pop("learned", None):
            entry["config"]["cases"] = "out/cases"  # as they were written
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(InputError, match="comes from an earlier version that did not"):
        call(EIGHT, tmp_path / "next", model=str(path.parent))


def test_the_same_patient_under_two_names_is_on_one_side_and_named(memory, tmp_path):
    memory.stop = False
    twice = [*EIGHT, scanned(2, "copy of 2"), scanned(5, "copy of 5", value=500)]
    for seed in range(8):
        said: list[str] = []
        result = call(twice, tmp_path, said.append, seed=seed)
        for number in ("2", "5"):
            sides = {name in result.held_out for name in (number, f"copy of {number}")}
            assert len(sides) == 1
            assert any(line.startswith(f"{number}, copy of {number} are one") for line in said)
    assert not any(memory.compared)
    with pytest.raises(InputError, match="expected at least 4 corrected cases, found 3"):
        call([*EIGHT[:3], scanned(1, "again")], tmp_path)


@pytest.mark.parametrize("how", ["weights", "./weights/../weights", "link", "training/tried"])
def test_the_model_that_is_started_from_is_never_changed(how, memory, tmp_path):
    memory.stop = False
    call(EIGHT, tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "weights")
    if how == "training/tried":
        shutil.copytree(tmp_path / "weights", tmp_path / how)
    model = tmp_path / how
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    with pytest.raises(InputError, match="which is never changed"):
        call([*EIGHT, scanned(8)], tmp_path, model=str(model))
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before
    # Beside it the next one is made.
    call([*EIGHT, scanned(8)], tmp_path / "next", model=str(tmp_path / "weights"))
    assert (tmp_path / "next" / "weights" / "manifest.json").exists()


def test_the_shipped_weights_are_no_place_for_adapted_ones(memory):
    before = shipped_checksums()
    with pytest.raises(InputError, match="which is never changed"):
        call(EIGHT, PACKS_FOLDER.parents[1])
    assert shipped_checksums() == before


@pytest.mark.parametrize("name", ["training", "weights"])
def test_folders_of_others_are_not_deleted(name, memory, tmp_path):
    """A data set may call its own folder so: ACDC has a folder training."""
    patient = tmp_path / name / "patient001" / "patient001_frame01.nii.gz"
    patient.parent.mkdir(parents=True)
    patient.touch()
    with pytest.raises(InputError, match="found patient001; name another --output"):
        call(EIGHT, tmp_path)
    assert patient.exists()
    assert not (tmp_path / "comparison.json").exists()


@pytest.mark.parametrize("name", ["cases", "tried"])
def test_what_lies_beside_stays(name, memory, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / name / "a_gd.nii.gz").touch()
    memory.stop = False
    call(EIGHT, tmp_path)
    assert (tmp_path / name / "a_gd.nii.gz").exists()


@pytest.mark.parametrize("name", ["start", "cases", "case_names"])
def test_settings_that_would_replace_the_cases_or_the_model_are_refused(name, memory, tmp_path):
    with pytest.raises(InputError, match=f"found the setting {name}, which would replace them"):
        call(EIGHT, tmp_path, settings={name: "x"})


def test_models_are_not_compared_on_cases_that_they_have_learned_from():
    models = SimpleNamespace(learned=EIGHT[3].image_checksums)
    with pytest.raises(InputError, match="expected cases that the model has not learned from"):
        tuning.measure(EIGHT, models)


ONE_STEP = {"minutes": "0", "steps": "1", "workers": "0", "batch_size": "1", "pool_start": "1"}
ONE_STEP |= {"threads": "1", "device": "cpu", "learning_rate": "1e-9"}


@pytest.mark.slow
def test_networks_that_were_really_trained_and_interrupted_have_not_seen_what_they_are_compared_on(
    site, tmp_path, monkeypatch
):
    """As in the audit: stopped while comparing, then another seed."""
    seen: list[frozenset[str]] = []

    def stop(*_: object) -> dict[str, float]:
        raise KeyboardInterrupt

    def note(cases, models) -> dict[str, float]:
        seen.extend(models.learned & one.image_checksums for one in cases)
        return {"scar": 0.5}

    config = FinetuneConfig(settings=ONE_STEP)
    other = replace(config, seed=1)
    assert split_cases(site, config)[1] != split_cases(site, other)[1]
    monkeypatch.setattr(tuning, "measure", stop)
    with pytest.raises(KeyboardInterrupt):
        finetune(site, tmp_path, config, lambda _: None)
    assert (tmp_path / "training" / "prsn" / "checkpoint.pt").exists()
    monkeypatch.setattr(tuning, "measure", note)
    result = finetune(site, tmp_path, other, lambda _: None)
    assert len(seen) == 5 and not any(seen)  # before, trained on, halfway, and both at other odds
    learned, _ = split_cases(site, other)
    entry = read_manifest(tmp_path / "weights")["prsn"]
    assert set(entry["learned"]) == {one for case in learned for one in case.image_checksums}
    assert not set(entry["learned"]) & site_checksums(site, result.held_out)


def site_checksums(site: list[LabeledCase], names: tuple[str, ...]) -> set[str]:
    return {one for case in site if case.name in names for one in case.image_checksums}


def approve(study: Path, one: LabeledCase, labels_of_case, status: str = "approved") -> None:
    """A reader opens the case, corrects it and gives it a status."""
    case = case_from_images(one.images, one.name)
    truth, _ = one.truth_for(case)
    start = Segmentation(
        labels=np.zeros_like(truth),
        geometry=case.geometry,
        probabilities={name: np.zeros(truth.shape, np.float32) for name in ("lv_region", "scar")},
        uncertainty=np.zeros(truth.shape, np.float32),
        assessed=frozenset({"scar", "edema"}),
        model={},
        seconds={},
        warnings=(),
    )
    session = Session(NoRefiner(), case, start)
    session.accept_labels(labels_of_case(truth), "drawn")
    path = write_case_file(study, CaseFile(one.name, "AB").with_status(status))
    save_state(path.parent / "state.npz", session)


def test_approved_cases_come_with_the_readers_labels_on_the_files_grid(site, folder, tmp_path):
    def without_edema(labels: np.ndarray) -> np.ndarray:
        return np.where(labels == MYOPS["edema"], MYOPS["normal_myocardium"], labels)

    approve(tmp_path, site[0], without_edema)
    approve(tmp_path, site[1], without_edema, status="corrected")
    (found,) = approved_cases(tmp_path, folder)
    assert found.name == site[0].name
    assert set(found.images) == {"bssfp", "lge", "t2"}
    assert np.array_equal(found.labels, without_edema(site[0].labels))


def test_the_reading_approved_last_counts_whatever_the_time_zones(tmp_path, monkeypatch):
    monkeypatch.setattr("myops.worklist.approved._labeled", lambda name, path, *_: path)
    monkeypatch.setattr("myops.worklist.approved.find_patients", lambda _: ())
    last = datetime(2026, 1, 1, 10, 0, tzinfo=timezone.utc)
    # 9:30 in London, although its text is the greater one.
    earlier = datetime(2026, 1, 1, 10, 30, tzinfo=timezone(timedelta(hours=1)))
    for reader, at in (("AB", last), ("CD", earlier)):
        write_case_file(tmp_path, CaseFile("P1", reader).with_status("approved", at))
    (path,) = approved_cases(tmp_path, tmp_path)
    assert path.parts[-3] == "AB"


def test_a_study_without_approved_cases_or_without_their_images_is_refused(site, folder, tmp_path):
    with pytest.raises(InputError, match="expected cases with the status approved, found none"):
        approved_cases(tmp_path, folder)
    renamed = replace(site[0], name="somebody else")
    approve(tmp_path, renamed, lambda labels: labels)
    with pytest.raises(InputError, match="expected the images of somebody else"):
        approved_cases(tmp_path, folder)


def test_images_that_are_not_those_that_were_read_are_refused(site, folder, tmp_path):
    images = dict(site[0].images)
    images["lge"], images["bssfp"] = images["bssfp"], images["lge"]
    exchanged = replace(site[0], images=images)
    approve(tmp_path, exchanged, lambda labels: labels)
    with pytest.raises(InputError, match="expected the images that were read and approved"):
        approved_cases(tmp_path, folder)
