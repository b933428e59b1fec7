"""Bringing checkpoints: added, listed, checked, found by name and removed; nothing is lost."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from tiny_sam import TINY, save_tiny, tiny_sam

from myops.cli import cli
from myops.errors import InputError
from myops.networks.lora import adapt
from myops.networks.sam import ARCHITECTURES
from myops.weights import places
from myops.weights.published import KNOWN_MODELS, recognize
from myops.weights.sam_adaptation import save_adaptation, start_sam_refiner
from myops.weights.store import (
    add_model,
    check_model,
    find_model,
    load_model,
    remove_model,
    stored_models,
)


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    monkeypatch.setenv("MYOPS_MODELS", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def checkpoint(tmp_path):
    return save_tiny(tmp_path / "heart.pth")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def myops(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["models", *map(str, words)])
    return done.exit_code, done.output


def test_the_folder_is_the_variables_else_the_systems_place_for_data(monkeypatch, tmp_path):
    monkeypatch.delenv("MYOPS_MODELS")
    monkeypatch.setattr(places.sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert places.models_folder() == tmp_path / "myops" / "models"
    monkeypatch.setattr(places.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert places.models_folder() == tmp_path / "local" / "myops" / "models"


def test_an_added_model_is_copied_recorded_and_loads_by_name(checkpoint, store):
    told = []
    model = add_model(checkpoint, progress=lambda fraction, _: told.append(fraction))
    assert told[-1] == 1.0
    assert (model.name, model.architecture, model.kind) == ("heart", "tiny", "checkpoint")
    assert model.sha256 == sha256(checkpoint) == sha256(store / "heart.pth")
    assert model.parameters == sum(v.numel() for v in tiny_sam().state_dict().values())
    checkpoint.unlink()
    assert find_model("heart") == model
    loaded = load_model(find_model("heart")).sam.state_dict()
    assert all(torch.equal(loaded[k], v) for k, v in tiny_sam().state_dict().items())


def test_a_linked_model_stays_in_its_place_also_when_it_is_removed(checkpoint, store):
    model = add_model(checkpoint, "mine", link=True)
    assert model.path == checkpoint.resolve()
    assert files_in(store) == ["models.json"]
    remove_model("mine")
    assert checkpoint.is_file() and stored_models() == {}


def test_removing_a_copy_deletes_it_and_leaves_the_others(checkpoint, store):
    add_model(checkpoint, "one")
    add_model(checkpoint, "two")
    remove_model("one")
    assert list(stored_models()) == ["two"]
    assert files_in(store) == ["models.json", "two.pth"]
    with pytest.raises(InputError, match="expected an added model, one of two; found 'one'"):
        remove_model("one")


@pytest.mark.parametrize("name", ["default", "../x", "a b", ".hidden", "a/b"])
def test_a_name_that_cannot_be_used_is_refused(checkpoint, store, name):
    with pytest.raises(InputError, match="expected a name of letters"):
        add_model(checkpoint, name)
    assert files_in(store) == []


def test_a_name_that_is_taken_is_refused_and_the_first_model_stays(checkpoint, store, tmp_path):
    first = add_model(checkpoint, "heart")
    with pytest.raises(InputError, match="'heart' is taken"):
        add_model(save_tiny(tmp_path / "other.pth", seed=1), "heart")
    assert sha256(store / "heart.pth") == first.sha256


def test_a_file_of_the_users_in_the_folder_of_models_is_not_overwritten(checkpoint, store):
    store.mkdir()
    mine = save_tiny(store / "heart.pth", seed=1)
    before = sha256(mine)
    with pytest.raises(InputError, match=r"found one that is in no record; .* --name"):
        add_model(checkpoint)
    assert sha256(mine) == before and stored_models() == {}
    assert add_model(checkpoint, "other").path == store.resolve() / "other.pth"


def test_models_are_added_again_after_their_record_was_lost(checkpoint, store):
    model = add_model(checkpoint)
    for again in (checkpoint, store / "heart.pth"):  # from where it came, and where it is
        (store / "models.json").unlink()
        assert add_model(again).path == model.path
        assert find_model("heart").sha256 == sha256(store / "heart.pth") == model.sha256


def test_a_file_in_the_folder_of_models_is_not_linked_for_it_would_be_deleted(checkpoint, store):
    store.mkdir()
    mine = save_tiny(store / "mine.pth")
    with pytest.raises(InputError, match="would be deleted with the model; leave out --link"):
        add_model(mine, link=True)
    assert stored_models() == {}


def test_a_file_that_is_no_checkpoint_is_not_added(tmp_path, store):
    (tmp_path / "page.pth").write_text("<html>", encoding="utf-8")
    with pytest.raises(InputError, match="found a text"):
        add_model(tmp_path / "page.pth")
    assert files_in(store) == []


def test_an_interrupted_copy_leaves_nothing(checkpoint, store):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_model(checkpoint, progress=interrupt)
    assert files_in(store) == [] and stored_models() == {}


def test_a_file_may_be_named_in_place_of_a_model(checkpoint):
    found = find_model(str(checkpoint))
    assert (found.name, found.architecture, found.path) == ("heart", "tiny", checkpoint)


def test_a_file_that_has_changed_or_gone_is_noticed(checkpoint, store):
    add_model(checkpoint)
    save_tiny(store / "heart.pth", seed=1)
    for use in (lambda: load_model(find_model("heart")), lambda: check_model("heart")):
        with pytest.raises(InputError, match="the file has changed; run myops models remove heart"):
            use()
    (store / "heart.pth").unlink()
    with pytest.raises(InputError, match="found no file: run myops models remove heart"):
        find_model("heart")


@pytest.mark.parametrize("known", KNOWN_MODELS, ids=lambda known: known.name)
def test_weights_that_are_absent_are_named_with_maker_and_license(known):
    with pytest.raises(InputError) as caught:
        find_model(known.name)
    said = str(caught.value)
    assert known.file in said and "Apache-2.0" in said and known.maker in said
    assert f"myops models add {known.file}" in said


def test_an_unknown_name_lists_what_could_be_meant(checkpoint):
    add_model(checkpoint)
    with pytest.raises(InputError, match="among default, heart, .* found 'hart'"):
        find_model("hart")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"models": 3}', '{"models": [{"name": "a"}]}'])
def test_a_damaged_record_is_refused(store, text):
    store.mkdir()
    (store / "models.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="expected the record of added models, found a damaged"):
        stored_models()


def test_a_published_file_is_known_by_its_checksum_not_by_its_name():
    known = KNOWN_MODELS[0]
    assert recognize("renamed.pth", known.sha256) == known
    assert recognize(known.file, "0" * 64) is None
    # No checksum is published for MedSAM.
    assert recognize("medsam_vit_b.pth", "0" * 64).name == "medsam"


def adapted(tmp_path, how="lora"):
    """An adaptation of the checkpoint heart.pth."""
    base = tmp_path / "heart.pth"
    refiner, architecture = start_sam_refiner(base)
    adaptation = adapt(refiner, how, rank=2)
    path = tmp_path / "scar.safetensors"
    save_adaptation(refiner, path, adaptation, (architecture, sha256(base)))
    return path


def test_an_adaptation_finds_its_base_by_checksum_whatever_it_is_called(checkpoint, tmp_path):
    add_model(adapted(tmp_path))
    assert find_model("scar").kind == "adaptation"
    with pytest.raises(InputError, match=f"SHA-256 {sha256(checkpoint)[:12]}.* which is not here"):
        load_model(find_model("scar"))
    add_model(checkpoint, "base")
    assert load_model(find_model("scar")).size == 80


def test_list_shows_the_shipped_the_added_and_what_could_be_added(checkpoint):
    add_model(checkpoint)
    code, text = myops("list")
    assert code == 0
    *packs, _hint, added, absent = text.split("\n\n")
    (shipped,) = (block for block in packs if block.startswith("Shipped: synthetic"))
    for name, megabytes in (("heartfinder", "0.89 M"), ("prsn", "2.07 M")):
        line = next(line for line in shipped.splitlines() if line.split()[:1] == [name])
        assert megabytes in line and "Apache-2.0" in line and "synthetic patients" in line
    assert sha256(checkpoint)[:12] in added and "ask its author" in added
    assert all(known.file in absent and known.maker in absent for known in KNOWN_MODELS)


def test_an_added_medsam_is_no_longer_absent(tmp_path):
    add_model(save_tiny(tmp_path / "medsam_vit_b.pth"))
    _, text = myops("list")
    *_, added, absent = text.split("\n\n")
    assert "medsam" in added and "bowang-lab" in added and "Apache-2.0" in added
    assert "medsam" not in absent and "sam_vit_h" in absent


def test_the_command_line_adds_checks_and_removes(checkpoint, tmp_path, store):
    wrapped = tmp_path / "wrapped.pt"
    torch.save({"model": {f"module.{k}": v for k, v in tiny_sam().state_dict().items()}}, wrapped)
    assert myops("add", wrapped, "--name", "fine")[0] == 0
    code, text = myops("check", "fine")
    shown = dict(line.split(maxsplit=1) for line in text.splitlines())
    assert code == 0
    assert shown["kind"] == "SAM tiny"
    assert shown["SHA-256"] == sha256(wrapped)
    assert shown["unwrapped"] == "model > module."
    assert int(shown["parameters"].replace(",", "")) == find_model("fine").parameters
    assert myops("remove", "fine") == (0, "Removed fine\n")
    assert files_in(store) == ["models.json"]
    assert json.loads((store / "models.json").read_text("utf-8")) == {"models": []}


def test_check_names_an_adaptations_base_or_what_is_missing(checkpoint, tmp_path):
    path = adapted(tmp_path)
    code, text = myops("check", path)
    assert code == 0 and "SAM tiny, adapted by lora" in text and "is not here" in text
    add_model(checkpoint)
    assert f"trained on  heart ({sha256(checkpoint)[:12]}...)" in myops("check", path)[1]


def test_bad_input_is_one_line_and_exit_code_2(tmp_path):
    for words in (("add", tmp_path / "none.pth"), ("check", "none"), ("remove", "none")):
        code, text = myops(*words)
        assert code == 2 and "expected" in text
        assert text.startswith("Error: ")
        assert len(text.splitlines()) == 1
