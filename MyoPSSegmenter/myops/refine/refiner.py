"""Encode once, prompt often: the refiner at one case."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from myops import labels as regions
from myops.cascade.network_inputs import REFINER_TISSUES, refiner_box, refiner_input
from myops.case import Case
from myops.errors import Cancelled, InputError
from myops.geometry.square import SquareBox, crop_stack, uncrop_stack
from myops.networks.device import resolve_device
from myops.networks.refiner import PromptBatch
from myops.progress import Progress
from myops.refine.prompts import STRUCTURES, Box, Point, Prompts, check_prompts
from myops.refine.rules import REGIONS
from myops.segmentation import Segmentation
from myops.weights.files import load_network, model_folder, read_manifest
from myops.weights.learned import learned_in
from myops.weights.packs import shipped_packs

# The network reads this many of the newest clicks; what older ones said is in the present mask, and
# every click's own voxel is honored in any case.
NEWEST_POINTS = 8


@dataclass(frozen=True)
class RefinerModel:
    """A refiner's network, ready to run.

    Attributes:
        network: with `encode` and `decode` as in `models.refiner.RefinerNetwork`.
        device: where it is.
        size: pixels per side of its squares.
        name: "default" or the name of an added checkpoint.
        checksum: SHA-256 of its weights.
        learned: checksums of the images that they have learned from (`myops.weights.learned`).
    """

    network: nn.Module
    device: torch.device
    size: int
    name: str
    checksum: str
    learned: frozenset[str] = frozenset()


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


@dataclass(frozen=True)
class _Inputs:
    """What a case gives to the network: see `cropping.refiner_input`."""

    box: SquareBox
    shape_zyx: tuple[int, int, int]
    images: np.ndarray
    present: np.ndarray
    probabilities: np.ndarray


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
    if name not in ("default", *shipped_packs()) and not Path(name).is_dir():
        return _load_stored(name, target)
    root = model_folder(name, folder)
    entry = read_manifest(root).get("refiner")
    if entry is None:
        raise InputError(
            f"expected weights of the refiner in {root}, found none; install again, or train them: "
            "myops train refiner"
        )
    network = load_network("refiner", root / entry["file"], entry).eval()
    network.to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = int(network.size)  # type: ignore[arg-type]
    return RefinerModel(network, target, size, name, str(entry["sha256"]), learned_in(entry))


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
        self._inputs: _Inputs | None = None
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
        box = refiner_box(segmentation, case.spacing_known)
        self._inputs = _Inputs(box, shape, *refiner_input(case, segmentation, box, self.model.size))
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
            features[k] = self._encode(inputs, k)
        if progress is not None:
            progress(1.0, "encoded")

    def predict(self, prompts: Prompts, labels: np.ndarray) -> Prediction:
        """Correct one structure in one slice; the same input always gives the same answer.

        Args:
            prompts: all clicks so far, and a box or none. Without either, the network's own view of
                the present mask is returned.
            labels: uint16 (z, y, x), the present label map on the Case's grid; not changed.

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
            features[k] = self._encode(inputs, k)
        plane = labels[k]
        batch, seen = self._prompts(prompts, plane, inputs.box)
        with torch.inference_mode():
            logits, quality = self.model.network.decode(features[k], batch)  # type: ignore[operator]
        answer = torch.sigmoid(logits[:, 0]).float().cpu().numpy()
        return self._on_grid(prompts, plane, inputs, answer, seen, float(quality[0]))

    def _case(self) -> _Inputs:
        if self._inputs is None:
            raise RuntimeError("expected a case, found none: call set_case first")
        return self._inputs

    def _encode(self, inputs: _Inputs, k: int) -> Any:
        arrays = (inputs.images, inputs.present, inputs.probabilities)
        tensors = [torch.from_numpy(array[k : k + 1]).to(self.model.device) for array in arrays]
        with torch.inference_mode():
            return self.model.network.encode(*tensors)  # type: ignore[operator]

    def _prompts(
        self, prompts: Prompts, plane: np.ndarray, box: SquareBox
    ) -> tuple[PromptBatch, np.ndarray]:
        """The network's prompts, and the present mask as it sees it, float (S, S)."""
        size = self.model.size
        points = prompts.points[-NEWEST_POINTS:]
        places = np.array([_in_square(p.row, p.column, box, size) for p in points], np.float32)
        tissues = [getattr(regions, name)(plane) for name in REFINER_TISSUES]
        mask = REGIONS[prompts.structure](plane)
        planes = np.stack([mask, *tissues]).astype(np.float32)
        planes = crop_stack(planes, box, size)
        batch = PromptBatch(
            structure=torch.tensor([STRUCTURES.index(prompts.structure)]),
            points=torch.from_numpy(places.reshape(1, -1, 2)),
            signs=torch.tensor([[int(p.positive) for p in points]], dtype=torch.long),
            mask=torch.from_numpy(planes[None, :1]),
            tissues=torch.from_numpy(planes[None, 1:]),
            boxes=None if prompts.box is None else _box_tensor(prompts.box, box, size),
        )
        return batch.to(self.model.device), planes[0]

    def _on_grid(
        self,
        prompts: Prompts,
        plane: np.ndarray,
        inputs: _Inputs,
        answer: np.ndarray,
        seen: np.ndarray,
        quality: float,
    ) -> Prediction:
        """Bring the answer to the Case's grid, changing no voxel that the network did not change.

        The square's pixels are not the image's: resampled there and back, the present mask would
        be rounded off everywhere. So a voxel changes only where a pixel of the square does that it
        takes part of: differences are looked for in the square, before anything is interpolated.
        """
        present = REGIONS[prompts.structure](plane)
        shape = (1, *inputs.shape_zyx[1:])
        covered = uncrop_stack(np.ones_like(answer), inputs.box, shape)[0] > 0
        probability = np.where(covered, uncrop_stack(answer, inputs.box, shape)[0], present)
        flipped = ((answer[0] > 0.5) != (seen > 0.5)).astype(np.float32)
        touched = uncrop_stack(flipped[None], inputs.box, shape)[0] > 0
        before = uncrop_stack(seen[None], inputs.box, shape)[0] > 0.5
        changed = covered & touched & ((probability > 0.5) != before)
        mask = np.where(changed, probability > 0.5, present)
        for point in prompts.points:
            mask[_voxel(point)] = point.positive
        return Prediction(
            prompts.structure,
            prompts.slice_index,
            probability.astype(np.float32),
            mask,
            float(np.clip(quality, 0, 1)),
        )


def outward(current: int, count: int) -> list[int]:
    """All slices of a stack in the order of their distance from the current one."""
    return sorted(range(count), key=lambda k: abs(k - current))


def _voxel(point: Point) -> tuple[int, int]:
    return int(np.floor(point.row + 0.5)), int(np.floor(point.column + 0.5))


def _in_square(row: float, column: float, box: SquareBox, size: int) -> tuple[float, float]:
    """A place in the slice as x and y in the square's pixels."""
    step = [box.side_mm / size / spacing for spacing in box.spacing_yx_mm]
    y = (row - box.center_yx[0]) / step[0] + (size - 1) / 2
    x = (column - box.center_yx[1]) / step[1] + (size - 1) / 2
    return x, y


def _box_tensor(drawn: Box, box: SquareBox, size: int) -> torch.Tensor:
    """A drawn box in the square's pixels, its corners in order and cut off at the square."""
    corners = [
        _in_square(drawn.row_0, drawn.column_0, box, size),
        _in_square(drawn.row_1, drawn.column_1, box, size),
    ]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    return torch.from_numpy(np.clip([*low, *high], 0, size - 1).astype(np.float32))[None]


def _check_inside(prompts: Prompts, box: SquareBox) -> None:
    """Refuse clicks beyond the square that the network sees."""
    for point in prompts.points:
        x, y = _in_square(point.row, point.column, box, 1)
        if max(abs(x), abs(y)) > 0.5:
            raise InputError(
                f"expected a click within the square of {box.side_mm:.0f} mm around the left "
                f"ventricle, found one at row {point.row:g}, column {point.column:g}: click closer "
                "to the heart"
            )
