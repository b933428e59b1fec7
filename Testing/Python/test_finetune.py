"""Learning from a site's corrected cases: what is learned from, compared, kept or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from myops import finetune as tuning
from myops.case import case_from_images
from myops.cli import cli
from myops.datasets import LabeledCase, find_cases
from myops.errors import InputError
from myops.finetune import FinetuneConfig, finetune, split_cases, why_worse
from myops.labels import MYOPS, scar
from myops.phantom.files import write_cohort
from myops.phantom.patient import PhantomConfig
from myops.refine.no_refiner import NoRefiner
from myops.refine.saved import save_state
from myops.refine.session import Session
from myops.segmentation import Segmentation
from myops.weights import SHIPPED_FOLDER, load_network, load_tensors, read_manifest, save_weights
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
        learned, held_back = split_cases(cases, FinetuneConfig(seed=seed))
        assert sorted(case.name for case in learned + held_back) == sorted(c.name for c in cases)
        assert len(held_back) == 3
        assert any(scar(case.labels).any() for case in learned)
        assert any(scar(case.labels).any() for case in held_back)


def test_scar_in_one_case_alone_is_too_little_to_compare():
    with pytest.raises(
        InputError, match=r"expected scar in at least 2 of 5 cases .* found it in 1"
    ):
        split_cases([labeled(f"{k}", scarred=k == 2) for k in range(5)], FinetuneConfig())


def test_too_few_cases_and_unknown_networks_are_refused(site, tmp_path):
    with pytest.raises(InputError, match="expected at least 4 corrected cases, found 3"):
        finetune(site[:3], tmp_path)
    with pytest.raises(InputError, match="expected networks among assn, prsn, found dae"):
        finetune(site, tmp_path, FinetuneConfig(networks=("dae", "prsn")))


def test_worse_in_one_structure_is_worse_and_chance_is_not():
    before = {"scar": 0.60, "myocardium": 0.80}
    assert why_worse(before, {"scar": 0.70, "myocardium": 0.797}) == ""
    assert "myocardium 0.800 -> 0.780" in why_worse(before, {"scar": 0.70, "myocardium": 0.78})


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
            from myops.checksum import file_sha256

            entry["sha256"] = file_sha256(adapted / "prsn.safetensors")
    path.write_text(json.dumps(content), encoding="utf-8")


def test_a_worse_model_is_not_kept_and_the_original_stays(site, tmp_path, monkeypatch):
    before = shipped_checksums()
    monkeypatch.setattr(tuning, "_train", spoil)
    result = finetune(site, tmp_path, say=lambda _: None)
    assert not result.kept
    assert "scar" in result.reason
    assert result.after["scar"] < result.before["scar"] - 0.1
    assert not (tmp_path / "weights").exists()
    assert shipped_checksums() == before
    written = json.loads((tmp_path / "comparison.json").read_text("utf-8"))
    assert written["kept"] is False
    assert written["held_back"] == list(result.held_back)


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
    exchanged = replace(site[0], images=dict(site[0].images) | {"lge": site[0].images["bssfp"]})
    approve(tmp_path, exchanged, lambda labels: labels)
    with pytest.raises(InputError, match="expected the images that were read and approved"):
        approved_cases(tmp_path, folder)
