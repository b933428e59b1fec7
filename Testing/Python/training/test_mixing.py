"""Trainings that draw from several kinds of patients, and never from those held out."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from myops.datasets import LabeledCase, find_cases
from myops.errors import InputError
from myops.labels import MVO, lv_region
from myops.networks.build import build_prsn
from myops.phantom.files import write_cohort
from myops.phantom.patient import PhantomConfig
from myops.training import loop
from myops.training.checkpoint import add_mvo, learned_by, read_checkpoint, stored_config
from myops.training.config import PrsnConfig, make_config
from myops.training.data import cases, feed, finders, mixing
from myops.training.export import provenance
from myops.training.stages import prsn

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
    write_cohort(970_200, 3, folder, drawn)
    return folder


@pytest.fixture(scope="module")
def labeled(cohort) -> list[LabeledCase]:
    return list(find_cases(cohort))


def test_shares_are_made_to_sum_to_1_and_a_folder_may_hold_a_colon():
    found = mixing.parse_mix("phantoms:2, C:/data/emidec:1,acdc:1")
    assert found == [("phantoms", 0.5), ("C:/data/emidec", 0.25), ("acdc", 0.25)]


@pytest.mark.parametrize(
    "text", ["phantoms", "phantoms:x", "phantoms:0", "a:-1,b:2", ":1", "a:nan"]
)
def test_a_mixture_without_shares_above_0_is_refused(text):
    with pytest.raises(InputError, match="mix expects kinds with shares above 0"):
        mixing.parse_mix(text)


def test_a_kind_named_twice_or_too_rare_is_refused():
    with pytest.raises(InputError, match="found a twice"):
        mixing.parse_mix("a:1,a:1")
    with pytest.raises(InputError, match="found b below a hundredth"):
        mixing.parse_mix("a:1,b:0.001")


def named_patients(name: str):
    return lambda index: (f"{name}{index}", np.random.default_rng(index))


def test_every_round_of_100_holds_the_kinds_by_their_shares_and_each_kind_in_its_own_order():
    mixture = mixing.Mixture((0.5, 0.3, 0.2), tuple(named_patients(n) for n in "abc"))
    seen = [mixture(index)[0] for index in range(200)]
    assert Counter(name[0] for name in seen[:100]) == {"a": 50, "b": 30, "c": 20}
    assert Counter(name[0] for name in seen[100:]) == {"a": 50, "b": 30, "c": 20}
    assert [name for name in seen if name[0] == "c"] == [f"c{number}" for number in range(40)]
    assert [seen[index][0] for index in range(200)] == [
        "abc"[mixture.kind_of(index)] for index in range(200)
    ]
    assert Counter(name[0] for name in seen[:10]) == {"a": 5, "b": 3, "c": 2}  # spread evenly


def test_batches_hold_the_kinds_by_their_shares_however_many_patients_there_are():
    pool = feed.SlicePool(8, (0.75, 0.25))
    for _ in range(8):
        pool.add({"present": np.zeros((3, 1))}, kind=0)
    assert not pool.is_ready(4)  # no patient of the second kind yet
    pool.add({"present": np.ones((5, 1))}, kind=1)
    assert pool.is_ready(4) and not pool.is_ready(10)
    drawn = pool.draw(4000, np.random.default_rng(0))["present"]
    # A share of 0.25 over 4000 draws has a standard deviation of 0.0068.
    assert float(drawn.mean()) == pytest.approx(0.25, abs=0.03)


def test_the_oldest_patient_of_a_full_kind_leaves_and_the_other_kind_stays():
    pool = feed.SlicePool(1, (0.5, 0.5))
    pool.add({"present": np.full((1, 1), 7)}, kind=1)
    for number in range(3):
        pool.add({"present": np.full((1, 1), number)}, kind=0)
    drawn = pool.draw(64, np.random.default_rng(0))["present"]
    assert set(drawn.flatten().tolist()) == {2, 7}


@pytest.mark.slow
@pytest.mark.slow
def test_a_patient_held_out_under_another_name_is_not_learned_from(labeled, tmp_path, cohort):
    held = tmp_path / "held"
    held.mkdir()
    for file in sorted(cohort.glob(f"*{labeled[1].name.removeprefix('Case_')}*")):
        (held / file.name).symlink_to(file)
    renamed = [replace(one, name=f"other{k}") for k, one in enumerate(labeled)]
    said: list[str] = []
    folder = held if any(held.iterdir()) else cohort
    kept = cases.without_patients_of([folder], renamed, said.append)
    wanted = {one.name for one in find_cases(folder)}
    left = [f"other{k}" for k, one in enumerate(labeled) if one.name not in wanted]
    assert [one.name for one in kept] == left
    assert len(said) == len(wanted)


@pytest.mark.slow
def test_all_patients_held_out_leave_nothing_to_train_on(cohort):
    config = make_config("prsn", TINY | {"cases": str(cohort), "held_out": str(cohort)})
    with pytest.raises(InputError, match="at least two labeled cases to train on, found 0"):
        cases.training_cases(config)


def test_mix_beside_cases_is_refused(cohort):
    config = make_config("prsn", TINY | {"cases": str(cohort), "mix": "phantoms:1"})
    with pytest.raises(InputError, match="expected mix or cases, found both"):
        mixing.training_mixture(loop.STAGES["prsn"], config)


def test_a_mixture_of_folders_without_any_scar_is_refused(cohort, labeled, monkeypatch):
    patients = [cases.case_patient(one) for one in labeled]
    healthy = [replace(one, labels=np.minimum(one.labels, 500)) for one in patients]
    monkeypatch.setattr(mixing, "training_cases", lambda *_: healthy)
    config = make_config("prsn", TINY | {"mix": f"{cohort}:1"})
    with pytest.raises(InputError, match="expected scar in at least one of 3 cases"):
        mixing.training_mixture(loop.STAGES["prsn"], config)
    with_phantoms = make_config("prsn", TINY | {"mix": f"{cohort}:1,phantoms:1"})
    assert len(mixing.training_mixture(loop.STAGES["prsn"], with_phantoms).sources) == 2


@pytest.mark.slow
def test_a_training_on_a_mixture_records_shares_images_and_no_places(cohort, labeled, tmp_path):
    path = loop.train("assn", TINY | {"mix": f"phantoms:1,{cohort}:3", "dae_weight": "0"}, tmp_path)
    checksums = frozenset().union(*(one.image_checksums for one in labeled))
    assert learned_by(path) == checksums
    content = read_checkpoint(path)
    told = provenance(content, stored_config(content))
    assert told["data"] == f"a mixture of 25% phantoms, 75% {cohort.name}"
    assert told["config"]["mix"] == f"phantoms:0.25,{cohort.parent.name}/{cohort.name}:0.75"
    assert str(cohort) not in json.dumps(told)
    older = json.dumps({"held_back": str(cohort)})
    told = provenance(content | {"config": older}, stored_config(content))
    assert told["config"] == {"held_out": f"{cohort.parent.name}/{cohort.name}"}


# Regions that an ASSN finds


def test_each_case_is_given_to_weights_that_have_not_learned_from_it(monkeypatch):
    case = SimpleNamespace(name="A")
    asked = []
    monkeypatch.setattr(
        "myops.cascade.segment.find_region", lambda _case, models: asked.append(models) or "region"
    )
    one, other = (SimpleNamespace(learned=frozenset({name})) for name in ("a", "b"))
    assert finders.found_region(case, frozenset({"a"}), [one, other]) == "region"
    assert asked == [other]
    with pytest.raises(InputError, match="expected finders of which one has not learned"):
        finders.found_region(case, frozenset({"a", "b"}), [one, other])
    assert finders.found_region(case, frozenset({"a"}), []) is None


@pytest.mark.slow
def test_the_shipped_weights_find_a_region_near_the_true_one(labeled):
    patient = cases.case_patient(labeled[0], finders.load_finders("default"))
    assert patient.found is not None
    true = lv_region(patient.labels)
    both = 2 * (patient.found & true).sum() / (patient.found.sum() + true.sum())
    assert 0.8 < both < 1


def test_prsn_is_shown_the_found_region_with_its_margin_and_square(labeled):
    patient = cases.case_patient(labeled[0])
    found = np.zeros(patient.labels.shape, bool)
    found[2:5, 100:140, 110:150] = True  # far from the truth, so that it is recognized
    config = make_config("prsn", {"size": "48", "margin": "2", "found_share": "1"})
    assert isinstance(config, PrsnConfig)
    rng = np.random.default_rng(0)
    _, region = prsn.region_to_see(replace(patient, found=found), rng, config)
    assert region is not None
    assert region.any(axis=(1, 2)).tolist() == found.any(axis=(1, 2)).tolist()
    assert prsn.region_to_see(patient, rng, config)[1] is None
    never = replace(config, found_share=0.0)
    assert prsn.region_to_see(replace(patient, found=found), rng, never)[1] is None


# Microvascular obstruction


def test_a_prsn_with_mvo_answers_as_the_one_that_it_starts_from_and_begins_at_one_in_eight():
    torch.manual_seed(0)
    old, new = build_prsn(widths=(4, 4)).eval(), build_prsn(widths=(4, 4), mvo=1).eval()
    new.load_state_dict(add_mvo(old.state_dict(), new))
    images, present = torch.rand(2, 3, 16, 16), torch.ones(2, 3)
    before, after = old(images, present), new(images, present)
    assert torch.equal(before["main"], after["main"])
    assert "mvo" not in before
    mean = float(torch.sigmoid(after["mvo"]).detach().mean())
    assert mean == pytest.approx(1 / (1 + np.exp(2.0)), abs=1e-6)


def batch_with_mvo() -> dict[str, torch.Tensor]:
    """One slice of 1 x 4 pixels: three of scar, the first of them MVO, and one that is none."""
    labels = torch.tensor([prsn.SCAR, prsn.SCAR, prsn.SCAR, prsn.NORMAL]).reshape(1, 1, 1, 4)
    return {
        "labels": labels,
        "mvo": torch.tensor([1, 0, 0, 0]).reshape(1, 1, 1, 4),
        "present": torch.ones(1, 3),
    }


def test_the_loss_of_mvo_counts_the_pixels_of_scar_alone():
    batch, inside = batch_with_mvo(), torch.ones(1, 1, 1, 4)
    logits = torch.tensor([0.0, 0.0, 0.0, 9.0]).reshape(1, 1, 1, 4)
    # Cross-entropy of 1/2 is log 2 in each of the three; what stands in the fourth is not seen.
    seen = prsn.mvo_loss(logits, batch, inside)
    other = prsn.mvo_loss(logits.clone().index_fill(3, torch.tensor([3]), -9.0), batch, inside)
    assert seen == pytest.approx(float(other), abs=1e-6)
    right = torch.tensor([20.0, -20.0, -20.0, 0.0]).reshape(1, 1, 1, 4)
    assert prsn.mvo_loss(right, batch, inside) < 0.1 < np.log(2) < seen


def test_without_lge_mvo_teaches_nothing():
    batch = batch_with_mvo() | {"present": torch.tensor([[1.0, 0.0, 1.0]])}
    logits = torch.zeros(1, 1, 1, 4, requires_grad=True)
    prsn.mvo_loss(logits, batch, torch.ones(1, 1, 1, 4)).backward()
    assert logits.grad is not None and not logits.grad.any()


def test_slices_hold_mvo_where_the_labels_mark_it(labeled):
    labels = labeled[0].labels.copy()
    rows = np.argwhere(labels == 2221)[:20]
    labels[tuple(rows.T)] = MVO
    patient = cases.case_patient(replace(labeled[0], labels=labels))
    config = make_config("prsn", {"size": "80", "mvo": "1"})
    slices = prsn.prepare(patient, np.random.default_rng(0), config)
    assert len(slices["mvo"]) == len(slices["labels"]) == len(slices["images"])
    assert slices["mvo"].any()
    assert (slices["labels"][slices["mvo"] > 0] == prsn.SCAR).all()
    none = make_config("prsn", {"size": "80"})
    assert "mvo" not in prsn.prepare(patient, np.random.default_rng(0), none)
