"""From a checkpoint to the weights that the cascade loads.

python -m myops.training.export runs/prsn/checkpoint.pt --folder MyoPSSegmenter/myops/weights
python -m myops.training.export runs/a/checkpoint.pt runs/b/checkpoint.pt --folder weights  # mean
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from torch import nn

from myops.errors import InputError
from myops.output.overwriting import refuse_overwriting
from myops.training.averaging import averaged
from myops.training.checkpoint import load_weights, read_checkpoint, stored_config
from myops.training.config import CURVE_SEED, TrainingConfig, training_seed, with_present_names
from myops.training.data.mixing import parse_mix
from myops.weights.files import BUILDERS, install_weights
from myops.weights.learned import learned_in


def load_trained(checkpoint: Path) -> tuple[nn.Module, TrainingConfig]:
    """A checkpoint's network with its weights (their running mean, if any), and its configuration.

    Returns:
        The network on the CPU, built as its training built it, and what it was trained with.

    Raises:
        InputError: missing or damaged checkpoint.
    """
    from myops.training.loop import STAGES  # loads Lightning: not before it is needed

    content = read_checkpoint(checkpoint)
    config = stored_config(content)
    network = STAGES[content["stage"]].build(config)
    load_weights(checkpoint, network)
    return network.eval(), config


def trained_network(checkpoint: Path) -> nn.Module:
    """The network alone; see `load_trained`."""
    return load_trained(checkpoint)[0]


def export_weights(
    checkpoint: Path,
    folder: Path,
    metrics: Mapping[str, float] | None = None,
    name: str = "",
    averaged_with: Sequence[Path] = (),
) -> dict[str, Any]:
    """Write a checkpoint's network as `<name>.safetensors` and enter it in the folder's manifest.

    Args:
        checkpoint: file written by `myops.training.loop.train`.
        folder: folder of weights; made if it is not there.
        name: of the network in the folder, where it is not that of the stage ("prsn_cine").
        metrics: scores to state beside those of the training's own held-out patients.
        averaged_with: checkpoints of the same network; what is written is the mean of all.

    Returns:
        The manifest entry: configuration, commit, seeds, metrics, checksum.

    Raises:
        InputError: missing or damaged checkpoint, a baseline's, one of another network, or a folder
            that cannot be written to.
    """
    content = read_checkpoint(checkpoint)
    if content["stage"] not in BUILDERS:
        raise InputError(
            f"{checkpoint}: expected a network among {', '.join(BUILDERS)}, found "
            f"{content['stage']}, which is only compared with; folders of weights do not hold it"
        )
    name = name or content["stage"]
    written = folder / f"{name}.safetensors"
    refuse_overwriting([written], [checkpoint, *averaged_with], "name another folder")
    metadata = provenance(content, stored_config(content))
    network = trained_network(checkpoint)
    if averaged_with:
        others = [read_checkpoint(path) for path in averaged_with]
        parts = [metadata, *(provenance(one, stored_config(one)) for one in others)]
        try:
            network = averaged([network, *(trained_network(path) for path in averaged_with)])
        except ValueError:
            raise InputError(
                f"expected checkpoints of the same network as {checkpoint}, found another among "
                f"{', '.join(map(str, averaged_with))}; average trainings that began from the same "
                "weights"
            ) from None
        metadata = _provenance_of_mean(parts)
    metadata["metrics"] |= dict(metrics or {})
    return install_weights(name, network, folder, metadata)


def _provenance_of_mean(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The first part's configuration, what all have learned from, and every part as it is."""
    return parts[0] | {
        "data": "; ".join(dict.fromkeys(part["data"] for part in parts)),
        "learned": sorted({image for part in parts for image in part["learned"]}),
        "mean_of": list(parts),
        "metrics": {},  # those of the parts are not those of their mean
    }


def provenance(content: Mapping[str, Any], config: TrainingConfig) -> dict[str, Any]:
    """Where a checkpoint's weights come from: JSON values for manifest and model card."""
    progress = json.loads(content["progress"])
    stage, patients = content["stage"], progress["next_patient"]
    return {
        "data": _data(config),
        "config": _without_places(with_present_names(json.loads(content["config"]))),
        "learned": sorted(learned_in(content)),
        "commit": content["commit"],
        "seeds": {
            "first": training_seed(stage, 0, config.seed),
            "last": training_seed(stage, max(patients - 1, 0), config.seed),
            "curves": [CURVE_SEED, CURVE_SEED + config.curve_patients - 1],
        },
        "patients": patients,
        "steps": progress["step"],
        "hours": round(progress["elapsed_s"] / 3600, 3),
        "metrics": {name: round(value, 4) for name, value in progress["metrics"].items()},
    }


def _data(config: TrainingConfig) -> str:
    """What a network has learned from, for people."""
    if config.mix:
        kinds = [f"{share:.0%} {Path(kind).name}" for kind, share in parse_mix(config.mix)]
        return f"a mixture of {', '.join(kinds)}"
    if config.cases:
        return f"labeled cases of {Path(config.cases).name}"
    return "synthetic patients of myops.phantom only"


PLACES = ("dae", "start", "cascade", "cases", "finders", "held_out", "cache")


def _without_places(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with files named by their last folders: weights are given to others."""
    named = {key: config[key].split(",") for key in PLACES if config.get(key)}
    short = {key: ",".join(map(_last_folders, paths)) for key, paths in named.items()}
    if config.get("mix"):
        kinds = [f"{_last_folders(kind)}:{share:g}" for kind, share in parse_mix(config["mix"])]
        short["mix"] = ",".join(kinds)
    return config | short


def _last_folders(path: str) -> str:
    return "/".join(Path(path).parts[-2:])


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--folder", type=click.Path(path_type=Path), required=True)
def main(checkpoint: tuple[Path, ...], folder: Path) -> None:
    """Write CHECKPOINT's network into a folder of weights; of several, their mean."""
    first, *others = checkpoint
    try:
        entry = export_weights(first, folder, averaged_with=others)
    except InputError as error:
        raise SystemExit(f"Error: {error}") from None
    click.echo(f"{folder / entry['file']}  {entry['sha256']}")


if __name__ == "__main__":
    main()
