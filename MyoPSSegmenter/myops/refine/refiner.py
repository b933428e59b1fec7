"""Encode once, prompt often: the refiner at one case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from myops.case import Case
from myops.errors import Cancelled, InputError
from myops.geometry.square import SquareBox, uncrop_stack
from myops.networks.device import resolve_device
from myops.progress import Progress
from myops.refine.answering import Answer, CaseInputs, answers_of, case_inputs, in_square
from myops.refine.click_planes import PLANES
from myops.refine.connected import Taking, cut, taken_change
from myops.refine.prompts import Prompts, check_prompts
from myops.refine.rules import REGIONS
from myops.segmentation import Segmentation
from myops.weights.files import load_network, model_folder, pack_of, read_manifest
from myops.weights.learned import learned_in
from myops.weights.packs import shipped_packs

# What answers clicks, the better one first: a folder may hold both.
CLICK_NETWORKS = ("clickhead", "refiner")


@dataclass(frozen=True)
class RefinerModel:
    """A refiner's network, ready to run.

    Attributes:
        network: a click head, or one with `encode` and `decode` as in
            `networks.refiner.RefinerNetwork`.
        device: where it is.
        size: pixels per side of its squares.
        name: "default" or the name of an added checkpoint.
        checksum: SHA-256 of its weights.
        learned: checksums of the images that they have learned from (`myops.weights.learned`).
        terms: name, license and terms of the pack that they are of (`Pack.to_dict`); empty for a
            folder without stated terms.
    """

    network: nn.Module
    device: torch.device
    size: int
    name: str
    checksum: str
    learned: frozenset[str] = frozenset()
    terms: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Prediction:
    """The refiner's answer for one structure in one slice.

    Attributes:
        structure: which structure.
        slice_index: which slice.
        probability: float32 (y, x) on the Case's grid, 0..1; outside the refiner's square it is
            the present mask.
        mask: bool (y, x), the corrected mask; every click's own voxel is as the click says.
        confidence: 0..1, the IoU that the network expects of its mask.
    """

    structure: str
    slice_index: int
    probability: np.ndarray
    mask: np.ndarray
    confidence: float


def load_refiner(
    device: str | torch.device = "auto", name: str = "default", folder: Path | None = None
) -> RefinerModel:
    """Load a refiner.

    Args:
        device: "auto", "cpu", "cuda", "cuda:N", "mps", or a torch device.
        name: "default" for the one of the pack in use, the name of a shipped pack, a folder of
            weights with a manifest, or a checkpoint that `myops models add` has stored.
        folder: where "default" is; the pack in use if None.

    Raises:
        InputError: unknown model or device; missing, damaged or foreign weights.
    """
    target = resolve_device(str(device))
    if name != "default" and not _is_folder(name):
        return _load_stored(name, target)
    root = model_folder(name, folder)
    manifest = read_manifest(root)
    kind = _click_network(manifest)
    if kind is None:
        raise InputError(
            f"expected weights of clickhead or refiner in {root}, found neither; install again, or "
            "train them: myops train clickhead"
        )
    entry = manifest[kind]
    network = load_network(kind, root / entry["file"], entry).eval()
    _check_planes(network, root)
    network.to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = int(network.size)  # type: ignore[arg-type]
    pack = pack_of(root)
    terms = pack.to_dict() if pack else {}
    return RefinerModel(network, target, size, name, str(entry["sha256"]), learned_in(entry), terms)


def refiner_beside(cascade: str, asked: str = "default") -> str:
    """The refiner to use: the one that is asked for, else that of the weights of the cascade.

    The panel has one choice for both, and whoever chose weights for their terms means both.

    Args:
        cascade: the name of a pack or a folder, as `Inputs` notes it.
        asked: "default" where nobody has chosen.

    Returns:
        A name for `load_refiner`; "default" where the cascade's folder answers no clicks.
    """
    if asked != "default" or cascade == "default" or not _is_folder(cascade):
        return asked
    return cascade if _click_network(read_manifest(model_folder(cascade, None))) else asked


def _is_folder(name: str) -> bool:
    """Whether a name is that of a pack or of a folder of weights, not of a stored checkpoint."""
    return name in shipped_packs() or Path(name).is_dir()


def _click_network(manifest: Mapping[str, Any]) -> str | None:
    """The network of a folder that answers clicks; None without one."""
    return next((kind for kind in CLICK_NETWORKS if kind in manifest), None)


def _check_planes(network: nn.Module, folder: Path) -> None:
    """Refuse a click head of a version that made other planes."""
    found = getattr(network, "features", PLANES)
    if found != PLANES:
        raise InputError(
            f"{folder}: expected a click head that reads {PLANES} planes, found one of {found}; "
            "use the weights that belong to this version"
        )


def _load_stored(name: str, device: torch.device) -> RefinerModel:
    """A SAM checkpoint that the user has added."""
    from myops.weights.sam_adaptation import read_adaptation
    from myops.weights.store import find_model, load_model

    stored = find_model(name)
    network = load_model(stored).to(device)
    learned = learned_in(read_adaptation(stored.path) or {})
    return RefinerModel(network, device, network.size, name, stored.sha256, learned)


class Refiner:
    """A model at a case: `set_case`, then `predict` as often as wanted; a `Session` calls both.

    Encoding may run in another thread than predicting.

    Example:
        >>> session = myops.Session(myops.Refiner.load(), case, segmentation)
    """

    def __init__(self, model: RefinerModel) -> None:
        self.model = model
        self._answers = answers_of(model.network, model.device)
        self._inputs: CaseInputs | None = None
        self._features: dict[int, Any] = {}

    @classmethod
    def load(cls, device: str | torch.device = "auto", name: str = "default") -> Refiner:
        """A refiner with loaded weights.

        Args:
            device: as for `load_refiner`.
            name: as for `load_refiner`.

        Raises:
            InputError: see `load_refiner`.
        """
        return cls(load_refiner(device, name))

    @property
    def encoded(self) -> frozenset[int]:
        """Slices whose features are at hand."""
        return frozenset(self._features)

    def set_case(self, case: Case, segmentation: Segmentation) -> None:
        """Choose the patient. Slices are encoded later, when they are needed.

        Args:
            case: the images.
            segmentation: the cascade's result; its probabilities are a part of the input.

        Raises:
            InputError: the segmentation shows no left ventricle, or is on another grid.
        """
        shape = case.geometry.array_shape
        if segmentation.labels.shape != shape:
            raise InputError(
                f"expected a segmentation of shape {shape}, found {segmentation.labels.shape}: "
                "segment this case first"
            )
        self._inputs = case_inputs(case, segmentation, self.model.size)
        # A new dictionary: an encoding that still runs for the old case fills the old one.
        self._features = {}

    def encode(
        self,
        slices: Iterable[int] | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Encode slices that are not encoded yet, one by one in the given order.

        Args:
            slices: z indices, e.g. from `outward`; all if None.
            progress: called with the finished fraction (0..1) and a word.
            cancelled: asked before every slice; True ends the work, what is encoded stays.

        Raises:
            RuntimeError: there is no case yet.
            Cancelled: `cancelled` answered True.
        """
        inputs, features = self._case(), self._features
        wanted = range(inputs.shape_zyx[0]) if slices is None else slices
        missing = [k for k in wanted if k not in features]
        for number, k in enumerate(missing):
            if cancelled is not None and cancelled():
                raise Cancelled
            if progress is not None:
                progress(number / len(missing), "encoding")
            features[k] = self._answers.encode(inputs, k)
        if progress is not None:
            progress(1.0, "encoded")

    def predict(
        self, prompts: Prompts, labels: np.ndarray, taking: Taking = "connected"
    ) -> Prediction:
        """Correct one structure in one slice; the same input always gives the same answer.

        Args:
            prompts: all clicks so far, and a box or none. Without either, the network's own view of
                the present mask is returned.
            labels: uint16 (z, y, x), the present label map on the Case's grid; not changed.
            taking: how much of the network's answer is taken, see `connected.taken_change`; of a
                click head's never more than the connected change.

        Raises:
            RuntimeError: there is no case yet.
            InputError: prompts outside the image or outside the square around the heart, opposite
                clicks in one voxel, or a label map of another shape.
        """
        inputs, features = self._case(), self._features
        check_prompts(prompts, inputs.shape_zyx)
        if labels.shape != inputs.shape_zyx:
            raise InputError(
                f"expected labels of shape {inputs.shape_zyx}, found {labels.shape}: "
                "give the label map on the case's grid"
            )
        _check_inside(prompts, inputs.box)
        k = prompts.slice_index
        if k not in features:
            features[k] = self._answers.encode(inputs, k)
        answer = self._answers.answer(features[k], inputs, prompts, labels)
        taking = taking if self._answers.changes_mask else "connected"
        return _on_grid(prompts, labels[k], inputs, answer, taking)

    def _case(self) -> CaseInputs:
        if self._inputs is None:
            raise RuntimeError("expected a case, found none: call set_case first")
        return self._inputs


def outward(current: int, count: int) -> list[int]:
    """All slices of a stack in the order of their distance from the current one."""
    return sorted(range(count), key=lambda k: abs(k - current))


def _on_grid(
    prompts: Prompts, plane: np.ndarray, inputs: CaseInputs, answer: Answer, taking: Taking
) -> Prediction:
    """Bring the answer to the Case's grid, changing no voxel that the network did not change.

    The square's pixels are not the image's: resampled there and back, the present mask would
    be rounded off everywhere. So a voxel changes only where a pixel of the square does that it
    takes part of: differences are looked for in the square, before anything is interpolated.
    """
    present = REGIONS[prompts.structure](plane)
    found, seen = answer.probability, answer.seen
    flipped = (cut(found, seen > 0.5, answer.threshold, answer.margin) != (seen > 0.5)).astype(
        np.float32
    )
    planes = np.stack((np.ones_like(found), found, flipped, seen, answer.margin.astype(np.float32)))
    shape = (len(planes), *inputs.shape_zyx[1:])
    inside, chance, touched, before, margin = uncrop_stack(planes, inputs.box, shape)
    covered = inside > 0
    probability = np.where(covered, chance, present)
    answered = cut(probability, before > 0.5, answer.threshold, margin)
    changed = covered & (touched > 0) & (answered != (before > 0.5))
    wanted = np.where(changed, answered, present)
    return Prediction(
        prompts.structure,
        prompts.slice_index,
        probability.astype(np.float32),
        taken_change(present, wanted, prompts, taking),
        float(np.clip(answer.quality, 0, 1)),
    )


def _check_inside(prompts: Prompts, box: SquareBox) -> None:
    """Refuse clicks beyond the square that the network sees."""
    for point in prompts.points:
        x, y = in_square(point.row, point.column, box, 1)
        if max(abs(x), abs(y)) > 0.5:
            raise InputError(
                f"expected a click within the square of {box.side_mm:.0f} mm around the left "
                f"ventricle, found one at row {point.row:g}, column {point.column:g}: click closer "
                "to the heart"
            )
