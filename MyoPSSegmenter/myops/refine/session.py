"""A reader's session: clicks, boxes and edits correct one segmentation; every step can be undone.

At most one correction is open in each slice: the prompts for one structure, and what the slice
was before each of them. It stays open, so that its clicks can be moved and deleted, until
something else changes the slice: a prompt for another structure, or an accepted edit. Undo and
redo bring back the whole segmentation and the open corrections with it.

A step that fails, because its input is refused or the network raises, changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from myops.errors import InputError
from myops.io.checksum import array_sha256
from myops.labels import to_known_labels
from myops.refine.connected import Taking
from myops.refine.correction import Correction, Stroke
from myops.refine.history import History
from myops.refine.label_compression import encode_changes, pack, unpack
from myops.refine.prompts import Box, Point, Prompts, check_prompts, to_dict
from myops.refine.rules import FIRST_RULES, REGIONS, Rules
from myops.refine.wall import MovedWall, answered_slice
from myops.structures import missing_image

if TYPE_CHECKING:
    from myops.case import Case
    from myops.refine.refiner import Prediction
    from myops.segmentation import Segmentation


class Model(Protocol):
    """What a session notes about a refiner's weights."""

    @property
    def name(self) -> str:
        """Of the model, for the record."""

    @property
    def checksum(self) -> str | None:
        """SHA-256 of its weights; None where there are none."""


class RefinerProtocol(Protocol):
    """What a session needs of a refiner: `refiner.Refiner`, or one that does without torch."""

    @property
    def model(self) -> Model:
        """Its weights."""

    def set_case(self, case: Case, segmentation: Segmentation) -> None:
        """Choose the patient; see `refiner.Refiner.set_case`."""

    def predict(
        self, prompts: Prompts, labels: np.ndarray, taking: Taking = "connected"
    ) -> Prediction:
        """Answer prompts; see `refiner.Refiner.predict`."""


@dataclass(frozen=True)
class Step:
    """What happened in one step.

    Attributes:
        action: "prompt", "move", "delete", "accept", "wall", "undo", "redo" or "rules".
        arguments: of the action, JSON values; `record.py` writes and reads them.
        time: when, ISO 8601 in UTC.
        seconds: what the step took here, network and rules together.
        confidence: predicted IoU of the last mask, 0..1; None where no mask was predicted.
        changed_voxels: how many labels differ from before the step.
        refused_voxels: where the rules kept the structure from becoming the predicted mask.
        labels_sha256: of the whole label map after it, see `checksum.array_sha256`.
    """

    action: str
    arguments: Mapping[str, Any]
    time: str
    seconds: float
    confidence: float | None
    changed_voxels: int
    refused_voxels: int
    labels_sha256: str


@dataclass(frozen=True)
class WallOffer:
    """A wall that a click for scar would move by more than a reader leaves to a program.

    Attributes:
        slice_index: z index on the case's grid.
        labels: uint16 (z, y, x), the label map if it is taken.
        mm: how far from the present wall the new scar reaches.
    """

    slice_index: int
    labels: np.ndarray
    mm: float


@dataclass(frozen=True)
class _State:
    """Labels, the open correction of each slice, the prediction that led here, and its offer."""

    labels: np.ndarray
    corrections: Mapping[int, Correction]
    prediction: Prediction | None = None
    offer: WallOffer | None = None


class Session:
    """One patient being corrected.

    Attributes:
        case, start: as given; `start` is the segmentation before the first step.
        start_rules: the rules before the first step.
        taking: how much of the refiner's answers is taken, see `connected.taken_change`; one rule
            from the first step to the last, so that a recorded session can be done again.
        steps: everything that was done, undo and redo included, in order.

    Example:
        >>> session = myops.Session(myops.Refiner.load(), case, segmentation)
        >>> session.click("scar", slice_index=5, row=120, column=96)
        >>> session.click("scar", slice_index=5, row=131, column=88, positive=False)
        >>> corrected = session.segmentation()
    """

    def __init__(
        self,
        refiner: RefinerProtocol,
        case: Case,
        segmentation: Segmentation,
        rules: Rules = FIRST_RULES,
        taking: Taking = "connected",
    ) -> None:
        """Begin with a segmentation.

        Args:
            refiner: gets the case; must not be given another one during the session.
            case: the images.
            segmentation: where corrections start, on the case's grid.
            rules: which structure may take voxels from which.
            taking: how much of the refiner's answers is taken.

        Raises:
            InputError: the segmentation is not on the case's grid.
        """
        if segmentation.labels.shape != case.geometry.array_shape:
            raise InputError(
                f"expected a segmentation of {case.geometry.array_shape} (z, y, x), found "
                f"{segmentation.labels.shape}: give the one of this case"
            )
        refiner.set_case(case, segmentation)
        self.refiner, self.case, self.start = refiner, case, segmentation
        self.start_rules = self._rules = rules
        self.taking: Taking = taking
        self.steps: list[Step] = []
        self._state = _State(_frozen(segmentation.labels.astype(np.uint16)), {})
        self._history: History[Mapping[int, Correction]] = History(self._state.labels, {})

    @classmethod
    def resumed(
        cls,
        refiner: RefinerProtocol,
        case: Case,
        segmentation: Segmentation,
        rules: tuple[Rules, Rules],
        history: History[Mapping[int, Correction]],
        steps: Sequence[Step],
        taking: Taking = "connected",
    ) -> Session:
        """Go on with a session where it was left; `saved.restore` does so from a file.

        Args:
            refiner: as in the constructor.
            case: the same images.
            segmentation: where the session started.
            rules: those before the first step, and the present ones.
            history: what can be undone and redone; its present state is the session's.
            steps: everything that was done.
            taking: as in the constructor.

        Raises:
            InputError: the segmentation is not on the case's grid.
        """
        session = cls(refiner, case, segmentation, rules[0], taking)
        labels, corrections = history.present
        session._rules, session._history, session.steps = rules[1], history, list(steps)
        session._state = _State(_frozen(labels), corrections)
        return session

    @property
    def rules(self) -> Rules:
        """Which structure may take voxels from which; a change is noted as a step.

        It holds for what is done from now on, also for clicks that are moved; undo does not bring
        the earlier rules back.
        """
        return self._rules

    @rules.setter
    def rules(self, rules: Rules) -> None:
        if rules != self._rules:
            began = time.perf_counter()
            self._rules = rules
            state = replace(self._state, prediction=None, offer=None)
            self._log("rules", asdict(rules), state, began)

    @property
    def labels(self) -> np.ndarray:
        """The present label map, uint16 (z, y, x), read-only."""
        return self._state.labels

    @property
    def corrections(self) -> Mapping[int, Correction]:
        """The open correction of each slice, by slice index."""
        return dict(self._state.corrections)

    @property
    def prediction(self) -> Prediction | None:
        """What the refiner answered in the last step; None after an edit, undo or redo."""
        return self._state.prediction

    @property
    def wall_offer(self) -> WallOffer | None:
        """The wall that the last prompt would move further; `take_wall` takes it."""
        return self._state.offer

    @property
    def history(self) -> History[Mapping[int, Correction]]:
        """Names of the steps that can be undone and redone; change it by `undo` and `redo` only."""
        return self._history

    def segmentation(self) -> Segmentation:
        """The start with the present labels; probabilities and uncertainty stay the cascade's."""
        return replace(self.start, labels=self.labels.copy())

    def click(
        self, structure: str, slice_index: int, row: float, column: float, positive: bool = True
    ) -> Step:
        """Say of a place that it belongs to a structure, or does not.

        Args:
            structure: one of `prompts.STRUCTURES`.
            slice_index: z index on the case's grid.
            row: in pixels of the case's grid; fractions are allowed.
            column: as `row`.
            positive: whether it belongs to the structure.

        Raises:
            InputError: outside the image, not finite, opposite to an open click in the same voxel,
                or a structure that these images do not show. Nothing changes then.
        """
        return self._prompt(structure, slice_index, Point(float(row), float(column), positive))

    def box(
        self,
        structure: str,
        slice_index: int,
        corners: tuple[float, float, float, float],
    ) -> Step:
        """Draw a box around a structure; it replaces an earlier one of the open correction.

        Args:
            structure: one of `prompts.STRUCTURES`.
            slice_index: z index on the case's grid.
            corners: row, column of one corner and of the opposite one, in pixels.

        Raises:
            InputError: as for `click`.
        """
        return self._prompt(structure, slice_index, Box(*(float(place) for place in corners)))

    def move_click(self, slice_index: int, index: int, row: float, column: float) -> Step:
        """Drag a click of a slice's open correction; it and all later prompts act anew.

        Args:
            slice_index: z index of the slice.
            index: of the click among `corrections[slice_index].points`.
            row: its new place in pixels.
            column: as `row`.

        Raises:
            InputError: no such click, or as for `click`.
        """
        began = time.perf_counter()
        kept, point, later = self._split_at_click(slice_index, index)
        moved = Point(float(row), float(column), point.positive)
        state = self._replay_from(kept, [moved, *later])
        place = {
            "slice_index": slice_index,
            "index": index,
            "row": moved.row,
            "column": moved.column,
        }
        return self._commit("move", place, f"move {kept.structure} click", state, began)

    def delete_click(self, slice_index: int, index: int) -> Step:
        """Take a click of a slice's open correction away, and what it did; see `move_click`."""
        began = time.perf_counter()
        kept, _, later = self._split_at_click(slice_index, index)
        state = self._replay_from(kept, later)
        place = {"slice_index": slice_index, "index": index}
        return self._commit("delete", place, f"delete {kept.structure} click", state, began)

    def accept_labels(self, labels: np.ndarray, name: str) -> Step:
        """Take over an edit that was made elsewhere: by a paint tool, or an accepted proposal.

        The open corrections of the slices that it changes are closed.

        Args:
            labels: MyoPS labels (z, y, x), the whole label map.
            name: what was done, for the history.

        Raises:
            InputError: another shape, or values that are no labels.
        """
        began = time.perf_counter()
        if labels.shape != self.labels.shape:
            raise InputError(
                f"expected labels of {self.labels.shape} (z, y, x), found {labels.shape}: "
                "give the whole label map"
            )
        edited = _frozen(to_known_labels(labels))
        touched = set(np.flatnonzero((edited != self.labels).any(axis=(1, 2))).tolist())
        still_open = {z: c for z, c in self._state.corrections.items() if z not in touched}
        arguments = {"name": name, "changes": encode_changes(self.labels, edited)}
        return self._commit("accept", arguments, name, _State(edited, still_open), began)

    def take_wall(self, labels: np.ndarray | None = None) -> Step:
        """Move the wall to where the last click found scar; open corrections stay open.

        Args:
            labels: MyoPS labels (z, y, x) that were taken when this was recorded, for a replay;
                else `wall_offer` is taken.

        Raises:
            InputError: the last step offers no such move.
        """
        began = time.perf_counter()
        offer = self._state.offer
        if labels is None and offer is None:
            raise InputError(
                "expected a wall that the last click would move, found none: click where scar is "
                "missing beyond the wall"
            )
        taken = offer.labels if labels is None and offer is not None else labels
        moved = _frozen(to_known_labels(np.asarray(taken)))
        arguments = {"changes": encode_changes(self.labels, moved)}
        state = _State(moved, self._state.corrections)
        return self._commit("wall", arguments, "move the wall", state, began)

    def undo(self) -> Step:
        """Take the last step back: labels of all slices, and their prompts.

        Raises:
            InputError: there is no step to undo.
        """
        began = time.perf_counter()
        labels, corrections = self._history.undo()
        return self._log("undo", {}, _State(_frozen(labels), corrections), began)

    def redo(self) -> Step:
        """Bring the last undone step back.

        Raises:
            InputError: there is no step to redo.
        """
        began = time.perf_counter()
        labels, corrections = self._history.redo()
        return self._log("redo", {}, _State(_frozen(labels), corrections), began)

    def _prompt(self, structure: str, slice_index: int, prompt: Point | Box) -> Step:
        began = time.perf_counter()
        correction = self._state.corrections.get(slice_index)
        if correction is None or correction.structure != structure:
            correction = Correction(structure, slice_index)
        state = self._apply_prompts(correction, [prompt], self.labels)
        sign = "box" if isinstance(prompt, Box) else "+" if prompt.positive else "-"
        name = f"{structure} {sign} in slice {slice_index + 1}"
        only = to_dict(Correction(structure, slice_index).prompts_with([prompt]))
        return self._commit("prompt", only, name, state, began)

    def _split_at_click(
        self, slice_index: int, index: int
    ) -> tuple[Correction, Point, list[Point | Box]]:
        """An open correction up to a click, the click, and the prompts after it."""
        correction = self._state.corrections.get(slice_index)
        places = [
            place
            for place, stroke in enumerate(correction.strokes if correction else ())
            if isinstance(stroke.prompt, Point)
        ]
        if correction is None or not 0 <= index < len(places):
            raise InputError(
                f"expected one of {len(places)} open clicks in slice {slice_index}, found number "
                f"{index}: clicks can be moved until something else changes their slice"
            )
        place = places[index]
        kept = replace(correction, strokes=correction.strokes[: place + 1])
        later = [stroke.prompt for stroke in correction.strokes[place + 1 :]]
        return kept, correction.points[index], later

    def _replay_from(self, kept: Correction, prompts: Sequence[Point | Box]) -> _State:
        """Go back to before the last stroke kept, then let the given prompts act."""
        before = unpack(kept.strokes[-1].before, self.labels.shape[1:])
        labels = _with_slice(self.labels, kept.slice_index, before)
        return self._apply_prompts(replace(kept, strokes=kept.strokes[:-1]), prompts, labels)

    def _apply_prompts(
        self, correction: Correction, prompts: Sequence[Point | Box], labels: np.ndarray
    ) -> _State:
        """Let prompts act one after another, each on the labels that the one before it left."""
        self._check(correction.prompts_with(prompts))
        prediction: Prediction | None = None
        offer: WallOffer | None = None
        z = correction.slice_index
        for prompt in prompts:
            stroke = Stroke(prompt, pack(labels[z]))
            correction = replace(correction, strokes=(*correction.strokes, stroke))
            prediction = self._predicted(correction.prompts, labels)
            plane, moved = self._apply_rules(labels[z], prediction)
            labels = _with_slice(labels, z, plane)
            offer = None
            if moved is not None:
                offer = WallOffer(z, _with_slice(labels, z, moved.labels), moved.mm)
        others = {index: c for index, c in self._state.corrections.items() if index != z}
        opened = {z: correction} if correction.strokes else {}
        return _State(_frozen(labels), others | opened, prediction, offer)

    def _predicted(self, prompts: Prompts, labels: np.ndarray) -> Prediction:
        if self.taking == "connected":
            return self.refiner.predict(prompts, labels)
        return self.refiner.predict(prompts, labels, self.taking)

    def _check(self, prompts: Prompts) -> None:
        check_prompts(prompts, self.labels.shape)
        missing = missing_image(prompts.structure, self.start.assessed)
        if missing:
            raise InputError(
                f"{prompts.structure}: expected {missing} to see it, found "
                f"{', '.join(self.case.sequences)}; add the image and segment again"
            )

    def _apply_rules(
        self, plane: np.ndarray, prediction: Prediction
    ) -> tuple[np.ndarray, MovedWall | None]:
        """The slice with the answer, and the wall that it would move further."""
        if not np.isfinite(prediction.probability).all():
            raise RuntimeError(
                f"expected finite probabilities of {prediction.structure} in slice "
                f"{prediction.slice_index}, found NaN; the labels were kept: check the model"
            )
        z = prediction.slice_index
        chances = {name: volume[z] for name, volume in self.start.probabilities.items()}
        pixel_mm = self.case.geometry.spacing_mm[1::-1]
        found = answered_slice(
            plane, prediction.mask, prediction.structure, self.rules, chances, pixel_mm
        )
        return found.labels, found.offered

    def _commit(
        self, action: str, arguments: Mapping[str, Any], name: str, state: _State, began: float
    ) -> Step:
        self._history.record(name, state.labels, state.corrections)
        return self._log(action, arguments, state, began)

    def _log(self, action: str, arguments: Mapping[str, Any], state: _State, began: float) -> Step:
        changed = int(np.count_nonzero(state.labels != self.labels))
        self._state = state
        step = Step(
            action=action,
            arguments=arguments,
            time=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            seconds=time.perf_counter() - began,
            confidence=_confidence(state.prediction),
            changed_voxels=changed,
            refused_voxels=_refused(state),
            labels_sha256=array_sha256(state.labels),
        )
        self.steps.append(step)
        return step


def _confidence(prediction: Prediction | None) -> float | None:
    """The predicted IoU; None where there is none, or no number that JSON could hold."""
    if prediction is None or not np.isfinite(prediction.confidence):
        return None
    return float(prediction.confidence)


def _refused(state: _State) -> int:
    if state.prediction is None:
        return 0
    found = REGIONS[state.prediction.structure](state.labels[state.prediction.slice_index])
    return int(np.count_nonzero(found != state.prediction.mask))


def _with_slice(labels: np.ndarray, index: int, plane: np.ndarray) -> np.ndarray:
    changed = labels.copy()
    changed[index] = plane
    return changed


def _frozen(labels: np.ndarray) -> np.ndarray:
    """The same array, read-only from now on."""
    labels.setflags(write=False)
    return labels
