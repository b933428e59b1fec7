"""A reader's desk: a scene with the logic of the Slicer panel, told by name what to do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from myops.errors import InputError
from myops.report.bullseye import QUANTITIES, Quantity
from myops_web import shown
from myops_web.heart3d import Heart3D
from myops_web.inside import check_inside, is_inside, source_paths
from myops_web.scene import Scene
from MyoPSSegmenterLib.ModuleLogic import MyoPSLogic
from MyoPSSegmenterLib.Runtime.BackgroundWork import Task, inWords
from MyoPSSegmenterLib.Scene.SceneBridge import worldFromVoxel

EXPORTED = "export"
# While something runs: how often its progress is shown. Its end is told at once.
BUSY_S = 0.1


class Desk:
    """One reader's case list and open case.

    `obey` takes what the page sent, `news` gives what it has to show. Of the page only numbers and
    words of fixed lists are taken: it names no file.
    """

    def __init__(self, folder: Path, results: Path, reader: str, reading: str, device: str) -> None:
        """Open the case list.

        Args:
            folder: of patients.
            results: gets the readings.
            reader: checked initials.
            reading: its number.
            device: of the networks.
        """
        self._folder, self._results, self._device = folder, results, device
        self._who = (reader, reading)
        self._cache = tempfile.TemporaryDirectory(prefix="myops-web-")
        self._made = Scene(Path(self._cache.name))
        self.logic = MyoPSLogic(self._made.scene)
        self._heart = Heart3D(self.logic)
        self._messages: list[dict[str, str]] = []
        self._told: dict[str, Any] = {}
        self._case: Any = None
        self._labels: Any = None
        self._proposal: Any = None
        self._remote: Any = None
        self._isRemoteShown = False
        self._isNewcomer = False
        self.logic.events.connect("message", self._say)
        self.logic.correction.setRefiner(device)
        self._added: Path | None = None
        self._search = self._openFolder()
        self._commands: dict[str, Callable[..., object]] = self._allCommands()

    @property
    def is_busy(self) -> bool:
        """Whether something runs or waits, so that the next turn shall come soon."""
        logic = self.logic
        return logic.work.isBusy or logic.quantify.stale or logic.correction.pendingClicks > 0

    @property
    def wait_s(self) -> float | None:
        """How long to sleep if nothing is heard; None for ever: nothing runs or is to be saved."""
        busy = BUSY_S if self.is_busy else None
        waits = [self.logic.study.saveWaitS, self._heart.wait_s, busy]
        return min((one for one in waits if one is not None), default=None)

    def when_ended(self, wake: Callable[[], object]) -> None:
        """Call a function, in another thread, when the background has found something."""
        self.logic.work.whenEnded(wake)

    def poll(self) -> None:
        """Take over what the background found; an error becomes a message."""
        self._guarded(self.logic.poll)
        self._guarded(self._heart.follow)
        if self._added is not None:
            self._guarded(self._openAdded)

    def close(self) -> None:
        """Save everything and end."""
        self.logic.close()
        self._made.close()
        self._cache.cleanup()

    # What the page asks for

    def obey(self, message: object) -> None:
        """Do what a message of the page says; what cannot be done is answered by a sentence.

        Args:
            message: {"do": a command, and its arguments by name}.
        """
        arguments = dict(message) if isinstance(message, dict) else {}
        command = self._commands.get(str(arguments.pop("do", "")))
        if command is None:
            self._say("The page asked for something unknown: reload it.", "error")
            return
        self.logic.study.activity()
        self._guarded(lambda: command(**arguments))

    def _allCommands(self) -> dict[str, Callable[..., object]]:
        logic = self.logic
        return {
            "hello": self._hello,
            "open": lambda index: self._open(int(index)),
            "next": lambda: self._open(self._index + 1),
            "previous": lambda: self._open(self._index - 1),
            "approve": logic.study.approve,
            "run": self._run,
            "cancel": logic.automatic.cancel,
            "structure": lambda name: logic.correction.setStructure(str(name)),
            "look": lambda slice: logic.correction.setCurrentSlice(int(slice)),
            "click": self._click,
            "box": self._box,
            "move": self._move,
            "delete": lambda id: logic.correction.deleteClick(str(id)),
            "undo": logic.correction.undo,
            "redo": logic.correction.redo,
            "carry": logic.correction.proposePropagation,
            "accept": logic.correction.acceptProposal,
            "refuse": logic.correction.refuseProposal,
            "nextPlace": logic.correction.lookHereNext,
            "bullseye": self._showBullseye,
            "export": self._export,
            "insertion": self._at(partial(logic.quantify.setLandmarkAt, "anterior")),
            "inferior": self._at(partial(logic.quantify.setLandmarkAt, "inferior")),
            "remote": self._at(logic.quantify.moveRemoteTo),
            "automaticPlaces": self._automaticPlaces,
            "showRemote": self._showRemote,
            "heart3d": lambda watched: self._heart.watch(bool(watched)),
            "activity": lambda: None,
            "listAgain": self._listAgain,
        }

    @property
    def _index(self) -> int:
        return -1 if self.logic.study.index is None else self.logic.study.index

    def _hello(self) -> None:
        """A tab was opened or loaded again: it knows nothing."""
        self._told, self._labels, self._proposal, self._case = {}, None, None, None
        self._isNewcomer, self._isRemoteShown = True, False
        self._heart.watch(False)

    def _open(self, index: int) -> None:
        study = self.logic.study
        if 0 <= index < len(study.patients):
            files = study.patients[index]
            paths = [path for one in files.sequences.values() for path in source_paths(one)]
            check_inside([files.folder, *paths], self._folder)
            check_inside([study.caseFolder(index)], self._results)
        study.open(index)

    def _openFolder(self) -> Task | None:
        return self.logic.study.openFolder(self._folder, *self._who, self._results)

    def _listAgain(self, added: str) -> None:
        """Look for patients again, and open the one that was added."""
        self._search = self._openFolder()
        self._added = self._folder / str(added)

    def _openAdded(self) -> None:
        study, added = self.logic.study, self._added
        for index, patient in enumerate(study.patients):
            if added is not None and added in (patient.folder, *patient.folder.parents):
                self._added = None
                self._open(index)
                return

    def _run(self, sure: bool = False) -> None:
        question = self.logic.automatic.needsQuestion()
        if question is not None and not sure:
            self._messages.append({"question": question, "then": "run"})
            return
        self.logic.automatic.run(self._device)

    def _click(self, slice: int, row: float, column: float, positive: bool) -> None:
        case = self._openCase()
        self.logic.correction.setCurrentSlice(int(slice))
        ras = worldFromVoxel(case, int(slice), float(row), float(column))
        self.logic.correction.addClick(ras, bool(positive))

    def _box(self, slice: int, corners: list[float]) -> None:
        case = self._openCase()
        self.logic.correction.setCurrentSlice(int(slice))
        row0, column0, row1, column1 = (float(value) for value in corners)
        first = worldFromVoxel(case, int(slice), row0, column0)
        self.logic.correction.addBox(first, worldFromVoxel(case, int(slice), row1, column1))

    def _move(self, id: str, slice: int, row: float, column: float) -> None:
        ras = worldFromVoxel(self._openCase(), int(slice), float(row), float(column))
        self.logic.correction.moveClick(str(id), ras)

    def _at(self, function: Callable[[tuple[float, float, float]], object]) -> Callable[..., None]:
        """A command that does something at a place of the case's grid."""

        def act(slice: int, row: float, column: float) -> None:
            function(worldFromVoxel(self._openCase(), int(slice), float(row), float(column)))

        return act

    def _automaticPlaces(self) -> None:
        self.logic.quantify.clearRemote()
        self.logic.quantify.clearLandmarks()

    def _showRemote(self, shown: bool) -> None:
        self._isRemoteShown, self._remote = bool(shown), None

    def _openCase(self) -> Any:
        if self.logic.correction.case is None:
            raise InputError("Segment the patient first: clicks correct what the networks found.")
        return self.logic.correction.case

    def _showBullseye(self, quantity: str) -> None:
        if quantity in QUANTITIES:
            self.logic.quantify.setBullsEye(cast(Quantity, quantity))

    def _export(self) -> None:
        if self.logic.study.index is None:
            raise InputError("Open a patient first.")
        folder = self.logic.study.caseFolder(self._index) / EXPORTED
        check_inside([folder], self._results)
        self.logic.export(folder, done=lambda files: self._told.pop("exported", None))

    def _exported(self) -> dict[str, str]:
        """File name to path of what was exported of the open case, also in an earlier sitting."""
        study = self.logic.study
        if study.index is None or study.studyFolder is None:
            return {}
        folder = study.caseFolder(study.index) / EXPORTED
        if not folder.is_dir():
            return {}
        files = [path for path in sorted(folder.iterdir()) if path.is_file()]
        return {path.name: str(path) for path in files if is_inside(path, self._results)}

    # What the page has to show

    def news(self) -> list[dict[str, Any]]:
        """What changed since the last call, in the order in which it is to be shown."""
        found: list[dict[str, Any]] = []
        if self._isNewcomer:
            self._isNewcomer = False
            found.append({"constants": shown.constants()})
        found += self._newImages()
        found += self._newLabels()
        found += self._newProposal()
        found += self._heart.news()
        found += self._newRemote()
        state = shown.state(self.logic)
        state["study"]["searching"] = self._search is not None and not self._search.isOver
        for name, value in state.items():
            if self._told.get(name) != value:
                self._told[name] = value
                found.append({name: value})
        if "exported" not in self._told or self._told["exported"][0] != self._index:
            exported = self._exported()
            self._told["exported"] = (self._index, exported)
            found.append({"exported": exported})
        found += self._messages
        self._messages = []
        return found

    def _newImages(self) -> list[dict[str, Any]]:
        case = self.logic.patient.case if self.logic.study.index is not None else None
        if case is self._case and "images" in self._told:
            return []
        self._case, self._labels, self._told["images"] = case, None, True
        return [{"images": shown.images(case)}]

    def _newLabels(self) -> list[dict[str, Any]]:
        """The slices whose labels are others than the page shows."""
        labels, before = self.logic.correction.labels, self._labels
        if labels is before:
            return []
        self._labels = labels
        if labels is None:
            return [{"labels": None}]
        if before is None or before.shape != labels.shape:
            changed = np.arange(len(labels))
        else:
            changed = np.flatnonzero((labels != before).any(axis=(1, 2)))
        slices = {int(index): shown.runs(labels[index]) for index in changed}
        return [{"labels": slices, "all": before is None}]

    def _newProposal(self) -> list[dict[str, Any]]:
        proposal = self.logic.correction.proposal
        if proposal is self._proposal:
            return []
        self._proposal = proposal
        structure = shown.proposed_structure(self.logic)
        return [{"proposed": shown.proposed(self.logic), "structure": structure}]

    def _newRemote(self) -> list[dict[str, Any]]:
        measured = self.logic.quantify.measurements
        region = None if measured is None else measured.remote
        if not self._isRemoteShown or region is self._remote:
            return []
        self._remote = region
        return [{"remote": shown.remote(None if region is None else region.mask)}]

    def _say(self, text: str, level: str = "info") -> None:
        # Where the server keeps its files is nothing for the page.
        within = text.replace(f"{self._results}/", "").replace(f"{self._folder}/", "")
        self._messages.append({"message": within, "level": level})

    def _guarded(self, function: Callable[[], object]) -> None:
        try:
            function()
        except InputError as error:
            self._say(str(error), "warning")
        except Exception as error:  # one step that fails must not end the reading
            self._say(inWords(error), "error")
