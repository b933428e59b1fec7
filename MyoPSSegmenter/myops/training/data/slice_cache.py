"""What a stage makes of a patient, kept in a folder: a second training does not segment anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from myops import __version__
from myops.errors import InputError
from myops.io.atomic import write_atomic
from myops.training.config import TrainingConfig
from myops.training.stages.stage import Slices

# Settings of the steps alone: they change nothing about a patient's slices.
NOT_OF_PATIENTS = {
    "steps", "minutes", "batch_size", "learning_rate", "warmup", "ema_decay", "pool_patients",
    "pool_start", "steps_per_patient", "workers", "threads", "device", "devices", "nodes",
    "precision", "checkpoint_minutes", "curve_minutes", "curve_patients", "log_steps", "widths",
    "start", "clicks", "memory", "replayed", "cache", "cross_entropy_weight",
    "dice_weight", "change_weight", "spoil_weight",
}  # fmt: skip


def cache_file(folder: Path, stage: str, config: TrainingConfig, index: int) -> Path:
    """Where the slices of a training's `index`-th patient are kept.

    The name says which stage and settings made them, of which version of the program and with which
    cascade. It does not see a changed line of code: empty the folder then.
    """
    settings = {k: v for k, v in asdict(config).items() if k not in NOT_OF_PATIENTS}
    made_by: dict[str, Any] = {"stage": stage, "version": __version__, "settings": settings}
    if getattr(config, "cascade", ""):
        made_by["cascade"] = _cascade_checksums(str(config.cascade))  # type: ignore[attr-defined]
    text = json.dumps(made_by, sort_keys=True)
    return folder / f"{stage}_{sha256(text.encode()).hexdigest()[:12]}_{index:06d}.npz"


def _cascade_checksums(names: str) -> list[dict[str, str]]:
    from myops.weights.files import CASCADE, model_folder, read_manifest

    manifests = [read_manifest(model_folder(name, None)) for name in names.split(",")]
    return [{n: found[n]["sha256"] for n in CASCADE if n in found} for found in manifests]


def kept_slices(path: Path, make: Callable[[], Slices | None]) -> Slices | None:
    """Read a patient's slices; make and keep them where they are not there yet.

    Args:
        path: of `cache_file`; its folder is made.
        make: gives the slices, None for a patient without a heart, which is remembered too.

    Raises:
        InputError: a damaged file, or a folder that cannot be written to.
    """
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as found:
                return {name: found[name] for name in found.files} or None
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{path}: expected kept slices, found a damaged file ({error}); delete it"
            ) from None
    slices = make()
    arrays: dict[str, Any] = dict(slices or {})
    write_atomic(path, lambda beside: np.savez(beside, **arrays))
    return slices
