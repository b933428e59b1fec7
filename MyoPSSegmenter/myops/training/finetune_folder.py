"""The output folder of `myops finetune`: what may be gone on with, and what may be replaced.

OUTPUT/training/plan.json   what the training beside it learns from
OUTPUT/training/<network>   an interrupted training
OUTPUT/training/trained     the weights that were trained on, until they are compared
OUTPUT/training/halfway     the mean of these and of those that were started from
OUTPUT/training/...-bolder  both with a decision that tells more scar
OUTPUT/weights              the adapted weights that are kept
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from myops.errors import InputError
from myops.io.atomic import write_json
from myops.output.overwriting import OTHER_OUTPUT, lies_in, refuse_foreign
from myops.progress import Say
from myops.weights.files import MANIFEST
from myops.weights.packs import LICENSE_FILE, PACKS_FOLDER

WEIGHTS, TRAINING, PLAN = "weights", "training", "plan.json"
# What is tried: the weights that were trained on, and the mean of these and those before; both
# also with a decision that tells more scar.
TRAINED, HALFWAY, BOLDER = "trained", "halfway", "-bolder"
# What finetune itself writes into the folders that it replaces; hidden files are the system's.
OWN = {
    WEIGHTS: (MANIFEST, LICENSE_FILE, "*.safetensors", ".*"),
    TRAINING: (PLAN, TRAINED, HALFWAY, f"*{BOLDER}", "tried", "assn", "prsn", ".*"),
}


def check_output(output: Path, root: Path) -> None:
    """Refuse an output whose replaced folders hold the model that is started from, or other files.

    Raises:
        InputError: naming what would be lost.
    """
    for name, own in OWN.items():
        folder = output / name
        if any(lies_in(model, folder) for model in (root, PACKS_FOLDER)):
            raise InputError(
                f"expected an output beside the model {root}, which is never changed, found that "
                f"{folder} would be replaced; {OTHER_OUTPUT}"
            )
        refuse_foreign(folder, own, OTHER_OUTPUT)


def claim(training: Path, plan: Mapping[str, Any], say: Say) -> None:
    """Keep an interrupted training of the same plan; take any other away, and say so.

    Args:
        training: the folder.
        plan: what is learned from, by what it is called in messages: JSON values.
        say: takes a line.
    """
    found = _read_plan(training / PLAN)
    if found == plan:
        say(f"going on with the interrupted training in {training}")
        return
    if training.exists():
        differs = ", ".join(name for name in plan if found.get(name) != plan[name])
        say(f"the interrupted training in {training} is of other {differs}: starting anew")
        remove(training)
    write_json(training / PLAN, plan)


def remove(training: Path) -> None:
    """Take a training away in one step, so that no half of it is ever gone on with."""
    aside = training.with_name(f".{training.name}-old")
    shutil.rmtree(aside, ignore_errors=True)
    training.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def exchange(adapted: Path, weights: Path) -> None:
    """Put the adapted weights in the place of earlier ones, which stay until they are there."""
    earlier = weights.with_name(f".{weights.name}-old")
    shutil.rmtree(earlier, ignore_errors=True)
    if weights.exists():
        weights.rename(earlier)
    adapted.rename(weights)
    shutil.rmtree(earlier, ignore_errors=True)


def _read_plan(path: Path) -> dict[str, Any]:
    """Nothing where there is no plan, or a damaged one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
