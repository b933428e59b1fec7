"""From a training on SAM to a file for `myops models add`.

myops train refiner --output runs/sam --set backbone=vit_b --set checkpoint=FILE --set adapt=lora
python -m myops.training.stages.sam runs/sam/checkpoint.pt scar_lora.safetensors
"""

from __future__ import annotations

from pathlib import Path

import click

from myops.errors import InputError
from myops.io.checksum import file_sha256
from myops.output.overwriting import refuse_overwriting
from myops.training.checkpoint import load_weights, read_checkpoint, stored_config
from myops.training.config import RefinerConfig
from myops.training.export import provenance
from myops.training.stages.sam_start import EMBEDDED, start_sam
from myops.weights.sam_adaptation import save_adaptation


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
    model, adaptation, base = start_sam(config)
    load_weights(checkpoint, model)
    refuse_overwriting([output], [checkpoint, base], "name another file")
    metadata = provenance(content, config)
    metadata["config"]["checkpoint"] = base.name  # weights are given to others: no places
    origin = (config.backbone, file_sha256(base))
    return save_adaptation(model, output, adaptation, origin, metadata)


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
