"""Packs of weights: their terms, and which of them is in use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from circle_heart import circle_case
from click.testing import CliRunner

from myops.cascade.segment import CascadeConfig, segment
from myops.case import case_from_images
from myops.cli import cli
from myops.errors import InputError
from myops.patients.provenance import Inputs
from myops.phantom.patient import PhantomConfig, generate_patient
from myops.report.wording import reached_words, weights_words
from myops.weights.files import (
    load_models,
    load_network,
    model_folder,
    read_manifest,
    suited_models,
)
from myops.weights.packs import (
    FREE_PACK,
    LICENSE_FILE,
    MANIFEST,
    PACKS_FOLDER,
    choose_pack,
    chosen_pack,
    default_pack,
    name_adapted_pack,
    read_pack,
    shipped_packs,
)


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("MYOPS_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("MYOPS_MODEL", raising=False)


@pytest.fixture
def pack(tmp_path) -> Path:
    """A copy of the free pack's terms, without networks."""
    folder = tmp_path / "copied"
    folder.mkdir()
    for name in (MANIFEST, LICENSE_FILE):
        shutil.copy(PACKS_FOLDER / FREE_PACK / name, folder / name)
    return folder


def as_image(voxels: np.ndarray, spacing_mm: tuple[float, float, float]) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing_mm)
    return image


def change(folder: Path, **values: object) -> None:
    path = folder / MANIFEST
    content = json.loads(path.read_text(encoding="utf-8")) | values
    path.write_text(json.dumps(content), encoding="utf-8")


def two_packs(root: Path, pack: Path) -> Path:
    for name in ("synthetic", "public-hearts"):
        shutil.copytree(pack, root / name)
        terms = {"name": name, "learned_from": "x", "license": "y", "terms": "z."}
        change(root / name, pack=terms)
    return root


def test_every_shipped_pack_states_its_terms_has_a_card_and_all_its_networks() -> None:
    packs = shipped_packs()
    assert FREE_PACK in packs
    for name, one in packs.items():
        assert one.name == name
        assert one.terms.endswith(".") and one.license and one.learned_from
        assert "scar Dice" in one.measured
        assert (one.folder / "MODEL_CARD.md").is_file()
        networks = read_manifest(one.folder)
        assert {"heartfinder", "assn", "prsn", "clickhead"} <= set(networks)
        assert all((one.folder / entry["file"]).is_file() for entry in networks.values())


def test_the_free_pack_has_learned_from_nobody_and_others_say_from_whom() -> None:
    for name, one in shipped_packs().items():
        learned = load_models("cpu", name=name).learned
        assert bool(learned) == (name != FREE_PACK)
        assert bool(one.attribution) == (name != FREE_PACK)


def test_the_weights_together_are_below_40_mb() -> None:
    sizes = [path.stat().st_size for path in PACKS_FOLDER.rglob("*") if path.is_file()]
    assert sum(sizes) < 40e6


def test_a_pack_without_its_license_is_refused(pack) -> None:
    (pack / LICENSE_FILE).unlink()
    with pytest.raises(InputError, match="expected the license of these weights in LICENSE.txt"):
        read_pack(pack)


def test_a_manifest_of_another_version_is_refused(pack) -> None:
    change(pack, version=2)
    with pytest.raises(InputError, match="expected a manifest of version 1, found 2"):
        read_pack(pack)
    with pytest.raises(InputError, match="expected a manifest of version 1, found 2"):
        read_manifest(pack)


@pytest.mark.parametrize("terms", [None, [], {"name": "x"}])
def test_a_pack_that_states_no_terms_is_refused(pack, terms) -> None:
    change(pack, pack=terms)
    with pytest.raises(InputError, match="expected the terms of the weights under pack"):
        read_pack(pack)


def test_the_first_pack_is_in_use_until_another_is_chosen(tmp_path, pack, monkeypatch) -> None:
    root = two_packs(tmp_path / "packs", pack)
    monkeypatch.setattr("myops.weights.packs.PACKS_FOLDER", root)
    assert list(shipped_packs()) == ["public-hearts", "synthetic"]
    assert default_pack().name == "public-hearts"
    choose_pack("synthetic")
    assert chosen_pack() == "synthetic" and default_pack().name == "synthetic"
    monkeypatch.setenv("MYOPS_MODEL", "public-hearts")  # the variable is nearer than the setting
    assert default_pack().name == "public-hearts"


def test_an_unknown_pack_is_refused_wherever_it_is_named(monkeypatch) -> None:
    with pytest.raises(InputError, match="unknown weights 'nobody': expected one of"):
        choose_pack("nobody")
    with pytest.raises(InputError, match="unknown model 'nobody': expected default"):
        model_folder("nobody", None)
    monkeypatch.setenv("MYOPS_MODEL", "nobody")
    with pytest.raises(InputError, match="MYOPS_MODEL asks for the weights 'nobody'"):
        default_pack()


def test_a_damaged_setting_is_told(tmp_path) -> None:
    choose_pack(FREE_PACK)
    (tmp_path / "models" / "use.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match="expected the chosen weights, found a damaged file"):
        default_pack()


def test_the_command_line_lists_and_chooses_packs() -> None:
    listed = CliRunner().invoke(cli, ["models", "list"]).output
    pack = shipped_packs()[FREE_PACK]
    assert pack.terms in listed and f"Shipped: {FREE_PACK}" in listed
    assert pack.measured in listed
    chosen = CliRunner().invoke(cli, ["models", "use", FREE_PACK])
    assert chosen.exit_code == 0 and pack.terms in chosen.output
    assert f"Shipped: {FREE_PACK} (in use)" in CliRunner().invoke(cli, ["models", "list"]).output
    refused = CliRunner().invoke(cli, ["models", "use", "nobody"])
    assert refused.exit_code == 2 and "expected one of" in refused.output


def test_a_result_notes_the_pack_by_its_own_name_and_a_folder_by_its_place(tmp_path) -> None:
    choose_pack(FREE_PACK)
    assert Inputs({}).with_model("default").model == FREE_PACK
    assert Inputs({}).with_model(FREE_PACK).model == FREE_PACK
    assert Inputs({}).with_model(str(tmp_path)).model == str(tmp_path)


def test_reports_name_pack_terms_and_whom_to_attribute() -> None:
    pack = {
        "name": "A",
        "learned_from": "ten hearts",
        "license": "CC-BY-NC-SA-4.0",
        "terms": "Not for commercial use.",
        "attribution": "B et al.",
    }
    assert weights_words(pack) == (
        "Weights: A (CC-BY-NC-SA-4.0), learned from ten hearts. Not for commercial use. "
        "Attribution: B et al."
    )
    instead = weights_words(pack | {"instead_of": "C"})
    assert "C was asked for, but is not meant for patients with these sequences" in instead
    assert instead.endswith("it uses A for them.")


def test_adapted_weights_keep_the_terms_they_started_from(tmp_path, pack) -> None:
    target = tmp_path / "adapted"
    target.mkdir()
    shutil.copy(pack / MANIFEST, target / MANIFEST)
    name_adapted_pack(read_pack(pack), target)
    found = read_pack(target)
    assert found.name == "adapted from synthetic"
    assert found.license == read_pack(pack).license
    assert found.terms.endswith(read_pack(pack).terms)
    assert "the user's own patients" in found.learned_from
    assert not found.measured and not found.reached  # of the pack, not of what became of it


TERMS = {"name": "x", "learned_from": "y", "license": "z", "terms": "t."}


def test_a_pack_suits_the_patients_that_its_manifest_names(pack) -> None:
    suited = {"suited_to": [["lge"], ["bssfp", "lge"]], "otherwise": FREE_PACK}
    change(pack, pack=TERMS | suited)
    found = read_pack(pack)
    assert found.suits(["lge"]) and found.suits(("lge", "bssfp"))
    assert not found.suits(["bssfp"]) and not found.suits(["lge", "bssfp", "t2"])
    assert found.suits(["lge", "t1map"])  # no network sees it
    change(pack, pack=TERMS)
    assert read_pack(pack).suits(["t2"])


@pytest.mark.parametrize(
    ("suited", "message"),
    [
        ({"suited_to": "lge", "otherwise": FREE_PACK}, "under suited_to, found 'lge'"),
        ({"suited_to": [[]], "otherwise": FREE_PACK}, "under suited_to"),
        ({"suited_to": [["LGE"]], "otherwise": FREE_PACK}, "expected lists of bssfp, lge, t2"),
        ({"suited_to": [[3]], "otherwise": FREE_PACK}, "under suited_to"),
        ({"suited_to": [["lge"]]}, "under otherwise, for patients with other sequences, found ''"),
        ({"suited_to": [["lge"]], "otherwise": "nobody"}, "found 'nobody'"),
    ],
)
def test_a_pack_that_says_nonsense_about_its_patients_is_refused(pack, suited, message) -> None:
    change(pack, pack=TERMS | suited)
    with pytest.raises(InputError, match=message):
        read_pack(pack)


def test_a_patient_whom_a_pack_does_not_suit_gets_the_networks_of_the_other() -> None:
    public, free = load_models("cpu", "public-hearts"), load_models("cpu", FREE_PACK)
    alone = suited_models(public, ["lge"])
    assert alone.prsn is public.prsn and alone.pack is public.pack
    other = suited_models(public, ["lge", "bssfp", "t2"])
    assert other.checksums == free.checksums and other.decision == free.decision
    assert other.asked is public.pack and free.asked is None
    assert suited_models(public, ["bssfp", "lge", "t2"]).prsn is other.prsn  # loaded once
    assert suited_models(free, ["lge", "bssfp", "t2"]) is free


def test_networks_for_one_patient_are_loaded_from_the_pack_that_suits_him_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[str] = []

    def noted(name: str, path: Path, *more: object) -> torch.nn.Module:
        loaded.append(path.parent.name)
        return load_network(name, path, *more)

    monkeypatch.setattr("myops.weights.files.load_network", noted)
    several = load_models("cpu", "public-hearts", sequences=["lge", "t2"])
    assert several.asked.name == "public-hearts" and several.pack.name == FREE_PACK
    assert set(loaded) == {model_folder(FREE_PACK, None).name}
    assert suited_models(several, ["lge", "t2"]) is several
    loaded.clear()
    alone = load_models("cpu", "public-hearts", sequences=["lge"])
    assert alone.asked is None and set(loaded) == {"public-hearts"}


def test_an_adapted_copy_is_for_the_same_patients(pack, tmp_path) -> None:
    suited = {"suited_to": [["lge"]], "otherwise": FREE_PACK}
    change(pack, pack=TERMS | suited)
    adapted = tmp_path / "adapted"
    adapted.mkdir()
    shutil.copy(pack / MANIFEST, adapted / MANIFEST)
    name_adapted_pack(read_pack(pack), adapted)
    assert read_pack(adapted).suited_to == frozenset([frozenset(["lge"])])
    assert read_pack(adapted).otherwise == FREE_PACK


def test_the_result_names_the_pack_that_was_used_and_the_one_asked_for() -> None:
    patient = generate_patient(970_007, PhantomConfig(dropout=False))
    spacing = patient.spacing_mm
    images = {name: as_image(voxels, spacing) for name, voxels in patient.images.items()}
    case = case_from_images(images)
    models = load_models("cpu", "public-hearts")
    fast = CascadeConfig(flips=False)
    all_three = segment(case, models, config=fast)
    assert all_three.pack["name"] == FREE_PACK and all_three.pack["instead_of"] == "public-hearts"
    assert all_three.model["assn"] == load_models("cpu", FREE_PACK).checksums["assn"]
    alone = segment(case_from_images({"lge": images["lge"]}), models, config=fast)
    assert alone.pack["name"] == "public-hearts" and "instead_of" not in alone.pack
    assert alone.model["assn"] == models.checksums["assn"]


def test_a_patient_without_lge_gets_the_prsn_that_knows_cine() -> None:
    public = load_models("cpu", "public-hearts")
    lge, cine = suited_models(public, ["lge"]), suited_models(public, ["bssfp"])
    assert public.prsn_cine is not None
    assert lge.prsn is public.prsn and cine.prsn is public.prsn_cine
    assert cine.checksums["prsn"] == public.checksums["prsn_cine"] != lge.checksums["prsn"]
    assert set(lge.checksums) == set(cine.checksums) == {"heartfinder", "assn", "dae", "prsn"}
    assert cine.sizes["prsn"] == public.sizes["prsn_cine"] and cine.assn is public.assn


COMBINATIONS = ("lge", "bssfp", "bssfp+lge", "lge+t2", "bssfp+lge+t2")


@pytest.mark.parametrize("name", ["public-hearts", "synthetic"])
@pytest.mark.parametrize("sequences", COMBINATIONS)
def test_each_pack_says_what_a_patient_gets_with_each_set_of_sequences(name, sequences) -> None:
    packs = shipped_packs()
    asked, names = packs[name], sequences.split("+")
    used = asked if asked.suits(names) else packs[asked.otherwise]
    assert "Dice" in used.reached_on(names)
    assert "real" in used.reached_on(names) or "phantom" in used.reached_on(names)


def test_what_nobody_has_measured_is_said_and_no_pack_without_figures_says_anything(pack) -> None:
    change(pack, pack=TERMS | {"reached": {"bssfp+lge": "scar Dice 0.5 on 3 phantoms"}})
    found = read_pack(pack)
    assert found.reached_on(["lge", "bssfp", "t1map"]) == "scar Dice 0.5 on 3 phantoms"
    assert found.reached_on(["lge"]) == "not measured on patients with these sequences"
    change(pack, pack=TERMS)
    assert read_pack(pack).reached_on(["lge"]) == ""


@pytest.mark.parametrize("reached", [[], {"pet": "x"}, {"lge": 3}])
def test_a_pack_that_says_nonsense_about_what_it_reaches_is_refused(pack, reached) -> None:
    change(pack, pack=TERMS | {"reached": reached})
    with pytest.raises(InputError, match=r"expected lines by sequences such as bssfp\+lge"):
        read_pack(pack)


def test_the_report_says_what_this_combination_reached() -> None:
    case = circle_case(sequences=("lge", "t2"))
    words = reached_words(case, {"name": "A", "reached": "scar Dice 0.5 on 3 phantoms"})
    assert words == "Accuracy without a reader on LGE + T2 (A): scar Dice 0.5 on 3 phantoms."
    alone = reached_words(circle_case(sequences=("lge",)), {"name": "A", "reached": "B"})
    assert alone == "Accuracy without a reader on LGE alone (A): B."
    assert reached_words(case, {"name": "A"}) == ""
