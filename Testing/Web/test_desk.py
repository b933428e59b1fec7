"""A reader's desk without a browser: what it tells the page, and what it does not do."""

from __future__ import annotations

import base64
import json
import shutil
import threading

import numpy as np
import pytest

pytest.importorskip("slicer", reason='pip install "myops-segmenter[web]"')

from web_server import waitUntil

from myops.structures import STRUCTURES
from myops_web import shown
from myops_web.desk import Desk
from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork
from MyoPSSegmenterLib.Steps import Autosave
from MyoPSSegmenterLib.Steps.CaseStore import CaseRecord


@pytest.fixture
def desk(patients):
    made = Desk(patients, patients / "myops-study", "AB", "1", "cpu")
    yield made
    made.close()


def heard(desk, wanted):
    """Let it work until it has told something of this name; returns the last of it."""
    found = []

    def look():
        desk.poll()
        found.extend(news for news in desk.news() if wanted in news)
        return bool(found)

    waitUntil(look)
    return found[-1]


def listed(desk):
    waitUntil(lambda: desk.poll() or desk.logic.study.entries)


def test_a_slice_is_told_as_runs_of_labels():
    plane = np.array([[0, 0, 200], [200, 500, 500]], np.uint16)
    assert shown.runs(plane) == [0, 2, 200, 2, 500, 2]
    assert shown.runs(np.zeros((2, 2), np.uint16)) == [0, 4]


def test_the_page_gets_colors_and_labels_from_the_table_of_structures():
    told = shown.constants()
    scar = next(one for one in told["labels"] if one["name"] == "scar")
    assert scar == {"name": "scar", "values": [2221, 2222], "color": STRUCTURES["scar"].color}
    names = [one["name"] for one in told["labels"]]
    # What lies in something else is drawn after it.
    assert names.index("normal_myocardium") < names.index("edema") < names.index("mvo")


@pytest.mark.slow
def test_a_patient_is_told_as_pictures_on_one_grid(desk):
    listed(desk)
    assert [name for name, _ in desk.logic.study.entries] == ["first", "second"]
    desk.obey({"do": "open", "index": 0})
    images = heard(desk, "images")["images"]
    assert [one["name"] for one in images["sequences"]] == ["lge", "bssfp", "t2"]
    slices, rows, columns = images["shape"]
    assert slices == 4
    for one in images["sequences"]:
        pixels = np.frombuffer(base64.b64decode(one["pixels"]), "<u2")
        assert pixels.size == slices * rows * columns
        assert (pixels.min(), pixels.max()) == (0, 65535)
        image = desk.logic.patient.case.images[one["name"]].ravel()
        assert np.array_equal(np.argsort(pixels)[-1:], [int(image.argmax())])
    # All of it is JSON.
    assert json.dumps(images)


@pytest.mark.slow
def test_nothing_wakes_it_while_nothing_is_to_be_done(desk):
    listed(desk)
    desk.obey({"do": "open", "index": 0})
    heard(desk, "images")
    waitUntil(lambda: desk.poll() or (not desk.news() and not desk.is_busy))
    assert desk.wait_s is None
    desk.logic.events.emit("history")  # something is to be saved: a timer until it is
    assert 0 < desk.wait_s <= 0.3
    waitUntil(lambda: desk.poll() or desk.wait_s is None)
    assert desk.logic.study.lastSaved is not None


@pytest.mark.slow
def test_a_full_disk_is_said_once_and_everything_is_saved_when_there_is_room(desk, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    listed(desk)
    desk.obey({"do": "open", "index": 0})
    heard(desk, "images")
    monkeypatch.setattr(Autosave, "RETRY_S", 0.1)
    with monkeypatch.context() as disk:
        disk.setattr(CaseRecord, "write", full)
        desk.logic.events.emit("history")
        assert "No space left on device" in heard(desk, "message")["message"]
        assert desk.logic.study.lastSaved is None
        assert desk.wait_s is not None  # it is tried again
    waitUntil(lambda: desk.poll() or desk.logic.study.lastSaved)
    assert desk.wait_s is None and not [news for news in desk.news() if "message" in news]


def test_the_background_rings_when_it_has_found_something():
    work, rung = BackgroundWork(), threading.Event()
    work.whenEnded(rung.set)
    try:
        task = work.submit("Adding", lambda progress, cancelled: 1 + 1)
        assert rung.wait(10) and task.result is None
        work.poll()
        assert task.result == 2
    finally:
        work.close()


@pytest.mark.slow
def test_a_patient_whose_files_lie_elsewhere_is_not_opened(patients, tmp_path):
    secret = shutil.move(patients / "second", tmp_path / "secret")
    (patients / "second").symlink_to(secret)
    desk = Desk(patients, patients / "myops-study", "AB", "1", "cpu")
    try:
        listed(desk)
        names = [name for name, _ in desk.logic.study.entries]
        if "second" in names:
            desk.obey({"do": "open", "index": names.index("second")})
            assert "leads out of it" in heard(desk, "message")["message"]
        assert desk.logic.study.index is None and not desk.logic.patient.volumes
    finally:
        desk.close()


@pytest.mark.slow
def test_results_are_not_written_through_a_link(patients, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (patients / "myops-study").mkdir()
    (patients / "myops-study" / "first").symlink_to(tmp_path / "elsewhere")
    desk = Desk(patients, patients / "myops-study", "AB", "1", "cpu")
    try:
        listed(desk)
        desk.obey({"do": "open", "index": 0})
        assert "leads out of it" in heard(desk, "message")["message"]
    finally:
        desk.close()
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "message",
    [
        {"do": "open", "index": "../.."},
        {"do": "open", "index": 99},
        {"do": "open", "path": "/etc"},
        {"do": "close"},
        {"do": "__init__"},
        {"do": "click", "slice": 0, "row": 1e9, "column": "x", "positive": True},
        {"do": "click", "slice": 0, "row": 1, "column": 1, "positive": True},
        {"do": "box", "slice": 0, "corners": [1, 2]},
        {"do": "structure", "name": "<img src=x>"},
        {"do": "export"},
        {"do": ["list"]},
        {},
        [],
        None,
    ],
)
def test_a_message_that_means_nothing_is_answered_by_a_sentence(desk, message):
    desk.obey(message)
    assert heard(desk, "message")["message"]
    assert desk.logic.study.index is None
    assert desk.logic.events.failures == []


@pytest.mark.slow
def test_a_folder_without_patients_is_said(tmp_path):
    desk = Desk(tmp_path, tmp_path / "myops-study", "AB", "1", "cpu")
    try:
        assert "expected" in heard(desk, "message")["message"]
    finally:
        desk.close()


def test_of_what_was_added_one_patient_is_opened(desk, monkeypatch):
    listed(desk)
    assert len(desk.logic.study.patients) > 1
    opened = []
    monkeypatch.setattr(desk, "_open", opened.append)
    desk._added = desk._folder.resolve()
    desk.poll()
    desk.poll()
    assert opened == [0]
