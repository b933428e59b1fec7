"""A saved session goes on as if it had never ended, and no damage is taken for a session."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from circle_heart import circle_case, circle_labels, circle_segmentation
from disc_refiner import DiscRefiner
from fresh_python import MODULE, loaded_after
from hypothesis import given, settings
from hypothesis import strategies as st

from myops.errors import InputError
from myops.refine.missing_refiner import NoRefiner
from myops.refine.record import from_record, to_record
from myops.refine.replay import replay
from myops.refine.rules import FIRST_RULES, Rules
from myops.refine.session import Session
from myops.refine.state_file import PLANES, START, STATE, read_state, restore, save_state, to_state

REMOTE, ELSEWHERE, IN_SCAR = (64, 48), (48, 64), (32, 44)


def new_session(case=None):
    case = case or circle_case()
    start = circle_segmentation(case, warnings=("blurred: 10 % of the edges",))
    start = replace(start, machine={"precision": "float32", "torch": "2.9.1", "threads": 2})
    rng = np.random.default_rng(0)  # values that a coarser type could not hold
    chances = {
        name: np.clip(volume * 0.9 + rng.random(volume.shape, np.float32) * 0.1, 0, 1)
        for name, volume in start.probabilities.items()
    }
    return Session(DiscRefiner(), case, replace(start, probabilities=chances))


def played():
    """A session with every kind of step, two of them undone."""
    session = new_session()
    session.click("scar", 2, *REMOTE)
    session.click("scar", 2, *ELSEWHERE, positive=False)
    session.box("edema", 1, (62, 46, 65, 50))
    session.rules = Rules(allow_blood_pool=True)
    session.click("scar", 3, *IN_SCAR)
    session.move_click(2, 0, 66.25, 50.5)
    painted = session.labels.copy()
    painted[4, 48, 48] = 2222
    session.accept_labels(painted, "Pinsel – größer")
    session.click("mvo", 2, *IN_SCAR)
    session.delete_click(2, 0)
    session.undo()
    session.undo()
    return session


@pytest.fixture
def saved(tmp_path):
    session = played()
    return session, save_state(tmp_path / "Jörg Ö" / "state.npz", session)


def resumed(path, case=None, refiner=None):
    return restore(read_state(path), case or circle_case(), refiner or DiscRefiner())


def same(one: Session, other: Session) -> None:
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.corrections == other.corrections
    assert one.history.names == other.history.names
    assert one.history.undo_name == other.history.undo_name
    assert one.history.redo_name == other.history.redo_name
    assert one.rules == other.rules and one.start_rules == other.start_rules


def test_a_resumed_session_is_what_it_was(saved):
    session, path = saved
    again = resumed(path)
    same(session, again)
    assert again.steps == session.steps
    assert again.labels.dtype == np.uint16 and not again.labels.flags.writeable
    # Equal slices are kept once.
    assert again.history.packed_bytes <= session.history.packed_bytes


def test_where_it_started_comes_back_bit_for_bit(saved):
    session, path = saved
    start = read_state(path).segmentation
    np.testing.assert_array_equal(start.labels, session.start.labels)
    np.testing.assert_array_equal(start.uncertainty, session.start.uncertainty)
    assert start.machine == session.start.machine != {}
    assert set(start.probabilities) == set(session.start.probabilities)
    for name, volume in session.start.probabilities.items():
        assert start.probabilities[name].dtype == np.float32
        np.testing.assert_array_equal(start.probabilities[name], volume)
    for name in ("geometry", "assessed", "model", "seconds", "warnings"):
        assert getattr(start, name) == getattr(session.start, name), name


def test_undo_and_redo_go_the_same_way_to_both_ends(saved):
    session, path = saved
    again = resumed(path)
    for act in ("redo", "redo", *["undo"] * 8, *["redo"] * 4):
        getattr(session, act)()
        getattr(again, act)()
        same(session, again)


ACTS = {
    "click": lambda s: s.click("scar", 2, 60, 50),
    "minus": lambda s: s.click("scar", 3, *IN_SCAR[:1], 46, positive=False),
    "move": lambda s: s.move_click(2, 0, 60, 52),
    "delete": lambda s: s.delete_click(2, 1),
    "box": lambda s: s.box("scar", 1, (62, 46, 65, 50)),
    "edema": lambda s: s.click("edema", 3, *ELSEWHERE),
    "blood": lambda s: s.click("scar", 2, 48, 50),
    "undo": lambda s: s.undo(),
}


@pytest.mark.parametrize("act", ACTS)
def test_what_is_done_after_resuming_gives_the_identical_labels(saved, act):
    session, path = saved
    again = resumed(path)
    one, other = ACTS[act](session), ACTS[act](again)
    assert one.labels_sha256 == other.labels_sha256
    assert (one.changed_voxels, one.refused_voxels) == (other.changed_voxels, other.refused_voxels)
    same(session, again)


@pytest.mark.parametrize("taking", ["connected", "whole"])
def test_how_much_of_an_answer_is_taken_is_the_same_after_resuming(tmp_path, taking):
    case = circle_case()
    session = Session(DiscRefiner(), case, circle_segmentation(case), taking=taking)
    assert resumed(save_state(tmp_path / "state.npz", session)).taking == taking


def test_it_can_be_saved_and_resumed_again_and_again(saved, tmp_path):
    session, path = saved
    for number in range(5):
        again = resumed(path)
        again.click("scar", 1, 60 + number, 48)
        session.click("scar", 1, 60 + number, 48)
        path = save_state(tmp_path / f"{number}.npz", again)
    same(session, resumed(path))


def test_the_state_of_a_session_does_not_change_with_it(tmp_path):
    session = played()
    state, labels = to_state(session), session.labels
    session.click("scar", 1, *REMOTE)
    session.rules = Rules()
    path = save_state(tmp_path / "state.npz", state)
    again = resumed(path)
    np.testing.assert_array_equal(again.labels, labels)
    assert again.rules == Rules(allow_blood_pool=True)
    # Two sessions that go on from one state leave each other alone.
    one, other = (restore(state, session.case, DiscRefiner()) for _ in range(2))
    one.undo()
    np.testing.assert_array_equal(other.labels, labels)


def test_a_session_without_steps_is_saved_too(tmp_path):
    session = new_session()
    again = resumed(save_state(tmp_path / "state.npz", session))
    np.testing.assert_array_equal(again.labels, circle_labels())
    assert again.steps == [] and again.history.undo_name is None


def test_no_torch_is_needed():
    assert "torch" not in loaded_after("myops.refine.state_file")
    assert "torch" not in loaded_after("myops.refine.missing_refiner")


def test_without_torch_everything_but_prompts_works(saved):
    session, path = saved
    again = resumed(path, refiner=NoRefiner())
    same(session, again)
    painted = again.labels.copy()
    painted[0, 10, 10] = 200
    again.accept_labels(painted, "paint")
    again.undo()
    assert again.refiner.encoded == frozenset(range(5))
    again.refiner.encode()
    before = again.labels
    with pytest.raises(InputError, match="expected PyTorch .* found none; press Install"):
        again.click("scar", 2, *REMOTE)
    np.testing.assert_array_equal(again.labels, before)
    assert from_record(json.loads(json.dumps(to_record(again)))).refiner_sha256 is None


@pytest.mark.parametrize("sequence", ["lge", "t2"])
def test_other_images_are_refused_and_named(saved, sequence):
    changed = circle_case().images[sequence].copy()
    changed[2, 5, 5] += 1
    other = circle_case(changed={sequence: changed})
    with pytest.raises(InputError, match=f"found another {sequence}; load the same images"):
        resumed(saved[1], other)


def test_a_missing_sequence_is_refused(saved):
    with pytest.raises(InputError, match="found another t2"):
        resumed(saved[1], circle_case(sequences=("bssfp", "lge")))


def test_the_same_voxels_at_another_place_are_refused(saved):
    case = circle_case()
    moved = replace(case, geometry=replace(case.geometry, origin_mm=(0.0, 0.0, 0.0)))
    with pytest.raises(InputError, match="position or spacing"):
        resumed(saved[1], moved)


def test_rules_that_changed_are_replayed_at_their_step():
    session = played()
    record = from_record(json.loads(json.dumps(to_record(session))))
    again = replay(record, session.case, session.start, DiscRefiner())
    assert again.differences == ()
    same(session, again.session)


def test_setting_the_same_rules_is_no_step():
    session = new_session()
    session.rules = FIRST_RULES
    assert session.steps == []
    session.rules = Rules(keep_inside=False)
    assert [step.action for step in session.steps] == ["rules"]
    assert session.history.names == ()


def test_nothing_names_the_patient_but_the_cases_name(saved):
    with zipfile.ZipFile(saved[1]) as archive:
        values = json.loads(archive.read(STATE))
    assert values["case"] == "circle heart"
    assert not any("/" in text for text in json.dumps(values["start"]).split('"'))


# Kills.

TESTS = Path(__file__).parents[1]

SAVER = """
import sys
sys.path[:0] = {paths!r}
import numpy as np
from disc_refiner import DiscRefiner
from test_saved import new_session
from myops.refine.state_file import save_state
session = new_session()
number = 0
while True:
    session.click("scar", 1 + number % 3, 60 + number % 7, 46 + number % 5)
    number += 1
    save_state(sys.argv[1], session)
    print(number, session.steps[-1].labels_sha256, flush=True)
"""


def test_a_kill_at_any_moment_loses_at_most_the_step_that_was_being_saved(tmp_path):
    path = tmp_path / "state.npz"
    code = SAVER.format(
        paths=[str(MODULE), str(Path(__file__).parent), str(TESTS), str(TESTS.parent / "hearts")]
    )
    for delay_s in (0.0, 0.013, 0.031, 0.052):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, encoding="utf-8"
        ) as saver:
            assert saver.stdout is not None
            told = [saver.stdout.readline()]
            time.sleep(delay_s)
            os.kill(saver.pid, signal.SIGKILL)
            told += saver.stdout.read().splitlines()
        number, checksum = told[-1].split()
        state = read_state(path)
        again = restore(state, circle_case(), DiscRefiner())
        assert len(again.steps) in (int(number), int(number) + 1)
        assert again.steps[int(number) - 1].labels_sha256 == checksum
        again.undo()


def test_two_threads_that_save_at_once_leave_a_whole_file(tmp_path):
    path, session = tmp_path / "state.npz", played()
    states = [to_state(session)]
    session.undo()
    states.append(to_state(session))
    threads = [
        threading.Thread(target=lambda s=state: [save_state(path, s) for _ in range(10)])
        for state in states
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_state(path).steps) in {len(state.steps) for state in states}
    assert [file.name for file in tmp_path.iterdir()] == ["state.npz"]


def test_a_full_disk_leaves_the_earlier_state(saved, monkeypatch):
    session, path = saved
    before = path.read_bytes()
    session.click("scar", 1, *REMOTE)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        save_state(path, session)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["state.npz"]


# Damage.


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match=r"state\.npz: expected a saved session, found No such"):
        read_state(tmp_path / "state.npz")


@settings(max_examples=60, deadline=None)
@given(cut=st.floats(0, 0.999))
def test_a_file_cut_off_anywhere_is_refused(tmp_path_factory, cut):
    path = tmp_path_factory.getbasetemp() / "cut.npz"
    content = packed_session()
    path.write_bytes(content[: int(cut * len(content))])
    with pytest.raises(InputError):
        read_state(path)


@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 0.999), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_harmless(tmp_path_factory, place, bit):
    path = tmp_path_factory.getbasetemp() / "flipped.npz"
    content = bytearray(packed_session())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    try:
        state = read_state(path)
    except InputError:
        return
    np.testing.assert_array_equal(state.labels, read_whole().labels)
    assert state.steps == read_whole().steps


_whole: dict[str, object] = {}


def packed_session() -> bytes:
    if "content" not in _whole:
        with tempfile.TemporaryDirectory() as folder:
            path = save_state(Path(folder) / "whole.npz", played())
            _whole["content"], _whole["state"] = path.read_bytes(), read_state(path)
    return _whole["content"]


def read_whole():
    packed_session()
    return _whole["state"]


def rewritten(path: Path, name: str, content: bytes) -> Path:
    """The same file with another member, its checksum right."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, old in members.items():
            archive.writestr(member, content if member == name else old)
    return path


def npy(array: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def changed(values: dict, where: list, value: object) -> bytes:
    place = values
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    return json.dumps(values).encode()


HOSTILE = {
    "format": (["format"], 2),
    "position beyond": (["position"], 99),
    "position below": (["position"], -1),
    "position no number": (["position"], "1"),
    "plane beyond": (["strokes", 0, 2], 999),
    "plane below": (["strokes", 0, 2], -1),
    "plane true": (["strokes", 0, 2], True),
    "slices missing": (["snapshots", 0, 1], [0, 1]),
    "structure": (["corrections", 0, 0], "heart"),
    "slice beyond": (["corrections", 0, 1], 5),
    "click outside": (["strokes", 0, 1, 0], 1e9),
    "click not a number": (["strokes", 0, 1, 0], float("nan")),
    "sign in words": (["strokes", 0, 1, 2], "false"),
    "kind": (["strokes", 0, 0], "lasso"),
    "grid too large": (["start", "size_xyz"], [100000, 100000, 100000]),
    "grid of nothing": (["start", "size_xyz"], [0, 96, 5]),
    "grid of another size": (["start", "size_xyz"], [95, 96, 5]),
    "spacing": (["start", "spacing_mm"], [1, 1]),
    "spacing of nothing": (["start", "spacing_mm"], [float("inf"), 1, 1]),
    "rules": (["rules"], [{"keep_inside": "false"}, {}]),
    "unknown rules": (["rules"], [{"all": True}, {}]),
    "lengths": (["planes"], [-1, 2]),
    "lengths missing": (["planes"], []),
    "steps": (["steps", 0, "action"], "format disk"),
    "step without time": (["steps", 0, "time"], None),
    "checksums": (["images_sha256"], [1]),
    "tables": (["snapshots"], None),
    "no snapshots": (["snapshots"], []),
}


@pytest.mark.parametrize("damage", HOSTILE)
def test_hostile_numbers_are_refused_in_one_line(saved, damage):
    with zipfile.ZipFile(saved[1]) as archive:
        values = json.loads(archive.read(STATE))
    rewritten(saved[1], STATE, changed(values, *HOSTILE[damage]))
    with pytest.raises(InputError, match=r"^state\.npz: expected") as refused:
        read_state(saved[1])
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


MEMBERS = {
    "no JSON": (STATE, b"{"),
    "deep JSON": (STATE, b"[" * 100_000),
    "a list": (STATE, b"[]"),
    "no text": (STATE, b"\xff\xfe{}"),
    "planes of objects": (PLANES, npy(np.array([{}], object), allow_pickle=True)),
    "planes missing": (PLANES, npy(np.zeros(0, np.uint8))),
    "planes no array": (PLANES, b"\x93NUMPY"),
    "start no archive": (START, b"PK\x03\x04"),
    "start empty": (START, b""),
}


@pytest.mark.parametrize("damage", MEMBERS)
def test_hostile_members_are_refused(saved, damage):
    rewritten(saved[1], *MEMBERS[damage])
    with pytest.raises(InputError, match=r"^state\.npz: expected"):
        read_state(saved[1])


def start_with(path: Path, name: str, array: np.ndarray) -> bytes:
    with zipfile.ZipFile(path) as archive, np.load(io.BytesIO(archive.read(START))) as start:
        arrays = {**start, name: array}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


STARTS = {
    "pickles": ("labels", np.array([[{}]], object), "found"),
    "another size": ("uncertainty", np.zeros((4, 96, 96), np.float32), r"found float32 \(4, 96"),
    "a bomb": ("labels", np.zeros((5, 960, 960), np.uint16), "bytes at most"),
    "another kind": ("labels", np.zeros((5, 96, 96), np.float32), "labels as uint16"),
    "no labels": ("labels", np.full((5, 96, 96), 7, np.uint16), "found 7"),
}


@pytest.mark.parametrize("damage", STARTS)
def test_hostile_starts_are_refused(saved, damage):
    name, array, words = STARTS[damage]
    rewritten(saved[1], START, start_with(saved[1], name, array))
    with pytest.raises(InputError, match=words):
        read_state(saved[1])


def test_a_header_that_claims_terabytes_takes_no_memory(saved):
    """An array file may claim any shape; the archive's own size says how much there can be."""
    content = start_with(saved[1], "labels", np.zeros((5, 96, 96), np.uint16))
    header = npy(np.zeros(1, np.uint16)).replace(b"(1,)", b"(900000000000,)")[:128]
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for member in old.namelist():
            new.writestr(member, header if member == "labels.npy" else old.read(member))
    rewritten(saved[1], START, stream.getvalue())
    with pytest.raises(InputError):
        read_state(saved[1])


def test_labels_that_are_none_are_found_in_the_history(saved):
    import zlib

    with zipfile.ZipFile(saved[1]) as archive:
        values = json.loads(archive.read(STATE))
        content = np.load(io.BytesIO(archive.read(PLANES))).tobytes()
    for plane in (np.full((96, 96), 7, "<u2"), np.zeros((96, 95), "<u2"), np.zeros((960, 960))):
        packed = zlib.compress(plane.tobytes())
        lengths = [len(packed), *values["planes"][1:]]
        data = packed + content[values["planes"][0] :]
        rewritten(saved[1], PLANES, npy(np.frombuffer(data, np.uint8)))
        rewritten(saved[1], STATE, json.dumps({**values, "planes": lengths}).encode())
        with pytest.raises(InputError, match="packed slice"):
            read_state(saved[1])


def test_a_state_of_a_newer_program_says_so(saved):
    with zipfile.ZipFile(saved[1]) as archive:
        values = json.loads(archive.read(STATE))
    rewritten(saved[1], STATE, json.dumps({**values, "format": 2}).encode())
    with pytest.raises(InputError, match="open it with the version that wrote it"):
        read_state(saved[1])
