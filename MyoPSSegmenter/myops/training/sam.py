"""SAM as the refiner that is trained, and from its checkpoint to a file for `myops models add`.

myops train refiner --output runs/sam --set backbone=vit_b --set checkpoint=FILE --set adapt=lora
python -m myops.training.sam runs/sam/checkpoint.pt scar_lora.safetensors
"""

from __future__ import annotations

from pathlib import Path

import click
from torch import nn

from myops.checksum import file_sha256
from myops.errors import InputError
from myops.known_models import KNOWN_MODELS
from myops.model_store import find_model
from myops.models.lora import Adaptation, adapt
from myops.models.sam import ARCHITECTURES, SamRefiner
from myops.models.sam_adaptation import save_adaptation, start_sam_refiner
from myops.overwriting import refuse_overwriting
from myops.training.checkpoint import load_weights, read_checkpoint, stored_config
from myops.training.config import RefinerConfig
from myops.training.export import provenance

EMBEDDED = "embedded"


def build_sam_refiner(config: RefinerConfig) -> nn.Module:
    """The configuration's SAM with its LoRA or adapters, as training starts.

    Raises:
        InputError: unknown backbone or adaptation; a checkpoint that is missing, unusable or of
            another architecture.
    """
    return _start(config)[0]


def export_sam(checkpoint: Path, output: Path) -> str:
    """Write what training changed as a file that `myops models add` takes.

    Args:
        checkpoint: file written by `myops train refiner` with a SAM backbone.
        output: the `.safetensors` file to write.

    Returns:
        Its SHA-256.

    Raises:
        InputError: not such a checkpoint, or the base checkpoint is no longer there.
    """
    content = read_checkpoint(checkpoint)
    config = stored_config(content)
    if not isinstance(config, RefinerConfig) or config.backbone == EMBEDDED:
        raise InputError(f"{checkpoint}: expected a refiner trained on SAM, found another network")
    model, adaptation, base = _start(config)
    load_weights(checkpoint, model)
    refuse_overwriting([output], [checkpoint, base], "name another file")
    metadata = provenance(content, config)
    metadata["config"]["checkpoint"] = base.name  # weights are given to others: no places
    origin = (config.backbone, file_sha256(base))
    return save_adaptation(model, output, adaptation, origin, metadata)


def _start(config: RefinerConfig) -> tuple[SamRefiner, Adaptation, Path]:
    """The network before training, what is trained, and the base checkpoint's file."""
    if config.backbone not in ARCHITECTURES:
        known = ", ".join((EMBEDDED, *ARCHITECTURES))
        raise InputError(f"expected a backbone among {known}, found {config.backbone!r}")
    if config.adapt == "none":
        raise InputError("expected adapt=lora, adapter or full, found none: nothing to train")
    base = _base(config)
    model, architecture = start_sam_refiner(base, config.size)
    if architecture != config.backbone:
        raise InputError(f"{base}: expected SAM {config.backbone}, found {architecture}")
    return model, adapt(model, config.adapt, config.rank), base


def _base(config: RefinerConfig) -> Path:
    if config.checkpoint:
        return find_model(config.checkpoint).path
    files = [k.how_to_get() for k in KNOWN_MODELS if k.architecture == config.backbone]
    raise InputError(
        f"expected checkpoint=FILE_OR_NAME for the backbone {config.backbone}, found none: "
        + "; or ".join(files)
    )


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
def main(checkpoint: Path, output: Path) -> None:
    """Write what the training in CHECKPOINT changed to OUTPUT (.safetensors)."""
    try:
        checksum = export_sam(checkpoint, output)
    except InputError as error:
        raise SystemExit(f"Error: {error}") from None
    click.echo(f"{output}  {checksum}")


if __name__ == "__main__":
    main()
