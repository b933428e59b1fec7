"""Progress of a training: lines that read well in a log file, and TensorBoard curves."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from myops.errors import InputError
from myops.io.readable import is_utf8
from myops.progress import clock_text
from myops.training.checkpoint import TrainingProgress
from myops.training.config import TrainingConfig


class Reporter:
    """Prints and draws what one process (the first) sees; silent in the others."""

    def __init__(
        self,
        stage: str,
        config: TrainingConfig,
        folder: Path,
        progress: TrainingProgress,
        enabled: bool,
    ) -> None:
        self._stage, self._config, self._enabled = stage, config, enabled
        self._losses: list[dict[str, Tensor]] = []
        self._since = (time.monotonic(), progress.step, progress.next_patient)
        if enabled:
            from torch.utils.tensorboard import SummaryWriter

            if not is_utf8(str(folder)):
                raise InputError(
                    f"{folder}: expected a folder named in UTF-8 for the curves of TensorBoard, "
                    "found other bytes; choose another folder"
                )
            self._writer = SummaryWriter(str(folder / "curves"), purge_step=progress.step or None)
            if progress.step:
                self._line(f"resumed at step {progress.step}, {clock_text(progress.elapsed_s)} in")

    def step(self, losses: Mapping[str, Tensor], progress: TrainingProgress, rate: float) -> None:
        """Collect one step; every `log_steps` print a line with speed and remaining time.

        Args:
            losses: "loss" and its parts, scalars.
            progress: after the step.
            rate: the step's learning rate.

        Raises:
            RuntimeError: the loss is not finite.
        """
        if not self._enabled:
            return
        self._losses.append({name: value.detach() for name, value in losses.items()})
        if progress.step % self._config.log_steps:
            return
        means = {
            name: float(torch.stack([entry[name] for entry in self._losses]).mean())
            for name in losses
        }
        self._losses.clear()
        if not math.isfinite(means["loss"]):
            raise RuntimeError(
                f"expected a finite loss, found {means['loss']} at step {progress.step}: "
                "resume from the checkpoint with a lower learning_rate"
            )
        self._line(self._speed(means, progress, rate))
        for name, value in means.items():
            self._writer.add_scalar(f"loss/{name}", value, progress.step)
        self._writer.add_scalar("learning_rate", rate, progress.step)

    def _speed(self, means: Mapping[str, float], progress: TrainingProgress, rate: float) -> str:
        now = (time.monotonic(), progress.step, progress.next_patient)
        seconds, steps, patients = (a - b for a, b in zip(now, self._since, strict=True))
        self._since = now
        left_s = remaining_s(self._config, progress, steps / seconds)
        losses = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        return (
            f"step {progress.step}  {losses}  rate {rate:.2e}  {steps / seconds:.2f} steps/s  "
            f"{patients / seconds:.2f} patients/s  {100 * progress.fraction(self._config):.1f} %  "
            f"{clock_text(left_s)} left"
        )

    def metrics(self, progress: TrainingProgress) -> None:
        """Print and draw the scores on the held-out patients."""
        if not self._enabled or not progress.metrics:
            return
        text = "  ".join(f"{name} {value:.4f}" for name, value in progress.metrics.items())
        self._line(f"step {progress.step}  held-out patients: {text}")
        for name, value in progress.metrics.items():
            self._writer.add_scalar(f"held_out/{name}", value, progress.step)
        self._writer.flush()

    def close(self, progress: TrainingProgress, stopped: bool) -> None:
        """Say how the training ended."""
        if self._enabled:
            ending = "stopped, resume with --resume" if stopped else "finished"
            self._line(f"{ending} at step {progress.step}, {clock_text(progress.elapsed_s)}")
            self._writer.close()

    def _line(self, text: str) -> None:
        print(f"{self._stage}  {text}", flush=True)


def remaining_s(config: TrainingConfig, progress: TrainingProgress, steps_per_s: float) -> float:
    """Seconds until the training ends at the present speed."""
    if config.minutes > 0:
        return max(0.0, 60 * config.minutes - progress.elapsed_s)
    return (config.steps - progress.step) / max(steps_per_s, 1e-9)
