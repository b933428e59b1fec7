"""How fast the training runs: slices per second, and the share of time that it waits for data.

    python Testing/Scripts/bench/training.py                       our loop alone
    MYOPS_NNUNET=env/bin python Testing/Scripts/bench/training.py  beside nnU-Net's own loop

One U-Net (ours, as in Docs/how-to/reproduce.md: three sequences, four classes), one batch size and
one size of square for all, in one run on an idle machine. nnU-Net trains it by its own loop,
data loader, augmentation and loss: its trainer is told to build our network, its plan to cut the
same squares. Each loop has one process that makes data; nnU-Net takes all threads, ours leaves one
to that process unless told otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LIBRARY = Path(__file__).resolve().parents[3] / "MyoPSSegmenter"
sys.path.insert(0, str(LIBRARY))
PATIENTS, FIRST_SEED = 8, 975_000
EPOCHS = 3  # of nnU-Net; the first is left out, our first steps too
WIDTHS = (16, 32, 64, 96, 128)

TRAINER = '''"""nnU-Net's trainer around our U-Net; written by benchmark_training.py."""

import sys
import time

import torch
from torch import nn

sys.path.insert(0, {library!r})
from myops.networks.unet import build_unet
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class OurUnet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.net = build_unet((0, 1, 2), classes, {widths!r})

    def forward(self, images):
        return self.net(images, None)


class Timed:
    def __init__(self, source):
        self.source, self.waited = source, 0.0

    def __getattr__(self, name):
        return getattr(self.source, name)

    def __next__(self):
        begun = time.perf_counter()
        batch = next(self.source)
        self.waited += time.perf_counter() - begun
        return batch


class {name}(nnUNetTrainer):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = {epochs}
        self.num_iterations_per_epoch = {iterations}
        self.num_val_iterations_per_epoch = 1
        self.enable_deep_supervision = False

    # nnU-Net reads the names of these arguments.
    @staticmethod
    def build_network_architecture(
        plans_manager,
        configuration_manager,
        num_input_channels,
        num_output_channels,
        enable_deep_supervision=True,
    ):
        return OurUnet(num_output_channels)

    def set_deep_supervision_enabled(self, enabled):
        pass  # ours has none

    def on_train_epoch_start(self):
        super().on_train_epoch_start()
        if not isinstance(self.dataloader_train, Timed):
            self.dataloader_train = Timed(self.dataloader_train)
        self.dataloader_train.waited = 0.0
        self.begun = time.perf_counter()

    def on_train_epoch_end(self, outputs):
        took = time.perf_counter() - self.begun
        super().on_train_epoch_end(outputs)
        waited = self.dataloader_train.waited
        self.print_to_log_file(f"myops took {{took:.4f}} waited {{waited:.4f}}")

    def perform_actual_validation(self, save_probabilities=False):
        pass  # not a part of the loop
'''


def main() -> None:
    """Measure, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--batch", type=int, default=8, help="slices per step")
    parser.add_argument("--size", type=int, default=80, help="pixels per side of a square")
    parser.add_argument("--steps", type=int, default=100, help="steps that are timed")
    parser.add_argument("--threads", type=int, default=0, help="of our loop (0 = its own choice)")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        from myops.phantom.files import write_cohort
        from myops.phantom.patient import PhantomConfig

        cohort = folder / "cohort"
        with contextlib.redirect_stdout(io.StringIO()):
            drawn = PhantomConfig(dropout=False, normal_share=0.0)
            write_cohort(FIRST_SEED, PATIENTS, cohort, drawn)
        for words, settings in (
            ("ours, labeled cases", {"cases": str(cohort)}),
            ("ours, labeled cases, float32", {"cases": str(cohort), "precision": "32-true"}),
            ("ours, new phantoms as they come", {"pool_start": "4"}),
        ):
            rows.append((words, *our_loop(options, settings, folder / words.replace(" ", "_"))))
        rows += nnunet_rows(options, cohort, folder / "nnunet")
    print_table(rows, options)


def our_loop(
    options: argparse.Namespace, settings: dict[str, str], output: Path
) -> tuple[float, float]:
    """Slices per second and the share of time waiting, of our loop after its first steps."""
    from myops.training import loop
    from myops.training.data import feed

    marks: list[float] = []
    waits: list[float] = []
    whole = options.steps // 4 + options.steps

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            begun = time.perf_counter()
            answer = function(*arguments, **named)
            waits.append(time.perf_counter() - begun)
            return answer

        return call

    def refill(*arguments: Any) -> None:
        marks.append(time.perf_counter())  # once a step
        timed_refill(*arguments)

    timed_refill, timed_draw = timed(loop.refill), timed(feed.SlicePool.draw)
    kept = loop.refill, feed.SlicePool.draw
    loop.refill, feed.SlicePool.draw = refill, timed_draw  # type: ignore[assignment]
    fixed = {
        "steps": str(whole),
        "batch_size": str(options.batch),
        "size": str(options.size),
        "target": "tissues",
        "widths": ",".join(map(str, WIDTHS)),
        "device": options.device,
        "threads": str(options.threads),
        "curve_patients": "0",
        "steps_per_patient": "5",
        "pool_start": "8",
    }
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            loop.train("unet", fixed | settings, output)
    finally:
        loop.refill, feed.SlicePool.draw = kept  # type: ignore[assignment]
    first = options.steps // 4
    took = marks[-1] - marks[first]
    steps = len(marks) - 1 - first
    # Each step has one refill and one draw.
    waited = sum(waits[2 * first : 2 * (first + steps)])
    return steps * options.batch / took, waited / took


def nnunet_rows(
    options: argparse.Namespace, cohort: Path, output: Path
) -> Iterator[tuple[str, float, float]]:
    """The same of nnU-Net's loop; nothing where nnU-Net is not installed."""
    from dataclasses import replace

    from myops.datasets import find_cases
    from myops.errors import InputError
    from myops.reproduce.nnunet import commands
    from myops.reproduce.nnunet.files import export_raw

    try:
        commands.find_command("nnUNetv2_train")
    except InputError as error:
        print(f"Left out: nnU-Net ({error})", file=sys.stderr)
        return
    names = [case.name for case in find_cases(cohort)]
    export_raw(find_cases(cohort), names, [], output, size_mm=150.0)
    run = commands.NnunetRun(output, processes=1, device=options.device)
    commands.plan_and_preprocess(run)
    path = output / "nnUNet_preprocessed" / run.raw.name / f"{commands.PLANS}.json"
    plans = json.loads(path.read_text(encoding="utf-8"))
    plans["configurations"]["2d"] |= {
        "batch_size": options.batch,
        "patch_size": [options.size, options.size],
    }
    path.write_text(json.dumps(plans), encoding="utf-8")
    name = "nnUNetTrainer_OurUnet"
    trainer = output / "trainers" / f"{name}.py"
    trainer.parent.mkdir(parents=True, exist_ok=True)
    trainer.write_text(
        TRAINER.format(
            name=name,
            library=str(LIBRARY),
            widths=WIDTHS,
            epochs=EPOCHS,
            iterations=max(1, options.steps // (EPOCHS - 1)),
        ),
        encoding="utf-8",
    )
    run = replace(run, trainer=name)
    commands.train_nnunet(run)
    log = max(run.model.glob("training_log_*.txt")).read_text(encoding="utf-8")
    epochs = re.findall(r"myops took ([0-9.]+) waited ([0-9.]+)", log)[1:]
    took, waited = (sum(float(epoch[k]) for epoch in epochs) for k in (0, 1))
    slices = len(epochs) * max(1, options.steps // (EPOCHS - 1)) * options.batch
    version = commands.installed_version(run)
    yield f"nnU-Net {version}'s loop, labeled cases", slices / took, waited / took


def print_table(rows: list[tuple[str, float, float]], options: argparse.Namespace) -> None:
    """Slices per second, the ratio to the first row, and the share of time waiting."""
    import torch

    print(
        f"\n{options.batch} slices of {options.size} x {options.size} pixels per step, "
        f"{options.steps} steps after the first; {options.device}, {torch.get_num_threads()} "
        f"threads in ours, {platform.machine()}, torch {torch.__version__}\n"
    )
    print("| loop | slices per second | of the first row's | time waiting for data |")
    print("|---|---|---|---|")
    for words, speed, waiting in rows:
        print(f"| {words} | {speed:.0f} | {speed / rows[0][1]:.2f} | {waiting:.1%} |")


if __name__ == "__main__":
    main()
