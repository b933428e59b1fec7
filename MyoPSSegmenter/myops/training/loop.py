"""The training loop: one for all networks, on CPU, one GPU, several, or several nodes."""

from __future__ import annotations

import copy
import math
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from myops.errors import InputError
from myops.networks.device import has_fast_bfloat16
from myops.output.overwriting import OTHER_OUTPUT, refuse_overwriting
from myops.training.checkpoint import (
    CHECKPOINT_NAME,
    State,
    TrainingProgress,
    git_commit,
    learned_by,
    load_weights,
    read_checkpoint,
    restore_state,
    save_checkpoint,
    stored_config,
)
from myops.training.config import TrainingConfig, make_config
from myops.training.data.cases import CasePatient
from myops.training.data.feed import (
    PatientFeed,
    PatientStream,
    SlicePool,
    curve_batches,
    phantom_config,
    usable_cores,
)
from myops.training.data.mixing import Mixture, training_mixture
from myops.training.progress import Reporter
from myops.training.stages.assn import ASSN_STAGE
from myops.training.stages.clickhead import CLICKHEAD_STAGE
from myops.training.stages.dae import DAE_STAGE
from myops.training.stages.dssnet import DSSNET_STAGE
from myops.training.stages.heartfinder import HEARTFINDER_STAGE
from myops.training.stages.prsn import PRSN_STAGE
from myops.training.stages.refiner import REFINER_STAGE
from myops.training.stages.stage import Batch, Stage
from myops.training.stages.unet import UNET_STAGE
from myops.weights.files import SHIPPED_FOLDER, learned_from, model_folder, read_manifest
from myops.weights.learned import learned_in

# Norm: one odd batch must not undo what was learned.
LARGEST_GRADIENT = 5.0
STAGES = {
    stage.name: stage
    for stage in (
        HEARTFINDER_STAGE,
        DAE_STAGE,
        ASSN_STAGE,
        PRSN_STAGE,
        UNET_STAGE,
        DSSNET_STAGE,
        REFINER_STAGE,
        CLICKHEAD_STAGE,
    )
}


def train(
    stage: str,
    overrides: Mapping[str, str],
    output: Path,
    resume: bool = False,
    patients: Sequence[CasePatient] = (),
) -> Path:
    """Train one network, on phantoms or on labeled cases, until its steps or minutes are used up.

    Args:
        stage: a name of `STAGES`.
        overrides: settings as texts by name (see myops.training.config).
        output: folder of the checkpoint and the curves.
        resume: go on from the folder's checkpoint with its configuration (and new `overrides`);
            start anew where there is none, so that one command serves first start and restart.
        patients: the labeled cases that `overrides` name, where the caller has read them already.

    Returns:
        The checkpoint's path.

    Raises:
        InputError: bad settings, or a checkpoint that would be overwritten.
        OSError: the folder cannot be written to.
        KeyboardInterrupt, SystemExit: after Ctrl-C or SIGTERM, with the checkpoint written.
    """
    path = Path(output) / CHECKPOINT_NAME
    found = read_checkpoint(path) if resume and path.exists() else None
    if path.exists() and not resume:
        raise InputError(f"{path} exists: resume it with --resume or choose another folder")
    if found is not None and found["stage"] != stage:
        raise InputError(f"{path} belongs to {found['stage']}, expected {stage}")
    config = make_config(stage, overrides, stored_config(found) if found else None)
    phantom_config(config)
    refuse_overwriting([path], starting_files(stage, config), OTHER_OUTPUT)
    git_commit()  # of the code that runs; the tree may be another when a checkpoint is written
    path.parent.mkdir(parents=True, exist_ok=True)
    fabric = make_fabric(config)
    state = make_state(STAGES[stage], config, fabric)
    if found is not None:
        restore_state(found, state)
        state.learned |= learned_in(found)
        if not fabric.is_global_zero:  # the generators in the checkpoint are the first process's
            seed_generators(state, config.seed, fabric.global_rank, state.progress.step)
    mixture = training_mixture(STAGES[stage], config, patients)
    state.learned |= mixture.learned
    _run(STAGES[stage], config, fabric, state, path, mixture)
    return path


def free_cores(config: TrainingConfig) -> int:
    """Cores for the networks: those that the processes that make patients leave to each of them.

    A thread too many is worse than one too few: all threads wait for the one that has no core.
    """
    return max(1, usable_cores() // max(1, config.devices) - config.workers)


def make_fabric(config: TrainingConfig) -> Fabric:
    """Start the processes, choose device and precision."""
    torch.set_num_threads(config.threads or free_cores(config))
    on_gpu = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    kind = "cuda" if on_gpu else "cpu" if config.device == "auto" else config.device
    precision: Any = config.precision
    if precision == "auto":
        precision = "bf16-mixed" if has_fast_bfloat16(torch.device(kind)) else "32-true"
    fabric = Fabric(
        accelerator=kind,
        devices=config.devices or ("auto" if on_gpu else 1),
        num_nodes=config.nodes,
        precision=precision,
    )
    fabric.launch()
    torch.manual_seed(config.seed)
    return fabric


def make_state(stage: Stage, config: TrainingConfig, fabric: Fabric) -> State:
    """Build network, running mean, optimizer and random generators."""
    model = stage.build(config)
    model.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config.start:
        load_weights(starting_weights(stage.name, config.start), model)
    average = copy.deepcopy(model).eval().requires_grad_(False) if config.ema_decay else None
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    state = State(
        model, average, optimizer, TrainingProgress(), np.random.default_rng(), torch.Generator()
    )
    seed_generators(state, config.seed, fabric.global_rank)
    state.learned = learned_before(stage.name, config)
    return state


def starting_files(stage: str, config: TrainingConfig) -> list[Path]:
    """Files of the networks that a training starts from or leans on, where it names some."""
    files = [starting_weights(stage, config.start)] if config.start else []
    return files + ([Path(dae)] if (dae := getattr(config, "dae", "")) else [])


def learned_before(stage: str, config: TrainingConfig) -> frozenset[str]:
    """Images that the networks which a training starts from or leans on have learned from."""
    learned = [learned_by(path) for path in starting_files(stage, config)]
    leant_on = set(getattr(config, "cascade", "").split(","))
    # Of the finders "default" is the free pack.
    leant_on |= {name.strip() for name in getattr(config, "finders", "").split(",")} - {"default"}
    for name in leant_on - {""}:
        learned.append(learned_from(read_manifest(model_folder(name, None))))
    return frozenset().union(*learned)


def starting_weights(stage: str, start: str) -> Path:
    """The file a training starts from; "default" names the network that is shipped.

    Raises:
        InputError: "default", but no network of this stage is shipped.
    """
    if start != "default":
        return Path(start)
    shipped = SHIPPED_FOLDER / f"{stage}.safetensors"
    if not shipped.is_file():
        raise InputError(
            f"expected shipped weights of {stage} for start=default, found none; name a file, or "
            "leave start out to begin with random weights"
        )
    return shipped


def seed_generators(state: State, seed: int, rank: int, step: int = 0) -> None:
    """Give every process random numbers of its own: batches, augmentation, its noise."""
    numbers = np.random.SeedSequence((seed, rank, step)).generate_state(3)
    state.rng = np.random.default_rng(int(numbers[0]))
    state.generator.manual_seed(int(numbers[1]))
    torch.manual_seed(int(numbers[2]))


def _run(
    stage: Stage, config: TrainingConfig, fabric: Fabric, state: State, path: Path, mixture: Mixture
) -> None:
    progress, main_process = state.progress, fabric.is_global_zero
    stream = PatientStream(
        stage, config, mixture, progress.next_patient, fabric.global_rank, fabric.world_size
    )
    with closing(PatientFeed(stream, config.workers)) as feed, stop_signals() as stopped:
        report = Reporter(stage.name, config, path.parent, progress, enabled=main_process)
        curves = curve_batches(stage, config) if main_process else []
        loss_function = stage.make_loss(config, fabric.device)
        model, optimizer = fabric.setup(state.model, state.optimizer)
        pool = SlicePool(config.pool_patients, mixture.shares)
        clock = Clock(progress)

        while not _agree(fabric, progress.fraction(config) >= 1 or bool(stopped)):
            fraction = _agree(fabric, progress.fraction(config))
            rate = set_learning_rate(optimizer, config, fraction)
            refill(pool, feed, progress, config, mixture)
            batch = to_device(pool.draw(config.batch_size, state.rng), fabric.device)
            loss, parts = loss_function(model, stage.augment(batch, state.generator, config))
            optimizer.zero_grad()
            fabric.backward(loss)
            fabric.clip_gradients(model, optimizer, max_norm=LARGEST_GRADIENT)
            optimizer.step()
            update_average(state.average, state.model, progress.step, config.ema_decay)

            progress.step += 1
            progress.elapsed_s = clock.elapsed_s()
            progress.next_patient = feed.next_index
            report.step({"loss": loss, **parts}, progress, rate)
            if main_process and clock.due("curve", config.curve_minutes):
                progress.metrics = score(stage, state, curves, fabric)
                report.metrics(progress)
            if main_process and clock.due("checkpoint", config.checkpoint_minutes):
                save_checkpoint(path, stage.name, config, state)

        if main_process:
            if not stopped:
                progress.metrics = score(stage, state, curves, fabric)
                report.metrics(progress)
            save_checkpoint(path, stage.name, config, state)
        report.close(progress, bool(stopped))
    if stopped:
        raise KeyboardInterrupt if stopped[0] == signal.SIGINT else SystemExit(128 + stopped[0])


class Clock:
    """Training time that goes on after a resume, and reminders by name."""

    def __init__(self, progress: TrainingProgress) -> None:
        self._started = time.monotonic() - progress.elapsed_s
        self._last: dict[str, float] = {}

    def elapsed_s(self) -> float:
        """Seconds of training, all resumed parts together."""
        return time.monotonic() - self._started

    def due(self, name: str, minutes: float) -> bool:
        """True once every `minutes`, first after `minutes`; never when `minutes` is 0."""
        now = time.monotonic()
        if minutes <= 0 or now - self._last.setdefault(name, now) < 60 * minutes:
            return False
        self._last[name] = now
        return True


def refill(
    pool: SlicePool,
    feed: PatientFeed,
    progress: TrainingProgress,
    config: TrainingConfig,
    mixture: Mixture,
) -> None:
    """Take a new patient where one is due; wait only while the pool is too small to draw from."""
    while not pool.is_ready(min(config.pool_start, config.pool_patients)):
        found = feed.take(wait=True)
        if found is not None:
            pool.add(found[1], mixture.kind_of(found[0]))
    whole = int((progress.step + 1) / config.steps_per_patient)
    due = whole - int(progress.step / config.steps_per_patient)
    for _ in range(due):
        found = feed.take(wait=False)
        if found is None:
            return
        pool.add(found[1], mixture.kind_of(found[0]))


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a drawn batch; half-precision images become float32 there."""
    moved = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in moved.items()}


def set_learning_rate(
    optimizer: torch.optim.Optimizer, config: TrainingConfig, fraction: float
) -> float:
    """Rise during the warm-up, then a cosine down to 1 %; return the learning rate."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(fraction, 1.0)))
    # A tenth of the rise is given at once, so that the very first step already counts.
    rise = min(1.0, 0.1 + fraction / config.warmup) if config.warmup > 0 else 1.0
    rate = config.learning_rate * rise * (0.01 + 0.99 * cosine)
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


@torch.no_grad()
def update_average(average: nn.Module | None, model: nn.Module, step: int, decay: float) -> None:
    """Running mean of the weights; the first steps count more, so that the start is forgotten.

    Args:
        average: the mean, changed in place; nothing happens if None.
        model: the weights after this step.
        step: steps before this one.
        decay: share of the mean that is kept, at most.
    """
    if average is None:
        return
    share = 1 - min(decay, (1 + step) / (10 + step))
    pairs = zip(average.state_dict().values(), model.state_dict().values(), strict=True)
    for mean, value in pairs:
        if mean.is_floating_point():
            mean.lerp_(value, share)
        else:
            mean.copy_(value)


def score(stage: Stage, state: State, curves: list[Batch], fabric: Fabric) -> dict[str, float]:
    """Mean scores on the held-out patients; a score that a patient does not have is left out."""
    network = state.average if state.average is not None else state.model
    training = network.training
    network.eval()
    with torch.no_grad(), fabric.autocast():
        rows = [stage.score(network, to_device(batch, fabric.device)) for batch in curves]
    network.train(training)
    names = dict.fromkeys(name for row in rows for name in row)
    found = {n: [row[n] for row in rows if n in row and row[n] == row[n]] for n in names}
    return {name: float(np.mean(values)) for name, values in found.items() if values}


def _agree(fabric: Fabric, value: Any) -> Any:
    """The first process's value on all processes: they must take the same number of steps."""
    return fabric.broadcast(value) if fabric.world_size > 1 else value


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that the step in progress ends and a checkpoint is written."""
    received: list[int] = []
    previous: dict[signal.Signals, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            previous[number] = signal.signal(number, lambda n, _frame: received.append(n))
        except ValueError:  # not in the main thread: the caller keeps its own handlers
            break
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
