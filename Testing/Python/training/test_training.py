"""The training loop and its parts, on tiny networks and images."""

from __future__ import annotations

import argparse
import csv
import errno
import importlib.util
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from myops.cascade.network_inputs import prsn_input
from myops.errors import InputError
from myops.evaluation.metrics import compare
from myops.labels import MYOPS
from myops.phantom.patient import PhantomConfig, PhantomPatient, generate_patient
from myops.training import checkpoint, loop
from myops.training.config import (
    HELD_OUT_SEED,
    AssnConfig,
    PrsnConfig,
    TrainingConfig,
    make_config,
    training_seed,
)
from myops.training.data import augment, crops, mixing
from myops.training.data import feed as data
from myops.training.export import export_weights
from myops.training.stages.dae import corrupt
from myops.training.stages.prsn import (
    BRANCH_WEIGHTS,
    EDEMA,
    NORMAL,
    OTHER,
    OUTSIDE,
    SCAR,
    candidates,
    prepare,
    to_classes,
)
from myops.training.stages.stage import dice
from myops.weights.files import SHIPPED_FOLDER, load_network

LIBRARY = Path(__file__).resolve().parents[3] / "MyoPSSegmenter"
TINY = {
    "size": "32",
    "widths": "4,8",
    "workers": "0",
    "pool_start": "1",
    "curve_patients": "1",
    "batch_size": "4",
    "threads": "1",
    "log_steps": "1",
    "steps_per_patient": "1e9",
}


@pytest.fixture(scope="module")
def patient() -> PhantomPatient:
    """An acute patient with all three sequences."""
    config = PhantomConfig(view="heart", dropout=False, normal_share=0.0, acute_share=1.0)
    return generate_patient(3, config)


@pytest.fixture
def random() -> torch.Generator:
    """A CPU generator with a fixed seed."""
    return torch.Generator().manual_seed(5)


# Configuration


def test_the_defaults_are_the_paper_s():
    assert make_config("assn").dae_weight == 0.2  # type: ignore[attr-defined]
    prsn = make_config("prsn")
    assert isinstance(prsn, PrsnConfig)
    assert prsn.cross_entropy_weight == 0
    assert BRANCH_WEIGHTS == {"bssfp": 0.3, "lge": 0.5, "t2": 0.5}
    assert make_config("assn").size == 128


def test_texts_become_values_of_the_setting_s_type():
    config = make_config("prsn", {"steps": "7", "learning_rate": "2e-4", "widths": "4,8"})
    assert (config.steps, config.learning_rate, config.widths) == (7, 2e-4, (4, 8))


def test_phantom_settings_reach_the_phantom():
    config = make_config("prsn", {"phantom.normal_share": "0.5", "phantom.dropout": "false"})
    assert data.phantom_config(config) == PhantomConfig(
        view="heart", normal_share=0.5, dropout=False
    )


def test_an_unknown_setting_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"unknown setting 'step'.*batch_size.*steps"):
        make_config("prsn", {"step": "7"})


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("steps", "many", "steps expects int, found 'many'"),
        ("widths", "4;8", "widths expects whole numbers with commas"),
        ("size", "40", "multiple of 16"),
        ("batch_size", "0", "at least 1"),
        ("steps_per_patient", "0", "above 0"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused(name, text, expected):
    with pytest.raises(InputError, match=expected):
        make_config("prsn", {name: text})


def test_an_unknown_stage_and_an_unknown_phantom_setting_are_refused():
    with pytest.raises(InputError, match="heartfinder, dae, assn, prsn"):
        make_config("yolo")
    with pytest.raises(InputError, match="phantom"):
        data.phantom_config(make_config("prsn", {"phantom.colour": "1"}))


def test_a_stored_configuration_comes_back_the_same():
    config = make_config("assn", {"widths": "4,8", "minutes": "2.5", "phantom.dropout": "0"})
    content = {"stage": "assn", "config": json.dumps(checkpoint.asdict(config))}
    assert checkpoint.stored_config(content) == config


def test_a_setting_stored_under_its_older_name_keeps_its_meaning():
    stored = {"artefacts": 0.5, "held_back": "data/emidec", "seed": 3, "reorient": 0.1}
    content = {"stage": "prsn", "config": json.dumps(stored)}
    known = PrsnConfig(artifacts=0.5, held_out="data/emidec", seed=3)
    assert checkpoint.stored_config(content) == known


# Patients


def test_no_stage_trains_on_a_held_out_patient_or_on_another_stage_s():
    first = {s: training_seed(s, 0, 0) for s in ("heartfinder", "dae", "assn", "prsn")}
    assert len(set(first.values())) == 4
    assert training_seed("prsn", HELD_OUT_SEED, 3) < HELD_OUT_SEED
    assert max(training_seed("prsn", i, 0) for i in range(299_990, 300_010)) < HELD_OUT_SEED


def take_indices(stream: data.PatientStream, count: int) -> list[int]:
    source: Iterator = iter(stream)
    return [next(source)[0] for _ in range(count)]


def named_by_index(index: int) -> tuple:
    """A source whose patients are their own indices."""
    return index, np.random.default_rng(index)


def test_processes_and_workers_share_the_patients_without_overlap(monkeypatch):
    monkeypatch.setattr(data, "make_slices", lambda *_: {"present": np.ones((1, 3))})
    stage, config = loop.STAGES["dae"], make_config("dae")
    seen = []
    for rank in range(2):
        for worker in range(3):
            info = SimpleNamespace(num_workers=3, id=worker)
            monkeypatch.setattr(data, "get_worker_info", lambda info=info: info)
            stream = data.PatientStream(stage, config, named_by_index, 100, rank, 2)
            seen += take_indices(stream, 4)
    assert sorted(seen) == list(range(100, 124))


def test_a_feed_hands_out_every_patient_in_order_and_knows_the_next(monkeypatch):
    monkeypatch.setattr(data, "make_slices", lambda _stage, index, *_: {"present": [index]})
    stream = data.PatientStream(loop.STAGES["dae"], make_config("dae"), named_by_index, 5, 0, 1)
    feed = data.PatientFeed(stream, workers=0)
    indices = [feed.take(wait=True)[1]["present"][0] for _ in range(3)]
    feed.close()
    assert indices == [5, 6, 7]
    assert feed.next_index == 8


def test_a_failing_generator_stops_the_training_with_its_error(monkeypatch):
    def broken(*_):
        raise RuntimeError("no such tissue")

    monkeypatch.setattr(data, "make_slices", broken)
    stream = data.PatientStream(loop.STAGES["dae"], make_config("dae"), named_by_index, 0, 0, 1)
    feed = data.PatientFeed(stream, workers=1)
    with pytest.raises(RuntimeError, match="no such tissue"):
        feed.take(wait=True)
    feed.close()
    assert not multiprocessing.active_children()


def test_the_pool_forgets_its_oldest_patient():
    pool = data.SlicePool(2)
    for number in range(3):
        pool.add({"present": np.full((4, 3), number), "x": np.full((4, 1), number)})
    drawn = pool.draw(64, np.random.default_rng(0))
    assert set(drawn["x"].flatten().tolist()) == {1, 2}


def test_the_pool_draws_every_entry_from_the_same_slice():
    pool = data.SlicePool(2)
    pool.add({"present": np.arange(5)[:, None], "x": 10 * np.arange(5)[:, None]})
    drawn = pool.draw(20, np.random.default_rng(0))
    assert torch.equal(drawn["x"], 10 * drawn["present"])


def test_new_patients_come_every_few_steps_and_a_slow_generator_is_not_waited_for():
    asked: list[bool] = []

    def take(wait: bool):
        asked.append(wait)
        return (0, {"present": np.ones((1, 3))}) if wait else None

    feed, pool = SimpleNamespace(take=take), data.SlicePool(8)
    config = make_config("dae", {"pool_start": "2", "steps_per_patient": "2"})
    mixture = mixing.Mixture((1.0,), (named_by_index,))
    for step in range(6):
        progress = checkpoint.TrainingProgress(step=step)
        loop.refill(pool, feed, progress, config, mixture)  # type: ignore[arg-type]
    assert asked == [True, True, False, False, False]
    assert len(pool) == 2


# From patients to network inputs


def test_the_prsn_trains_on_the_candidate_images_that_the_cascade_makes(patient):
    config = make_config("prsn", {"size": "48"})
    slices = prepare(patient, np.random.default_rng(2), config)
    batch = {name: torch.from_numpy(value).float() for name, value in slices.items()}
    batch["region"] = (batch["region"] > 0.5).float()
    rng = np.random.default_rng(2)
    cut, labels, _ = crops.crop_patient(patient, crops.jittered_tissue_box(patient, rng), 48)
    region = crops.perturb_region(np.isin(labels, (200, 500, 1220, 2221)), rng, 3.0) > 0.5
    expected = prsn_input(cut, region)[region.any(axis=(1, 2))]
    np.testing.assert_allclose(candidates(batch).numpy(), expected, atol=2e-3)


def test_labels_become_the_main_branch_s_classes():
    labels = np.array([0, 200, 500, 600, 1220, 2221], np.uint16)
    assert to_classes(labels).tolist() == [OTHER, NORMAL, OTHER, OTHER, EDEMA, SCAR]


def test_a_perturbed_region_is_wrong_at_the_edge_alone(patient):
    truth = np.isin(patient.labels, (200, 500, 1220, 2221))
    for seed in range(4):
        found = crops.perturb_region(truth, np.random.default_rng(seed), 3.0)
        assert found.min() >= 0 and found.max() <= 1
        slices = truth.any(axis=(1, 2)) & (found > 0.5).any(axis=(1, 2))
        overlap = dice(torch.from_numpy(found[slices] > 0.5), torch.from_numpy(truth[slices]))
        assert 0.75 < overlap < 1.0


def test_a_bulge_takes_in_or_loses_a_disc_at_the_border_of_some_neighboring_slices(patient):
    truth = np.zeros((8, 80, 80), bool)
    y, x = np.mgrid[:80, :80]
    truth[1:7] = (y - 40) ** 2 + (x - 40) ** 2 < 20**2
    grown = 0
    for seed in range(40):
        found = crops._bulge(truth, np.random.default_rng(seed))
        changed = np.flatnonzero((found != truth).any(axis=(1, 2)))
        assert 1 <= len(changed) <= 4 and np.ptp(changed) == len(changed) - 1
        assert not found[[0, 7]].any()  # no region, no border
        more, less = (found & ~truth).any(), (truth & ~found).any()
        assert more != less
        grown += more
        places = np.argwhere(found[changed[0]] != truth[changed[0]])
        assert np.hypot(*(places - 40).T).max() < 20 + 3 + 14 + 1
    assert 22 <= grown <= 38  # three of four


def test_an_unperturbed_region_keeps_its_slices_within_one():
    truth = np.zeros((9, 32, 32), bool)
    truth[3:7, 8:24, 8:24] = True
    counts = {
        int((crops.perturb_region(truth, np.random.default_rng(s), 1.0) > 0.5).any((1, 2)).sum())
        for s in range(40)
    }
    assert counts <= {2, 3, 4, 5, 6} and len(counts) > 1


def test_images_and_masks_are_moved_together(random):
    image = torch.zeros(6, 1, 32, 32)
    image[:, :, 10:20, 8:26] = 1
    theta = augment.random_affine(6, 1.0, random)
    moved = augment.warp(image, theta) > 0.5
    nearest = augment.warp(image, theta, mode="nearest") > 0.5
    assert dice(moved, nearest) > 0.97
    assert not torch.equal(moved, image > 0.5)


def test_with_a_margin_what_is_outside_has_its_own_class_and_the_region_is_grown():
    labels = np.array([[[0, *MYOPS.values()]]], np.uint16)  # normal, blood, RV, edema, scar
    assert to_classes(labels, True).ravel().tolist() == [
        OUTSIDE, NORMAL, OTHER, OUTSIDE, EDEMA, SCAR
    ]  # fmt: skip
    truth = np.zeros((3, 64, 64), bool)
    truth[:, 20:44, 20:44] = True
    plain, grown = (
        crops.perturb_region(truth, np.random.default_rng(3), 0.0, margin=m) > 0.5 for m in (0, 5)
    )
    # Five pixels on every side of a square of 24, rounded at the corners.
    area = 34 * 34 - (100 - np.pi * 25)
    ratio = grown[1].sum() / plain[1].sum()
    assert ratio == pytest.approx(area / 24**2, rel=0.12)


def test_a_quarter_turn_and_a_mirroring_are_exact():
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    quarter = torch.tensor([[[0.0, -1, 0], [1, 0, 0]]])
    mirror = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]])
    turned = torch.rot90(image, 1, (2, 3)), torch.rot90(image, -1, (2, 3))
    assert any(torch.allclose(augment.warp(image, quarter), t, atol=1e-4) for t in turned)
    assert torch.allclose(augment.warp(image, mirror), image.flip(3), atol=1e-4)


def test_contrast_jitter_keeps_the_order_of_intensities(random, monkeypatch):
    monkeypatch.setattr(torch, "randn", lambda shape, **options: torch.zeros(shape, **options))
    ramp = torch.linspace(-4, 4, 200).reshape(1, 1, 1, 200).repeat(32, 3, 1, 1)
    changed = augment.jitter_contrast(ramp, random)
    assert (changed.diff(dim=3) >= 0).all()
    assert changed.min() >= -4 and changed.max() <= 4


def test_wider_jitter_changes_gain_and_offset_further(random, monkeypatch):
    monkeypatch.setattr(torch, "randn", lambda shape, **options: torch.zeros(shape, **options))
    flat = torch.ones(400, 1, 4, 4)
    plain = augment.jitter_contrast(flat, random, sequences=1)
    wide = augment.jitter_contrast(flat, random, 2.0, sequences=1)
    # Gain 0.8 to 1.25, offset 0.25 and curve 0.08; at width 2 gain 0.64 to 1.56 and offset 0.5.
    assert plain.max() <= 1.08 * 1.25 + 0.25 and plain.min() >= 0.92 * 0.8 - 0.25
    assert wide.max() <= 1.08 * 1.5625 + 0.5 and wide.min() >= 0.92 * 0.64 - 0.5
    assert wide.std() > 1.7 * plain.std()


def test_stretching_changes_the_aspect_within_its_limit(random):
    theta = augment.random_affine(300, 0.0, random, 0.0, 0.0, 0.0, stretch=0.1)
    columns, rows = theta[:, 0, 0], theta[:, 1, 1]
    assert torch.allclose(rows, torch.ones(300))
    assert 0.9 < columns.min() < 0.92 and 1.08 < columns.max() < 1.106


def test_a_training_can_start_from_the_shipped_weights():
    config = make_config("dae", {"start": "default", "threads": "1"})
    state = loop.make_state(loop.STAGES["dae"], config, loop.make_fabric(config))
    shipped = load_network("dae", SHIPPED_FOLDER / "dae.safetensors")
    for name, value in shipped.state_dict().items():
        torch.testing.assert_close(state.model.state_dict()[name], value)
    assert loop.starting_weights("dae", "runs/x.pt") == Path("runs/x.pt")


def test_a_training_of_the_refiner_has_no_shipped_weights_to_start_from(tmp_path):
    expected = "expected shipped weights of refiner for start=default, found none; .*random weights"
    with pytest.raises(InputError, match=expected):
        loop.train("refiner", {"start": "default"}, tmp_path)
    assert loop.starting_weights("clickhead", "default").is_file()


def test_lge_or_bssfp_always_stays_and_incomplete_patients_are_left_alone(random):
    complete = torch.ones(500, 3)
    dropped = augment.drop_sequences(complete, 1.0, random)
    assert (dropped[:, :2].sum(1) >= 1).all()
    assert (dropped.sum(1) < 3).all()
    assert torch.equal(augment.drop_sequences(complete, 0.0, random), complete)
    single = torch.tensor([[0.0, 1, 0]]).repeat(50, 1)
    assert torch.equal(augment.drop_sequences(single, 1.0, random), single)


def test_corrupted_masks_differ_and_stay_masks(random):
    masks = torch.zeros(64, 1, 64, 64)
    masks[:, :, 20:44, 22:42] = 1
    damaged = corrupt(masks, 3.0, random)
    assert damaged.min() >= 0 and damaged.max() <= 1
    changed = ((damaged > 0.5) != (masks > 0.5)).flatten(1).any(1).float().mean()
    assert changed > 0.7
    assert torch.equal(corrupt(masks, 0.0, random), masks)


# Schedule and running mean


def test_the_learning_rate_rises_then_falls_along_a_cosine():
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    config = TrainingConfig(learning_rate=1.0, warmup=0.1)
    rates = [loop.set_learning_rate(optimizer, config, f) for f in (0.0, 0.1, 0.5, 1.0)]
    # cos(pi / 10) = 0.95106, cos(pi / 2) = 0, cos(pi) = -1
    expected = [0.1, 0.01 + 0.99 * 1.95106 / 2, 0.01 + 0.99 / 2, 0.01]
    assert rates == pytest.approx(expected, abs=1e-5)
    assert optimizer.param_groups[0]["lr"] == rates[-1]


def test_a_budget_in_minutes_counts_time_and_one_in_steps_counts_steps():
    progress = checkpoint.TrainingProgress(step=30, elapsed_s=90.0)
    assert progress.fraction(TrainingConfig(minutes=2)) == pytest.approx(0.75)
    assert progress.fraction(TrainingConfig(steps=120)) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("cores", "devices", "workers", "threads"),
    [(2, 0, 1, 1), (2, 0, 0, 2), (16, 0, 1, 15), (16, 2, 1, 7), (1, 0, 4, 1)],
)
def test_the_networks_take_the_cores_that_the_workers_leave(
    cores, devices, workers, threads, monkeypatch
):
    monkeypatch.setattr(loop, "usable_cores", lambda: cores)
    settings = {"devices": str(devices), "workers": str(workers)}
    assert loop.free_cores(make_config("dae", settings)) == threads


def test_the_running_mean_is_the_one_computed_by_hand():
    mean, model = torch.nn.BatchNorm1d(1), torch.nn.BatchNorm1d(1)
    torch.nn.init.constant_(mean.weight, 1.0)
    torch.nn.init.constant_(model.weight, 2.0)
    model.num_batches_tracked += 7
    # At step 0 the mean keeps 1 / 10, later at most `decay`.
    loop.update_average(mean, model, step=0, decay=0.9)
    assert mean.weight.item() == pytest.approx(0.1 * 1 + 0.9 * 2)
    assert mean.num_batches_tracked.item() == 7
    loop.update_average(mean, model, step=10_000, decay=0.9)
    assert mean.weight.item() == pytest.approx(0.9 * 1.9 + 0.1 * 2)


def test_scores_leave_out_what_a_patient_does_not_have(monkeypatch):
    stage = SimpleNamespace(score=lambda _network, batch: {"scar": batch["x"].item()})
    state = SimpleNamespace(average=None, model=torch.nn.Identity())
    fabric = SimpleNamespace(device=torch.device("cpu"), autocast=torch.no_grad)
    curves = [{"x": torch.tensor(v)} for v in (0.5, float("nan"), 0.7)]
    assert loop.score(stage, state, curves, fabric)["scar"] == pytest.approx(0.6)  # type: ignore[arg-type]


# The loop


def bright_discs(seed: int) -> dict[str, np.ndarray]:
    """A stand-in for a patient's slices: a disc of random place and size, bright in noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((32, 32))
    centers, radii = rng.uniform(12, 20, (12, 2)), rng.uniform(5, 9, 12)
    discs = np.stack([np.hypot(rows - y, columns - x) < r for (y, x), r in zip(centers, radii)])
    images = 2.0 * discs[:, None] - 1 + rng.normal(0, 0.3, (12, 3, 32, 32))
    return {
        "images": images.astype(np.float16),
        "region": discs[:, None].astype(np.float16),
        "present": np.ones((12, 3), np.float32),
    }


@pytest.mark.slow
def test_the_assn_learns_to_outline_a_bright_disc(tmp_path, monkeypatch):
    monkeypatch.setattr(mixing, "phantom_source", lambda *_: named_by_index)

    def discs(_stage, patient, *_):  # the held-out patients of the curves are phantoms
        return bright_discs(getattr(patient, "seed", patient))

    monkeypatch.setattr(data, "make_slices", discs)
    settings = TINY | {"steps": "150", "dae_weight": "0", "learning_rate": "1e-2"}
    path = loop.train("assn", settings, tmp_path)
    metrics = json.loads(checkpoint.read_checkpoint(path)["progress"])["metrics"]
    assert metrics["region_dice"] > 0.9  # of discs that were never trained on


@pytest.mark.parametrize("stage", ["heartfinder", "prsn"])
def test_every_stage_trains_and_scores(stage, tmp_path, capsys):
    path = loop.train(stage, TINY | {"steps": "2"}, tmp_path)
    content = checkpoint.read_checkpoint(path)
    assert json.loads(content["progress"])["step"] == 2
    assert "held-out patients" in capsys.readouterr().out
    assert list((tmp_path / "curves").iterdir())


def test_the_assn_takes_the_dae_from_its_checkpoint(tmp_path):
    dae = loop.train("dae", TINY | {"steps": "1"}, tmp_path / "dae")
    settings = TINY | {"steps": "1", "dae": str(dae)}
    path = loop.train("assn", settings, tmp_path / "assn")
    config = checkpoint.stored_config(checkpoint.read_checkpoint(path))
    assert isinstance(config, AssnConfig) and config.dae == str(dae)


def test_a_resumed_training_keeps_its_configuration_and_goes_on(tmp_path):
    loop.train("dae", TINY | {"steps": "3", "learning_rate": "2e-3"}, tmp_path)
    before = checkpoint.read_checkpoint(tmp_path / "checkpoint.pt")
    path = loop.train("dae", {"steps": "5"}, tmp_path, resume=True)
    after = checkpoint.read_checkpoint(path)
    first, last = (json.loads(content["progress"]) for content in (before, after))
    assert (first["step"], last["step"]) == (3, 5)
    assert last["elapsed_s"] > first["elapsed_s"]
    assert last["next_patient"] > first["next_patient"]
    assert checkpoint.stored_config(after).learning_rate == 2e-3
    steps = {int(entry["step"]) for entry in after["optimizer"]["state"].values()}
    assert steps == {5}


def test_the_same_seed_trains_the_same_network(tmp_path):
    paths = [loop.train("dae", TINY | {"steps": "3"}, tmp_path / name) for name in ("a", "b")]
    first, second = (checkpoint.read_checkpoint(path)["model"] for path in paths)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_an_existing_training_is_not_overwritten(tmp_path):
    loop.train("dae", TINY | {"steps": "1"}, tmp_path)
    with pytest.raises(InputError, match="--resume"):
        loop.train("dae", TINY | {"steps": "1"}, tmp_path)
    with pytest.raises(InputError, match="belongs to dae"):
        loop.train("prsn", TINY | {"steps": "1"}, tmp_path, resume=True)


def start(folder: Path, *more: str, **settings: str) -> subprocess.Popen:
    """Train the DAE in a process of its own; a new patient at every step, one worker."""
    endless = {"steps": "1000000", "workers": "1", "steps_per_patient": "1"}
    command = [sys.executable, "-m", "myops", "train", "dae", "--output", str(folder), *more]
    for name, value in (TINY | endless | {"checkpoint_minutes": "0.0001"} | settings).items():
        command += ["--set", f"{name}={value}"]
    return subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )


def wait_for_lines(process: subprocess.Popen, text: str, count: int) -> None:
    """Read the output until `text` has come `count` times."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        count -= text in line
        if not count:
            return
    raise AssertionError("".join(seen))


@pytest.mark.scheduled
def test_a_killed_training_resumes_where_its_checkpoint_was(tmp_path):
    process = start(tmp_path)
    wait_for_lines(process, "left", 12)
    process.kill()
    process.communicate()
    content = checkpoint.read_checkpoint(tmp_path / "checkpoint.pt")
    step = json.loads(content["progress"])["step"]
    assert step >= 5

    process = start(tmp_path, "--resume")
    wait_for_lines(process, f"resumed at step {step}", 1)
    wait_for_lines(process, "left", 2)
    os.killpg(process.pid, signal.SIGTERM)  # as a scheduler does: to the workers as well
    output, _ = process.communicate(timeout=60)
    assert "resume with --resume" in output
    assert "Traceback" not in output
    assert process.returncode == 128 + signal.SIGTERM
    after = checkpoint.read_checkpoint(tmp_path / "checkpoint.pt")
    assert json.loads(after["progress"])["step"] >= step + 2
    assert checkpoint.stored_config(after) == checkpoint.stored_config(content)
    assert not list(tmp_path.glob(".checkpoint*"))


@pytest.mark.scheduled
def test_workers_end_with_their_training(tmp_path):
    process = start(tmp_path)
    wait_for_lines(process, "left", 1)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.2)
    raise AssertionError("a process of the training is still there")


@pytest.mark.scheduled
def test_two_processes_train_one_network_on_patients_of_their_own(tmp_path):
    process = start(tmp_path, devices="2", steps="4", workers="0", pool_start="2")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert output.count("dae  step 4 ") == 2  # the first process's line and its scores
    progress = json.loads(checkpoint.read_checkpoint(tmp_path / "checkpoint.pt")["progress"])
    # Two patients to begin with and one a step, in each of two processes.
    assert (progress["step"], progress["next_patient"]) == (4, 12)


# Checkpoints and exported weights


def test_a_full_disk_leaves_the_old_checkpoint_and_says_what_to_do(tmp_path, monkeypatch):
    path = loop.train("dae", TINY | {"steps": "1"}, tmp_path)
    before = path.read_bytes()

    def full_disk(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match=r"No space left on device; make room and call the same"):
        loop.train("dae", {"steps": "2"}, tmp_path, resume=True)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".checkpoint*"))
    monkeypatch.undo()
    loop.train("dae", {"steps": "2"}, tmp_path, resume=True)
    assert json.loads(checkpoint.read_checkpoint(path)["progress"])["step"] == 2


def test_a_checkpoint_of_another_shape_or_version_is_refused_with_what_to_do(tmp_path):
    path = loop.train("dae", TINY | {"steps": "1"}, tmp_path)
    with pytest.raises(InputError, match=r"of this network and version, found another .*start="):
        loop.train("dae", {"widths": "4,4,4", "steps": "2"}, tmp_path, resume=True)
    content = torch.load(path, weights_only=True)
    del content["optimizer"]  # as an older version might have written it
    torch.save(content, path)
    with pytest.raises(InputError, match=r"of this network and version.*'optimizer'"):
        loop.train("dae", {"steps": "2"}, tmp_path, resume=True)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="cannot read"):
        loop.train("dae", TINY, tmp_path, resume=True)
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="written by `myops train`"):
        checkpoint.read_checkpoint(path)
    with pytest.raises(InputError, match="no file"):
        checkpoint.read_checkpoint(tmp_path / "none.pt")


def test_a_checkpoint_cannot_run_code(tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"stage": "dae", "progress": Path("/")}, path)  # any object that is not plain data
    with pytest.raises(InputError, match="cannot read"):
        checkpoint.read_checkpoint(path)


def test_several_trainings_are_exported_as_the_mean_of_their_weights(tmp_path):
    paths = [
        loop.train("dae", TINY | {"steps": "2", "seed": seed}, tmp_path / seed) for seed in "123"
    ]
    entry = export_weights(paths[0], tmp_path / "weights", averaged_with=paths[1:])
    mean = load_network("dae", tmp_path / "weights" / entry["file"], entry).state_dict()
    parts = [checkpoint.read_checkpoint(path)["average"] for path in paths]
    for name, value in mean.items():
        if value.is_floating_point():
            expected = sum(part[name].float() for part in parts) / 3
            torch.testing.assert_close(value, expected, rtol=2e-3, atol=1e-4)
    assert [part["config"]["seed"] for part in entry["mean_of"]] == [1, 2, 3]
    assert entry["metrics"] == {}  # nobody has measured the mean


def test_checkpoints_of_two_networks_have_no_mean(tmp_path):
    first = loop.train("dae", TINY | {"steps": "1"}, tmp_path / "dae")
    other = loop.train("heartfinder", TINY | {"steps": "1"}, tmp_path / "finder")
    with pytest.raises(InputError, match="same network as .*, found another among .*finder"):
        export_weights(first, tmp_path / "weights", averaged_with=[other])
    assert not (tmp_path / "weights").exists()


def test_weights_of_another_network_are_refused(tmp_path):
    path = loop.train("dae", TINY | {"steps": "1"}, tmp_path / "dae")
    with pytest.raises(InputError, match="expected weights of this network, found .*: dae"):
        loop.train("prsn", TINY | {"steps": "1", "start": str(path)}, tmp_path / "prsn")


@pytest.mark.parametrize("exported", [True, False])
def test_weights_of_another_shape_tell_the_settings_that_they_were_made_with(tmp_path, exported):
    settings = TINY | {"steps": "1", "planes": "3", "margin": "2"}
    path = loop.train("prsn", settings, tmp_path / "three")
    if exported:
        path = tmp_path / "weights" / export_weights(path, tmp_path / "weights", {})["file"]
    with pytest.raises(InputError, match="prsn, made with --set planes=3 --set margin=2"):
        loop.train("prsn", TINY | {"steps": "1", "start": str(path)}, tmp_path / "one")


def test_exported_weights_are_the_running_mean_and_tell_where_they_come_from(tmp_path):
    path = loop.train("dae", TINY | {"steps": "3", "seed": "4"}, tmp_path / "run")
    entry = export_weights(path, tmp_path / "weights", {"hd_mm": 3.0})
    network = load_network("dae", tmp_path / "weights" / entry["file"], entry)
    average = checkpoint.read_checkpoint(path)["average"]
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, average[name], rtol=1e-3, atol=1e-4)
    assert entry["config"]["seed"] == 4
    assert entry["seeds"]["first"] == training_seed("dae", 0, 4)
    assert entry["steps"] == 3
    assert entry["metrics"]["hd_mm"] == 3.0 and "region_dice" in entry["metrics"]
    assert entry["commit"] == checkpoint.git_commit()


# The evaluation on held-out patients


@pytest.fixture(scope="module")
def evaluation():
    """Give the script Testing/Scripts/measure/evaluate_phantoms.py as a module."""
    path = Path(__file__).resolve().parents[2] / "Scripts" / "measure" / "evaluate_phantoms.py"
    spec = importlib.util.spec_from_file_location("evaluate_phantoms", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def cubes(*scar_voxels: int) -> np.ndarray:
    """A block of myocardium whose first voxels of some slices are scar; 2 mL a voxel below."""
    labels = np.full((3, 10, 10), 200, np.uint16)
    for index, count in enumerate(scar_voxels):
        labels[index].flat[:count] = 2221
    return labels


def result(module, injury, predicted, true, sequences=("bssfp", "lge", "t2"), error=""):
    agreements = {} if error else compare(predicted, true, (10.0, 10.0, 20.0))
    return module.Result(1, injury, sequences, agreements, None if error else 1.0, error)


def test_the_cohort_s_numbers_are_those_counted_by_hand(evaluation):
    results = [
        result(evaluation, "none", cubes(0), cubes(0)),  # clean
        result(evaluation, "none", cubes(3), cubes(0)),  # 6 mL of false scar
        result(evaluation, "acute", cubes(8), cubes(6)),  # Dice 2 * 6 / 14, 4 mL too much
        result(evaluation, "chronic", cubes(4), cubes(4)),  # perfect
        result(evaluation, "none", cubes(0), cubes(0), error="no heart found"),
    ]
    summary = evaluation.summarize_cohort(results)
    assert (summary["patients"], summary["heart_not_found"]) == (5, 1)
    assert summary["whole_heart_in_box"] == pytest.approx(4 / 5)
    assert (summary["normal_hearts_with_lge"], summary["normal_hearts_below_limit"]) == (2, 1)
    assert summary["false_scar_worst_ml"] == pytest.approx(6.0)
    scar = summary["regions"]["scar"]["dice"]
    assert (scar["count"], scar["undefined"]) == (2, 2)
    assert scar["mean"] == pytest.approx((12 / 14 + 1) / 2)
    assert summary["scar_mass_error_mean_g"] == pytest.approx((4 * 1.05 + 0) / 2)


def test_the_evaluation_s_files_hold_every_patient(evaluation, tmp_path, monkeypatch):
    models = SimpleNamespace(checksums={"prsn": "ab"}, pack=None, prsn_cine=None)
    monkeypatch.setattr(evaluation, "_models", lambda *_: models)
    results = [
        result(evaluation, "acute", cubes(8), cubes(6)),
        result(evaluation, "none", cubes(0), cubes(0), error="no heart found"),
    ]
    options = argparse.Namespace(
        model="default",
        runs=None,
        device="cpu",
        first_seed=900_000,
        count=2,
        complete=False,
        sequences=frozenset({"lge"}),
    )
    summary = evaluation.summarize_cohort(results)
    evaluation.write_files(tmp_path, results, summary, options)
    content = json.loads((tmp_path / "phantoms.json").read_text("utf-8"))
    assert content["seeds"] == [900_000, 900_001]
    assert content["weights"] == {"prsn": "ab"} and content["sequences"] == ["lge"]
    with (tmp_path / "phantoms.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["region"] for row in rows].count("scar") == 1
    scar = next(row for row in rows if row["region"] == "scar")
    assert float(scar["dice"]) == pytest.approx(12 / 14)
    assert rows[-1]["reason"] == "no heart found"


def test_exported_weights_do_not_tell_where_files_lay_on_the_machine():
    from myops.training.export import _without_places

    config = {"dae": "/home/somebody/runs/dae/checkpoint.pt", "start": "", "steps": 3}
    assert _without_places(config) == {"dae": "dae/checkpoint.pt", "start": "", "steps": 3}


# Refiner


@pytest.mark.slow
def test_a_refiner_is_trained_exported_and_loaded(tmp_path):
    from myops.refine.refiner import load_refiner
    from myops.training.export import trained_network

    tiny = TINY | {"widths": "4,8,8,8", "steps": "2", "batch_size": "2"}
    path = loop.train("refiner", tiny, tmp_path / "run")
    entry = export_weights(path, tmp_path / "weights")
    model = load_refiner("cpu", folder=tmp_path / "weights")
    assert (model.size, model.checksum) == (32, entry["sha256"])
    kept = trained_network(path).head.change.weight.half().float()
    assert torch.equal(model.network.head.change.weight, kept)


def test_the_cascade_loads_without_weights_that_answer_clicks(tmp_path):
    import shutil

    from myops.refine.refiner import load_refiner
    from myops.weights.files import SHIPPED_FOLDER, load_models

    shutil.copytree(SHIPPED_FOLDER, tmp_path / "weights")
    manifest = tmp_path / "weights" / "manifest.json"
    content = json.loads(manifest.read_text("utf-8"))
    content["networks"] = [n for n in content["networks"] if n["name"] != "clickhead"]
    manifest.write_text(json.dumps(content), encoding="utf-8")
    assert load_models("cpu", folder=tmp_path / "weights").checksums
    expected = "expected weights of clickhead or refiner in .*, found neither; .*train clickhead"
    with pytest.raises(InputError, match=expected):
        load_refiner("cpu", folder=tmp_path / "weights")


def test_the_refiner_s_slices_hold_the_cascade_s_real_errors():
    from myops.training.config import RefinerConfig
    from myops.training.stages.refiner import REFINER_STAGE

    source = mixing.phantom_source(REFINER_STAGE, RefinerConfig())
    slices = data.make_slices(REFINER_STAGE, *source(0), RefinerConfig())
    assert slices is not None
    assert slices["images"].shape[1:] == (3, 80, 80)
    agree = dice(torch.from_numpy(slices["automatic"] >= 2), torch.from_numpy(slices["truth"] >= 2))
    assert 0.5 < agree < 1  # the same heart on the same grid, and not the truth itself
    absent = slices["present"] == 0
    assert np.abs(slices["images"][absent]).max(initial=0) == 0
