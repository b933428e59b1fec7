"""Patients on the fly: worker processes make them, a pool of slices feeds the network."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from myops.errors import InputError
from myops.training.config import CURVE_SEED, TrainingConfig
from myops.training.data.slice_cache import cache_file, kept_slices
from myops.training.stages.stage import Batch, Patient, Slices, Source, Stage


def phantom_config(config: TrainingConfig) -> Any:
    """The phantom's configuration with this training's settings.

    Raises:
        InputError: a `phantom.<name>` that the phantom does not have.
    """
    from myops.phantom.patient import PhantomConfig

    try:
        return PhantomConfig(**config.phantom)
    except TypeError as error:
        raise InputError(f"unknown phantom setting: {error}") from None


def make_slices(
    stage: Stage, patient: Patient, rng: np.random.Generator, config: TrainingConfig
) -> Slices | None:
    """Turn a patient into the stage's slices; None without a heart."""
    if config.artifacts:
        from myops.training.data.artifacts import add_artifacts

        shown = add_artifacts(patient.images, rng, config.artifacts)
        patient = replace(patient, images=shown)  # type: ignore[type-var]
    try:
        slices = stage.prepare(patient, rng, config)
    except InputError:  # the stack missed the left ventricle
        return None
    return slices if len(slices["present"]) else None


def curve_batches(stage: Stage, config: TrainingConfig) -> list[Batch]:
    """Slices of the held-out patients whose scores are drawn as curves."""
    from myops.phantom.patient import generate_patient

    found, plain = [], replace(config, artifacts=0.0)
    for seed in range(CURVE_SEED, CURVE_SEED + config.curve_patients):
        patient = generate_patient(seed, phantom_config(config))
        slices = make_slices(stage, patient, np.random.default_rng((seed, 1)), plain)
        if slices is not None:
            found.append({name: torch.from_numpy(values) for name, values in slices.items()})
    return found


class PatientStream(IterableDataset):
    """Endless patients (index, slices); every rank and worker takes its own share of them."""

    def __init__(
        self,
        stage: Stage,
        config: TrainingConfig,
        source: Source,
        first: int,
        rank: int,
        world: int,
    ) -> None:
        self.stage, self.config, self.source = stage, config, source
        self.first, self.rank, self.world = first, rank, world

    def __iter__(self) -> Iterator[tuple[int, Slices]]:
        worker = get_worker_info()
        workers, number = (worker.num_workers, worker.id) if worker else (1, 0)
        index = self.first + self.rank * workers + number
        while True:
            slices = self._slices(index)
            if slices is not None:
                yield index, slices
            index += self.world * workers

    def _slices(self, index: int) -> Slices | None:
        def make() -> Slices | None:
            return make_slices(self.stage, *self.source(index), self.config)

        folder = getattr(self.config, "cache", "")
        if not folder:
            return make()
        path = cache_file(Path(folder), self.stage.name, self.config, index)
        return kept_slices(path, make)


# A worker outlives a SIGTERM by this long: enough for a step and a checkpoint.
LAST_SECONDS = 30


def _patient_worker(_: int) -> None:
    """Let the training decide what Ctrl-C and SIGTERM mean; both reach the whole process group.

    A worker that died at once would make the training fail before its checkpoint is written.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(LAST_SECONDS))


class PatientFeed:
    """Patients from worker processes, without making the network wait for them."""

    def __init__(self, stream: PatientStream, workers: int) -> None:
        self.next_index = stream.first
        self._step = stream.world * max(workers, 1)
        loader = DataLoader(
            stream,
            batch_size=None,
            num_workers=workers,
            worker_init_fn=_patient_worker,
            collate_fn=_as_is,
            prefetch_factor=2 if workers else None,
        )
        # The workers start here, in the main thread, before torch has threads of its own.
        self._source = iter(loader)
        self._threaded = workers > 0
        self._ready: queue.Queue[Any] = queue.Queue(maxsize=2)
        self._stopped = threading.Event()
        if self._threaded:
            self._thread = threading.Thread(target=self._fill, daemon=True)
            self._thread.start()

    def take(self, wait: bool) -> tuple[int, Slices] | None:
        """The next patient's index and slices; None if none is ready and `wait` is False."""
        if not self._threaded:
            item = next(self._source)
        else:
            try:
                item = self._ready.get(block=wait)
            except queue.Empty:
                return None
        if isinstance(item, BaseException):
            raise item
        index, slices = item
        self.next_index = max(self.next_index, index + self._step)
        return index, slices

    def close(self) -> None:
        """Stop the thread and the worker processes."""
        self._stopped.set()
        if self._threaded:
            self._thread.join(timeout=30)
        del self._source

    def _fill(self) -> None:
        while not self._stopped.is_set():
            try:
                item: Any = next(self._source)
            except Exception as error:  # handed to the main thread, which raises it
                # The traceback would keep the loader alive, and with it the workers.
                item = error.with_traceback(None)
            while not self._stopped.is_set():
                try:
                    self._ready.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
            if isinstance(item, Exception):
                return


def _as_is(item: Any) -> Any:
    return item


class SlicePool:
    """The slices of the last patients of every kind; batches are drawn from it by stated shares.

    Args:
        patients: how many of each kind are kept.
        shares: how often a slice is drawn from each kind.
    """

    def __init__(self, patients: int, shares: Sequence[float] = (1.0,)) -> None:
        self._kinds: list[deque[Slices]] = [deque(maxlen=patients) for _ in shares]
        self._shares = np.array(shares, float) / sum(shares)

    def __len__(self) -> int:
        return sum(map(len, self._kinds))

    def is_ready(self, start: int) -> bool:
        """Whether it holds so many patients, and one of each kind."""
        return len(self) >= start and all(self._kinds)

    def add(self, slices: Slices, kind: int = 0) -> None:
        """Add a patient; the oldest of its kind leaves a full pool."""
        self._kinds[kind].append(slices)

    def draw(self, count: int, rng: np.random.Generator) -> Batch:
        """Draw `count` slices: a kind for each, a random patient of it, then one of its slices."""
        kinds = [self._kinds[k] for k in rng.choice(len(self._kinds), count, p=self._shares)]
        chosen = [kind[rng.integers(len(kind))] for kind in kinds]
        places = [int(rng.integers(len(slices["present"]))) for slices in chosen]
        pairs = list(zip(chosen, places, strict=True))
        return {
            name: torch.from_numpy(np.stack([slices[name][place] for slices, place in pairs]))
            for name in chosen[0]
        }


def usable_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
