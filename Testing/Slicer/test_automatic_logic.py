"""The automatic segmentation on a real scene: published whole or not at all, never over work."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from myops.errors import InputError
from MyoPSSegmenterLib.Runtime import Devices
from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork
from MyoPSSegmenterLib.Runtime.Events import Events
from MyoPSSegmenterLib.Scene.SegmentationNodes import readLabels
from MyoPSSegmenterLib.Steps import AutomaticLogic as module
from MyoPSSegmenterLib.Steps.AutomaticLogic import AutomaticLogic
from MyoPSSegmenterLib.Steps.CorrectionLogic import CorrectionLogic
from MyoPSSegmenterLib.Steps.PatientLogic import PatientLogic

TIMEOUT_S = 120.0
SEGMENTATION = "vtkMRMLSegmentationNode"


class Desk:
    """A scene with a patient, ready to be segmented."""

    def __init__(self, scene, folder):
        self.scene = scene
        self.events = Events()
        self.work = BackgroundWork(self.events)
        self.messages = []
        self.events.connect("message", lambda text, level: self.messages.append((level, text)))
        self.told = []
        self.events.connect("automatic", lambda: self.told.append(self.logic.isRunning))
        self.patient = PatientLogic(scene, self.events, self.work)
        self.correction = CorrectionLogic(scene, self.events, self.work)
        self.logic = AutomaticLogic(scene, self.events, self.work, self.patient, self.correction)
        if folder is not None:
            self.patient.loadFolder(folder)

    def segment(self, **arguments):
        task = self.work.waitFor(self.logic.run(device="cpu", **arguments), TIMEOUT_S)
        self.work.waitForAll(TIMEOUT_S)
        return task

    def nodes(self):
        found = self.scene.GetNodesByClass(SEGMENTATION)
        found.UnRegister(None)
        return [found.GetItemAsObject(k) for k in range(found.GetNumberOfItems())]

    def said(self, level):
        return [text for kind, text in self.messages if kind == level]

    def close(self):
        for part in (self.logic, self.correction, self.patient, self.work):
            part.close()
        assert self.events.failures == []


@pytest.fixture
def desk(scene, phantomFolder):
    made = Desk(scene, phantomFolder)
    yield made
    made.close()


class FakeNetworks:
    """In the place of the networks: gives a known result, waits or fails as told."""

    def __init__(self, segmentation):
        self.segmentation = segmentation
        self.devices, self.error = [], None
        self.begun, self.open = threading.Event(), threading.Event()
        self.open.set()

    def __call__(self, case, networks, device, model, progress, cancelled):
        self.devices.append(device)
        progress(0.5, "PRSN")
        self.begun.set()
        while not self.open.wait(0.005):
            if cancelled():
                raise RuntimeError("canceled")
        if self.error is not None:
            raise self.error
        return self.segmentation, networks


@pytest.fixture
def networks(monkeypatch, segmentedCase):
    fake = FakeNetworks(segmentedCase[1])
    monkeypatch.setattr(module, "_run", fake)
    monkeypatch.setattr(module, "usableDevice", lambda name: ("cpu", None))
    return fake


@pytest.mark.slow
def test_the_result_is_that_of_the_library_voxel_for_voxel(desk, segmentedCase):
    case, expected = segmentedCase
    task = desk.segment()
    assert task.state == "done" and desk.logic.device == "cpu"
    assert np.array_equal(desk.logic.segmentation.labels, expected.labels)
    assert np.array_equal(desk.correction.labels, expected.labels)
    assert np.array_equal(readLabels(desk.correction.node, case), expected.labels)
    assert desk.nodes() == [desk.correction.node]
    assert desk.correction.refinerState == "ready"
    assert desk.logic._networks  # the next patient does not wait for them
    for name, chance in expected.probabilities.items():
        assert np.array_equal(desk.logic.segmentation.probabilities[name], chance)


def test_the_node_has_names_colors_and_the_grid_of_the_reference(desk, networks):
    desk.segment()
    node = desk.correction.node
    assert node.GetName().endswith("segmentation")
    reference = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    assert reference is desk.patient.volumes["lge"]
    ids = set(node.GetSegmentation().GetSegmentIDs())
    assert {"normal_myocardium", "blood_pool", "scar", "edema"} <= ids


def test_events_tell_when_it_runs_and_when_it_is_over(desk, networks):
    networks.open.clear()
    task = desk.logic.run("cpu")
    assert desk.logic.isRunning and desk.told == [True]
    assert desk.logic.run("cpu") is None  # one at a time
    assert networks.begun.wait(TIMEOUT_S)
    assert (task.fraction, task.stage) == (0.5, "PRSN") and task.remainingSeconds is not None
    networks.open.set()
    desk.work.waitFor(task, TIMEOUT_S)
    assert desk.told[-1] is False and not desk.logic.isRunning


def test_cancel_in_the_middle_publishes_nothing(desk, networks):
    networks.open.clear()
    task = desk.logic.run("cpu")
    assert networks.begun.wait(TIMEOUT_S)
    desk.logic.cancel()
    assert not desk.logic.isRunning and desk.told[-1] is False
    desk.work.waitForAll(TIMEOUT_S)
    assert task.state == "cancelled" and desk.nodes() == []
    assert desk.correction.session is None and desk.logic.segmentation is None
    assert desk.said("info")[-1] == module.CANCELED and desk.said("error") == []
    networks.open.set()
    assert desk.segment().state == "done"


def test_cancel_after_the_networks_ended_still_publishes_nothing(desk, networks):
    task = desk.logic.run("cpu")
    while desk.work._queue.isWorking:
        networks.begun.wait(0.01)
    desk.logic.cancel()
    desk.work.poll()
    assert task.state == "cancelled" and desk.nodes() == [] and desk.correction.session is None


@pytest.mark.slow
def test_cancel_of_the_real_networks_is_heard_between_their_steps(desk):
    task = desk.logic.run("cpu")
    while task.fraction == 0 and not task.isOver:
        desk.work.poll(giveMs=2)
    desk.logic.cancel()
    desk.work.waitForAll(TIMEOUT_S)
    assert task.state == "cancelled" and desk.nodes() == []


def test_an_error_publishes_nothing_and_is_told(desk, networks):
    desk.segment()
    node, labels = desk.correction.node, desk.correction.labels
    networks.error = InputError("expected a heart in the images, found none")
    task = desk.segment()
    assert task.state == "failed" and desk.nodes() == [node]
    assert desk.correction.labels is labels and desk.correction.node is node
    assert desk.logic.problem == "expected a heart in the images, found none"
    assert desk.said("error") == [
        "The automatic segmentation failed: expected a heart in the images, found none"
    ]
    networks.error = None
    assert desk.segment().state == "done" and desk.logic.problem is None


def test_what_fails_while_publishing_is_rolled_back(desk, networks, monkeypatch):
    desk.segment()
    node, labels = desk.correction.node, desk.correction.labels
    count = desk.scene.GetNumberOfNodes()

    def broken(*_, **__):
        raise InputError("expected room for a node, found none")

    monkeypatch.setattr(desk.correction, "start", broken)
    assert desk.segment().state == "failed"
    assert desk.nodes() == [node] and desk.correction.labels is labels
    assert desk.scene.GetNumberOfNodes() == count


def test_running_again_replaces_a_result_that_nobody_touched(desk, networks):
    desk.segment()
    assert desk.logic.needsQuestion() is None
    first = desk.correction.node.GetID()
    desk.segment()
    assert len(desk.nodes()) == 1 and desk.correction.node.GetID() != first


def test_running_again_after_manual_work_asks_and_makes_a_new_version(desk, networks):
    desk.segment()
    desk.correction.expand(2.0)
    old, labels = desk.correction.node, desk.correction.labels.copy()
    assert "corrected by hand" in desk.logic.needsQuestion()
    desk.segment()
    assert old in desk.nodes() and len(desk.nodes()) == 2
    assert old.GetName().endswith("(corrected)") and not old.GetDisplayVisibility()
    assert np.array_equal(readLabels(old, desk.patient.case), labels)
    assert np.array_equal(desk.correction.labels, networks.segmentation.labels)
    assert desk.logic.needsQuestion() is None
    desk.correction.expand(1.0)
    desk.segment()
    assert len({node.GetName() for node in desk.nodes()}) == 3


@pytest.mark.slow
def test_work_of_the_segment_editor_that_was_not_adopted_yet_counts_as_manual(desk, networks):
    from MyoPSSegmenterLib.Scene.SegmentationNodes import publishLabels

    desk.segment()
    labels = desk.correction.labels.copy()
    labels[labels == 200] = 2221
    publishLabels(desk.correction.node, desk.patient.case, labels)
    desk.segment()
    assert len(desk.nodes()) == 2


def test_images_that_changed_meanwhile_are_not_given_a_result(desk, networks):
    networks.open.clear()
    task = desk.logic.run("cpu")
    assert networks.begun.wait(TIMEOUT_S)
    desk.patient.swap("lge", "bssfp")
    networks.open.set()
    desk.work.waitFor(task, TIMEOUT_S)
    assert task.state == "failed" and desk.nodes() == []
    assert "changed" in desk.logic.problem


def test_another_name_of_the_patient_is_no_other_image(desk, networks):
    networks.open.clear()
    task = desk.logic.run("cpu")
    assert networks.begun.wait(TIMEOUT_S)
    desk.patient.rename("Patient 7")
    networks.open.set()
    desk.work.waitFor(task, TIMEOUT_S)
    assert task.state == "done" and desk.correction.case is desk.patient.case


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["running", "ended"])
def test_closing_the_scene_in_the_middle_publishes_nothing(desk, networks, phantomFolder, moment):
    networks.open.clear()
    task = desk.logic.run("cpu")
    assert networks.begun.wait(TIMEOUT_S)
    if moment == "ended":
        networks.open.set()
        while desk.work._queue.isWorking:
            networks.begun.wait(0.01)
    desk.scene.Clear(0)
    desk.work.waitForAll(TIMEOUT_S)
    assert task.state == "cancelled" and desk.nodes() == [] and desk.logic.task is None
    networks.open.set()
    desk.patient.loadFolder(phantomFolder)
    assert desk.segment().state == "done" and len(desk.nodes()) == 1


def test_deleting_a_volume_in_the_middle_is_told(desk, networks):
    networks.open.clear()
    task = desk.logic.run("cpu")
    assert networks.begun.wait(TIMEOUT_S)
    desk.scene.RemoveNode(desk.patient.volumes["lge"])
    networks.open.set()
    desk.work.waitFor(task, TIMEOUT_S)
    assert task.state == "failed" and desk.nodes() == []


@pytest.fixture
def secondFolder(phantomFolder, tmp_path):
    """Give another patient: the same images under exchanged names."""
    import shutil

    folder = tmp_path / "second"
    folder.mkdir()
    for kind, other in (("C0", "DE"), ("DE", "C0")):
        found = next(phantomFolder.glob(f"*_{kind}.nii.gz"))
        shutil.copy(found, folder / f"second_{other}.nii.gz")
    return folder


def test_another_patients_images_end_the_corrections_and_the_untouched_result_goes(
    desk, networks, secondFolder
):
    desk.segment()
    desk.patient.loadFolder(secondFolder)
    desk.work.poll()
    assert desk.correction.session is None and desk.nodes() == []
    assert desk.logic.segmentation is None


def test_another_patients_images_keep_manual_work_hidden(desk, networks, secondFolder):
    desk.segment()
    desk.correction.expand(2.0)
    node = desk.correction.node
    desk.patient.loadFolder(secondFolder)
    desk.work.poll()
    assert desk.correction.session is None and desk.nodes() == [node]
    assert not node.GetDisplayVisibility() and node.GetName().endswith("(corrected)")


def test_another_name_or_an_aligned_second_sequence_keep_the_corrections(desk, networks):
    desk.segment()
    session = desk.correction.session
    desk.patient.rename("Patient 7")
    desk.patient.setVolumes(lge=desk.patient.volumes["lge"])
    desk.work.poll()
    assert desk.correction.session is session


def test_without_images_it_says_what_is_missing(scene):
    desk = Desk(scene, None)
    assert desk.logic.run("cpu") is None
    assert desk.said("warning") == ["Choose an LGE or a bSSFP volume."]
    desk.close()


def test_without_torch_there_are_no_devices_and_run_says_what_to_install(desk, monkeypatch):
    monkeypatch.setattr(Devices, "hasTorch", lambda: False)
    monkeypatch.setattr(module, "hasTorch", lambda: False)
    assert desk.logic.devices() == [] and desk.logic.run() is None
    assert desk.said("warning") == [module.NO_TORCH]


def test_a_torch_that_cannot_be_imported_is_told_like_a_missing_one(desk, networks):
    networks.error = ModuleNotFoundError("No module named 'torch'")
    assert desk.segment().state == "failed" and desk.logic.problem == module.NO_TORCH


def test_devices_are_the_cpu_and_each_gpu_by_name():
    fake = SimpleNamespace(
        cuda=SimpleNamespace(
            device_count=lambda: 2, get_device_name=lambda k: ("RTX A", "RTX B")[k]
        ),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: True)),
    )
    assert Devices._accelerators(fake) == [
        ("cuda:0", "RTX A"),
        ("cuda:1", "RTX B"),
        ("mps", "Apple GPU"),
    ]


def test_devices_answer_at_once_and_look_for_gpus_in_the_background(desk, monkeypatch):
    asked = []

    def find():  # its driver starts with the first question for a name
        asked.append(threading.current_thread())
        return [("cuda:0", "RTX A")]

    monkeypatch.setattr(module, "findGpus", find)
    assert desk.logic.devices() == [("auto", "Automatic"), ("cpu", "CPU")]
    desk.work.waitForAll(TIMEOUT_S)
    assert len(desk.told) == 1
    for _ in range(3):  # with every update of the panel
        assert desk.logic.devices()[2:] == [("cuda:0", "RTX A")]
    assert len(asked) == 1 and asked[0] is not threading.main_thread()
    assert desk.logic.models()[0][0] == "default"


def test_a_device_that_cannot_run_a_test_kernel_is_replaced_by_the_cpu(desk, networks, monkeypatch):
    monkeypatch.setattr(module, "usableDevice", Devices.usableDevice)
    torch = pytest.importorskip("torch")
    monkeypatch.setattr("myops.networks.device.resolve_device", lambda name: torch.device("cuda:0"))
    monkeypatch.setattr(
        Devices, "kernelProblem", lambda device: "no kernel image is available for execution"
    )
    desk.work.waitFor(desk.logic.run("cuda:0"), TIMEOUT_S)
    assert networks.devices == ["cpu"] and desk.logic.device == "cpu"
    assert any("no kernel image" in text for text in desk.said("warning"))


def test_the_test_kernel_passes_on_the_cpu_and_fails_on_a_device_that_is_not_there():
    pytest.importorskip("torch")
    assert Devices.kernelProblem("cpu") is None
    assert Devices.kernelProblem("cuda:99")
    assert Devices.usableDevice("cpu") == ("cpu", None)
    with pytest.raises(InputError, match="not available"):
        Devices.usableDevice("cuda:99")


def test_a_gpu_that_fails_in_the_middle_is_replaced_by_the_cpu(desk, networks, monkeypatch):
    good = networks.__call__

    def run(case, loaded, device, model, progress, cancelled):
        if device == "cuda:0":
            raise RuntimeError("CUDA out of memory\nmore")
        return good(case, loaded, device, model, progress, cancelled)

    monkeypatch.setattr(module, "_run", run)
    monkeypatch.setattr(module, "usableDevice", lambda name: ("cuda:0", None))
    desk.work.waitFor(desk.logic.run("cuda:0"), TIMEOUT_S)
    assert desk.logic.device == "cpu" and desk.logic.segmentation is not None
    assert any("CUDA out of memory" in text for text in desk.said("warning"))


def test_an_unknown_model_is_told(desk, monkeypatch):
    desk.segment(model="nonsense")
    assert "unknown model" in desk.logic.problem and desk.nodes() == []


def test_a_scene_that_was_saved_and_loaded_goes_on_where_it_was(
    desk, networks, sceneWithLogics, tmp_path
):
    desk.segment()
    desk.correction.expand(3.0)
    labels = desk.correction.labels.copy()
    path = str(tmp_path / "scene.mrb")
    assert desk.scene.WriteToMRB(path)
    desk.scene.Clear(0)
    assert desk.correction.session is None
    assert desk.scene.ReadFromMRB(path)
    desk.work.poll()
    node = desk.nodes()[0]
    assert desk.patient.ready() is None
    assert np.array_equal(readLabels(node, desk.patient.case), labels)
    desk.work.waitFor(desk.logic.resume(node, "cpu"), TIMEOUT_S)
    assert desk.correction.node is node and np.array_equal(desk.correction.labels, labels)
    assert desk.correction.hasManualWork and desk.logic.needsQuestion()
    desk.work.waitForAll(TIMEOUT_S)
    assert desk.correction.smooth(2.0) == "done"


def test_a_segmentation_without_our_segments_cannot_be_resumed(desk, networks):
    node = desk.scene.AddNewNodeByClass(SEGMENTATION, "foreign")
    desk.work.waitFor(desk.logic.resume(node, "cpu"), TIMEOUT_S)
    assert "found none" in desk.logic.problem and desk.correction.session is None


def test_resuming_a_segmentation_that_was_deleted_meanwhile_is_told(desk, networks):
    node = desk.scene.AddNewNodeByClass(SEGMENTATION, "gone")
    task = desk.logic.resume(node, "cpu")
    desk.scene.RemoveNode(node)
    desk.work.waitFor(task, TIMEOUT_S)
    assert "deleted" in desk.logic.problem


def test_a_single_sequence_is_enough_and_what_was_not_assessed_has_no_segment(
    desk, networks, monkeypatch
):
    desk.patient.setVolumes(lge=desk.patient.volumes["lge"])
    labels = networks.segmentation.labels.copy()
    labels[labels == 1220] = 200
    networks.segmentation = replace(
        networks.segmentation, labels=labels, assessed=frozenset({"scar"})
    )
    assert desk.segment().state == "done"
    assert desk.correction.node.GetSegmentation().GetSegment("edema") is None


def test_the_message_says_whose_weights_were_used(desk, networks):
    pack = {"name": "synthetic", "license": "MIT", "instead_of": "public-hearts"}
    networks.segmentation = replace(networks.segmentation, pack=pack)
    desk.segment()
    said = desk.said("info")[-1]
    assert "with the weights synthetic (MIT). public-hearts was asked for, but is not" in said
    networks.segmentation = replace(networks.segmentation, pack={})
    desk.segment()
    assert desk.said("info")[-1].endswith(" s on the CPU.")


def test_nothing_observes_the_scene_after_close(scene, phantomFolder, networks):
    desk = Desk(scene, phantomFolder)
    desk.segment()
    desk.close()
    assert desk.logic._observations.count == 0
    scene.Clear(0)
    desk.work.poll()
