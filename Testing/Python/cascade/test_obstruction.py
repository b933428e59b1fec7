"""Microvascular obstruction: told from the rest of the scar where the weights tell it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from myops.cascade.postprocessing import mark_obstruction
from myops.cascade.segment import CascadeConfig, segment
from myops.errors import InputError
from myops.labels import MVO, MYOPS
from myops.phantom.files import write_patient
from myops.phantom.patient import PhantomConfig, generate_patient
from myops.quantify.measure import measure
from myops.weights.files import decision_of, load_models
from myops.weights.packs import FREE_PACK, PACKS_FOLDER


def stack_of_scar() -> tuple[np.ndarray, np.ndarray]:
    """A block of scar of 3 x 6 x 6 voxels with a dark core of 8 voxels and a lone dark voxel."""
    labels = np.zeros((3, 8, 8), np.uint16)
    labels[:, 1:7, 1:7] = MYOPS["scar"]
    labels[0, 0, 0] = MYOPS["normal_myocardium"]
    obstruction = np.zeros(labels.shape)
    obstruction[1:, 2:4, 2:4] = 0.9
    obstruction[0, 6, 6] = 0.9
    obstruction[0, 0, 0] = 0.9  # not scar
    return labels, obstruction


def test_dark_islands_of_scar_are_marked_and_small_ones_stay_scar() -> None:
    labels, obstruction = stack_of_scar()
    # Voxels of 0.02 mL: the core of 8 has 0.16 mL, the lone one 0.02.
    marked = mark_obstruction(labels, obstruction, 0.02, 0.1)
    assert (marked == MVO).sum() == 8
    assert marked[0, 6, 6] == MYOPS["scar"]
    assert marked[0, 0, 0] == MYOPS["normal_myocardium"]
    assert (mark_obstruction(labels, obstruction, 0.02, 0.0) == MVO).sum() == 9
    assert (mark_obstruction(labels, obstruction, 0.02, 1.0) == labels).all()


def test_labels_without_scar_have_no_obstruction() -> None:
    labels = np.full((2, 3, 3), MYOPS["normal_myocardium"], np.uint16)
    assert (mark_obstruction(labels, np.ones(labels.shape), 0.02, 0.0) == labels).all()


class TellsMvo(torch.nn.Module):
    """A PRSN with an output for MVO that is sure of it in the upper half of its square."""

    planes, margin, mvo = 1, 0, 1

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.planes, self.margin = inner.planes, inner.margin

    def forward(self, candidates: torch.Tensor, present: torch.Tensor) -> dict[str, torch.Tensor]:
        found = self.inner(candidates, present)
        logits = torch.full_like(found["main"][:, :1], -9.0)
        logits[:, :, : logits.shape[2] // 2] = 9.0
        return {**found, "mvo": logits}


@pytest.fixture(scope="module")
def infarct(tmp_path_factory):
    from myops.case import load_case_folder

    folder = tmp_path_factory.mktemp("infarct")
    drawn = PhantomConfig(dropout=False, normal_share=0.0, acute_share=1.0)
    write_patient(generate_patient(970_300, drawn), folder)
    return load_case_folder(folder)


@pytest.mark.slow
def test_weights_that_tell_mvo_make_it_a_number_and_part_of_scar(infarct) -> None:
    models = load_models("cpu", name=FREE_PACK)
    config = CascadeConfig(flips=False)
    plain = segment(infarct, models, config=config)
    told = segment(infarct, replace(models, prsn=TellsMvo(models.prsn)), config=config)
    before, after = (measure(infarct, one).tissues for one in (plain, told))
    assert before["mvo"].mass_g is None and "not assessed" in str(before["mvo"].reason)
    assert "mvo" in told.assessed and "mvo" not in plain.assessed
    assert (told.labels == MVO).any() == bool(after["mvo"].mass_g)
    assert after["scar"].mass_g == pytest.approx(before["scar"].mass_g)  # MVO is part of scar


def test_weights_may_state_the_decision_that_they_were_measured_with(tmp_path) -> None:
    shutil.copytree(PACKS_FOLDER / FREE_PACK, tmp_path / "weights")
    path = tmp_path / "weights" / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    assert CascadeConfig.of(load_models("cpu", name=FREE_PACK)) == CascadeConfig()
    path.write_text(json.dumps(content | {"decision": {"scar_odds": 1.5}}), encoding="utf-8")
    models = load_models("cpu", str(tmp_path / "weights"))
    assert CascadeConfig.of(models) == CascadeConfig(scar_odds=1.5)
    for wrong in ({"scar_odds": -1}, {"chunk": 4}, {"scar_odds": "2"}, [1]):
        path.write_text(json.dumps(content | {"decision": wrong}), encoding="utf-8")
        with pytest.raises(InputError, match="expected numbers for some of scar_odds"):
            decision_of(tmp_path / "weights")
