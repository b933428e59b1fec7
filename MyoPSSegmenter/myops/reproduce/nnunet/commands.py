"""nnU-Net as the external reference: the real package, run by its own commands.

    OUTPUT/nnUNet_raw/Dataset701_MyoPS/   what `export_raw` wrote (nnunet_files.py)
    OUTPUT/nnUNet_preprocessed, OUTPUT/nnUNet_results   written by nnU-Net
    OUTPUT/trainers   shorter trainers, found by nnUNet_extTrainer
    OUTPUT/logs       what each command printed

The way: `export_raw` -> `plan_and_preprocess` -> `train_nnunet` -> `predict_nnunet` ->
`read_on_grid` and `score_case`; every step goes on where an earlier call was stopped.

The package `nnunetv2` (Isensee et al., Nature Methods 2021, doi 10.1038/s41592-020-01008-z;
Apache-2.0) is never imported: its commands are found in the folder that the environment variable
MYOPS_NNUNET names, or on the PATH (Docs/decisions/15-nnunet.md).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, NoReturn

from myops.errors import InputError
from myops.io.atomic import write_json
from myops.io.readable import encoded
from myops.io.text_files import write_text
from myops.reproduce.nnunet.files import RAW, read_description

# The environment variable that names the folder of nnU-Net's commands.
COMMANDS_VARIABLE = "MYOPS_NNUNET"
# nnU-Net's: folders in which it looks for trainers beside its own.
TRAINERS_VARIABLE = "nnUNet_extTrainer"
CONFIGURATION, PLANS = "2d", "nnUNetPlans"
# nnU-Net splits the training patients into five folds; fewer patients cannot be split.
FOLDS = 5
# Written by us when the preprocessing is complete: nnU-Net itself would do it all again.
PREPROCESSED = "myops_preprocessed.json"
CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_latest.pth", "checkpoint_best.pth")
TAIL_LINES = 8
# nnU-Net's own number of workers; each needs about 1 GB of memory.
MOST_PROCESSES = 8
# A command that does not end on SIGTERM is killed after this time.
LAST_SECONDS = 10

TRAINER = '''"""nnU-Net's trainer with fewer iterations; written by myops."""

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class {name}(nnUNetTrainer):
    # nnU-Net reads the names of these arguments.
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = {epochs}
        self.num_iterations_per_epoch = {iterations}
        self.num_val_iterations_per_epoch = {validations}
        self.save_every = 1
'''


@dataclass(frozen=True)
class NnunetRun:
    """One nnU-Net: where it lies and how it is trained.

    nnU-Net takes no seed: two trainings of the same data differ. Another training needs another
    output folder.

    Attributes:
        output: folder of everything that is written; the one that `export_raw` was given.
        dataset_id: number of the data set, 1 to 999.
        trainer: name of a trainer class, such as nnUNetTrainer (1000 epochs of 250 iterations) or
            nnUNetTrainer_10epochs; see also `with_short_trainer`.
        fold: "all" trains on all training patients; 0 to 4 leave a fifth of them out.
        device: "cpu", "cuda" or "mps".
        processes: worker processes of nnU-Net, for preprocessing, augmentation and export.
        commands: folder of nnU-Net's commands; None = MYOPS_NNUNET, or the PATH.
    """

    output: Path
    dataset_id: int = 701
    trainer: str = "nnUNetTrainer"
    fold: int | str = "all"
    device: str = "cpu"
    processes: int = field(default_factory=lambda: min(os.cpu_count() or 1, MOST_PROCESSES))
    commands: Path | None = None

    @property
    def raw(self) -> Path:
        """The exported data set.

        Raises:
            InputError: there is none of this number.
        """
        found = sorted((self.output / RAW).glob(f"Dataset{self.dataset_id:03d}_*"))
        if len(found) != 1:
            raise InputError(
                f"{self.output}: expected one exported data set {self.dataset_id}, found "
                f"{len(found)}; call export_raw with this folder first"
            )
        return found[0]

    @property
    def model(self) -> Path:
        """The folder in which nnU-Net keeps this training; raises InputError like `raw`."""
        name = f"{self.trainer}__{PLANS}__{CONFIGURATION}"
        return self.output / "nnUNet_results" / self.raw.name / name / f"fold_{self.fold}"


def with_short_trainer(run: NnunetRun, epochs: int, iterations: int) -> NnunetRun:
    """The run with a shorter trainer, for computers without a GPU and for small budgets.

    A subclass of nnU-Net's trainer is written, which nnU-Net finds by its own way for trainers of
    others, the variable nnUNet_extTrainer. It saves a checkpoint after every epoch.

    Args:
        run: the run.
        epochs: number of epochs; nnU-Net's own trainer has 1000.
        iterations: batches per epoch, at least 1; nnU-Net's own trainer has 250, and a fifth as
            many for its validation during training.
    """
    name = f"nnUNetTrainer_{epochs}x{iterations}"
    text = TRAINER.format(
        name=name, epochs=epochs, iterations=iterations, validations=max(1, iterations // 5)
    )
    path = run.output / "trainers" / f"{name}.py"
    write_text(path, text)
    return replace(run, trainer=name)


def plan_and_preprocess(run: NnunetRun) -> None:
    """Let nnU-Net choose its plan and preprocess the training patients, unless that is done.

    Raises:
        InputError: no export, no nnU-Net, or its command failed.
    """
    done = run.output / "nnUNet_preprocessed" / run.raw.name / PREPROCESSED
    if done.exists():
        return
    workers = str(run.processes)
    options = ["-d", str(run.dataset_id), "-c", CONFIGURATION, "-npfp", workers, "-np", workers]
    # --clean: an interrupted call may have left a fingerprint of half the patients.
    run_command(
        run, "nnUNetv2_plan_and_preprocess", [*options, "--verify_dataset_integrity", "--clean"]
    )
    write_json(done, {"configuration": CONFIGURATION, "nnunetv2": installed_version(run)})


def train_nnunet(run: NnunetRun) -> Path:
    """Train, or go on from nnU-Net's last checkpoint; a finished training is not run again.

    Returns:
        The final checkpoint.

    Raises:
        InputError: no export, too few patients for a fold, no nnU-Net, or its command failed.
    """
    patients = read_description(run.raw)["numTraining"]
    if run.fold != "all" and patients < FOLDS:
        raise InputError(
            f"expected {FOLDS} or more training patients for fold {run.fold}, found {patients}; "
            'train on all of them with fold "all"'
        )
    final = run.model / CHECKPOINTS[0]
    if final.exists():
        return final
    options = [str(run.dataset_id), CONFIGURATION, str(run.fold), "-tr", run.trainer]
    if any((run.model / name).exists() for name in CHECKPOINTS):
        options.append("--c")
    run_command(run, "nnUNetv2_train", [*options, "-device", run.device])
    if not final.exists():
        raise InputError(
            f"expected nnU-Net's checkpoint {final}, found none after its training; "
            f"read {_log(run, 'nnUNetv2_train')}"
        )
    return final


def predict_nnunet(run: NnunetRun) -> Path:
    """Predict the exported test patients; those that are there already are left.

    Returns:
        Folder of <name>.nii.gz, beside the checkpoint that made them.

    Raises:
        InputError: no export, no nnU-Net, or its command failed.
    """
    target = run.model / "predictions"
    options = ["-i", str(run.raw / "imagesTs"), "-o", str(target), "-d", str(run.dataset_id)]
    options += ["-c", CONFIGURATION, "-tr", run.trainer, "-f", str(run.fold)]
    options += ["-device", run.device, "-npp", str(run.processes), "-nps", str(run.processes)]
    run_command(run, "nnUNetv2_predict", [*options, "--continue_prediction"])
    return target


def run_command(run: NnunetRun, name: str, options: Sequence[str]) -> None:
    """Run one of nnU-Net's commands to its end; what it prints goes to the log as it is printed.

    Raises:
        InputError: the command is not installed, or failed; with the last lines of its log.
        KeyboardInterrupt, SystemExit: stopped by Ctrl-C or SIGTERM, and the command with it.
    """
    command = [str(find_command(name, run.commands)), *options]
    path = _log(run, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as log:
        log.write(encoded(f"\n$ {' '.join(command)}\n"))
        log.flush()
        begun = log.tell()
        code = _run(command, environment(run), log)
    if code != 0:
        end = f"failed with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        raise InputError(f"{name} {end}: {_tail(path, begun)} (whole log: {path})")


def find_command(name: str, commands: Path | None = None) -> Path:
    """Where one of nnU-Net's commands is: in the given folder, in MYOPS_NNUNET, or on the PATH.

    Raises:
        InputError: it is not there; the message says how to install it.
    """
    folder = str(commands) if commands is not None else os.environ.get(COMMANDS_VARIABLE)
    found = shutil.which(name, path=folder or None)
    if found is None:
        place = f"in {folder}" if folder else "on the PATH"
        raise InputError(
            f"expected nnU-Net's command {name}, found none {place}; run pip install nnunetv2 "
            "(Apache-2.0), best in an environment of its own, and name its folder of commands in "
            f"{COMMANDS_VARIABLE}"
        )
    return Path(found)


def installed_version(run: NnunetRun) -> str:
    """Version of the nnunetv2 whose commands are run; "unknown" where its Python is not found.

    Raises:
        InputError: nnU-Net is not installed.
    """
    folder = find_command("nnUNetv2_train", run.commands).parent
    python = shutil.which("python", path=str(folder))
    if python is None:
        return "unknown"
    code = "from importlib.metadata import version; print(version('nnunetv2'))"
    done = subprocess.run(  # noqa: S603 - the Python beside the commands that we run anyway
        [python, "-c", code], capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    return done.stdout.strip() or "unknown"


def environment(run: NnunetRun) -> dict[str, str]:
    """Our environment with nnU-Net's folders below the output and its numbers of workers."""
    output = run.output.resolve()
    trainers = [str(output / "trainers"), os.environ.get(TRAINERS_VARIABLE, "")]
    return {
        **os.environ,
        **{name: str(output / name) for name in (RAW, "nnUNet_preprocessed", "nnUNet_results")},
        TRAINERS_VARIABLE: os.pathsep.join(filter(None, trainers)),
        "nnUNet_def_n_proc": str(run.processes),
        "nnUNet_n_proc_DA": str(run.processes),
        # Otherwise Python holds back what it prints into a file.
        "PYTHONUNBUFFERED": "1",
    }


def _log(run: NnunetRun, name: str) -> Path:
    return run.output / "logs" / f"{name}.log"


def _run(command: Sequence[str], variables: Mapping[str, str], log: BinaryIO) -> int:
    """Run a command in a process group of its own; if it fails or we leave, the group ends."""
    process = subprocess.Popen(  # noqa: S603 - nnU-Net's command, named by us
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=variables,
        start_new_session=os.name == "posix",
    )
    try:
        with _sigterm_as_exit():
            return process.wait()
    finally:
        if process.returncode != 0:
            _end(process)


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Turn SIGTERM into SystemExit: its default would end us and leave nnU-Net running."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may change what a signal does
        return

    def leave(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and its worker processes; nothing happens where all have ended."""
    _signal(process, signal.SIGTERM)
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(LAST_SECONDS)
    finally:  # also after a second Ctrl-C
        _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    # An empty group is a missing process on Linux and a forbidden one on macOS.
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, number)
        elif process.poll() is None:
            process.terminate()


def _tail(path: Path, start: int) -> str:
    """The last lines that were printed after byte `start` of a log, joined by bars."""
    with path.open("rb") as file:
        file.seek(start)
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
    return " | ".join([line for line in lines if line][-TAIL_LINES:]) or "it printed nothing"
