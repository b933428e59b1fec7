"""Checkpoints that the user brings: checked, copied into the data folder, found again by name.

Nothing is ever downloaded. The folder is `MYOPS_MODELS` where that variable is set, else the
system's place for a user's data; `models.json` in it records every model with its checksum.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from myops.errors import InputError
from myops.io.atomic import write_atomic, write_json
from myops.io.checksum import file_sha256
from myops.io.text_files import read_json
from myops.progress import Progress
from myops.weights.packs import PREFERRED
from myops.weights.places import models_folder
from myops.weights.published import KNOWN_MODELS, recognize

if TYPE_CHECKING:
    from myops.networks.sam import SamRefiner

RECORD = "models.json"
RESERVED = {"default", *PREFERRED}


@dataclass(frozen=True)
class StoredModel:
    """A checkpoint that can be loaded.

    Attributes:
        name: what the user calls it.
        path: where the file is.
        file: the file's name when it was added.
        architecture: "vit_b", "vit_l" or "vit_h".
        sha256: of the file.
        kind: "checkpoint" (a whole SAM) or "adaptation" (our training on top of one).
        parameters: count of numbers in the file.
        unwrapped: keys and prefixes that were around the weights.
        how: of an adaptation: "lora", "adapter" or "full"; "" for a checkpoint.
        base_sha256: of an adaptation: the checkpoint it was trained on; "" where it needs none.
    """

    name: str
    path: Path
    file: str
    architecture: str
    sha256: str
    kind: str
    parameters: int
    unwrapped: tuple[str, ...] = ()
    how: str = ""
    base_sha256: str = ""


def stored_models() -> dict[str, StoredModel]:
    """The added models by name.

    Raises:
        InputError: a damaged record.
    """
    path = models_folder() / RECORD
    if not path.is_file():
        return {}
    try:
        entries = read_json(path)["models"]
        return {entry["name"]: _from_json(entry) for entry in entries}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path}: expected the record of added models, found a damaged file; delete it and "
            "add the models again"
        ) from None


def inspect_model(path: Path) -> StoredModel:
    """Read a file completely and tell what it is; it may lie anywhere.

    Raises:
        InputError: whatever is wrong with the file.
    """
    from myops.weights.files import load_tensors
    from myops.weights.sam_adaptation import read_adaptation
    from myops.weights.sam_checkpoint import read_sam_checkpoint

    header = read_adaptation(path)
    if header is None:
        found = read_sam_checkpoint(path)
        checksum = file_sha256(path)
        known = recognize(path.name, checksum)
        return StoredModel(
            name=path.stem if known is None else known.name,
            path=path,
            file=path.name,
            architecture=found.architecture,
            sha256=checksum,
            kind="checkpoint",
            parameters=found.parameters,
            unwrapped=found.unwrapped,
        )
    return StoredModel(
        name=path.stem,
        path=path,
        file=path.name,
        architecture=header["architecture"],
        sha256=file_sha256(path),
        kind="adaptation",
        parameters=sum(tensor.numel() for tensor in load_tensors(path).values()),
        how=header["how"],
        base_sha256="" if header["how"] == "full" else header["base_sha256"],
    )


def add_model(
    path: Path, name: str | None = None, link: bool = False, progress: Progress | None = None
) -> StoredModel:
    """Check a file and keep it under a name.

    Args:
        path: the checkpoint or adaptation.
        name: to call it; the known name of a published file, else the file's own, if None.
        link: leave the file where it is and only record it.
        progress: told the copied fraction, 0 to 1.

    Returns:
        The model as recorded.

    Raises:
        InputError: whatever is wrong with the file, a name that is taken or cannot be used, a
            folder that cannot be written, or a file that would be overwritten.
    """
    found = inspect_model(path)
    name = name or found.name
    _check_name(name)
    place = path.resolve()
    if link and place.parent == models_folder().resolve():
        raise InputError(
            f"expected a file in a place of yours to link to, found {place} in the folder of added "
            "models, where it would be deleted with the model; leave out --link"
        )
    if not link:
        place = models_folder().resolve() / f"{name}{path.suffix}"
        _copy(path, place, found.sha256, progress)
    model = replace(found, name=name, path=place)
    _record([*stored_models().values(), model])
    return model


def remove_model(name: str) -> StoredModel:
    """Forget a model, and delete its file where `add_model` had copied it.

    Raises:
        InputError: no such model.
    """
    models = stored_models()
    if name not in models:
        raise InputError(
            f"expected an added model, one of {', '.join(models) or 'none so far'}; found {name!r}"
        )
    model = models.pop(name)
    _record(models.values())
    if is_copy(model):
        model.path.unlink(missing_ok=True)
    return model


def is_copy(model: StoredModel) -> bool:
    """Whether the file is the store's own, not one that was left in the user's place."""
    return model.path.parent == models_folder().resolve()


def find_model(name: str) -> StoredModel:
    """The model that a name or a file means.

    Args:
        name: of an added model, or the path of a checkpoint or adaptation.

    Raises:
        InputError: nothing of this name, with the file to get where the name is a known one; or
            the file is gone.
    """
    models = stored_models()
    if name in models:
        if not models[name].path.is_file():
            raise InputError(
                f"expected the model {name} at {models[name].path}, found no file: run myops "
                f"models remove {name} and add it again"
            )
        return models[name]
    if Path(name).is_file():
        return inspect_model(Path(name))
    known = next((known for known in KNOWN_MODELS if known.name == name), None)
    if known is not None:
        raise InputError(f"expected the weights of {name}, found none here: {known.how_to_get()}")
    usable = ", ".join(["default", *models])
    raise InputError(
        f"expected a model among {usable}, or the file of one, found {name!r}: myops models list "
        "shows what can be added"
    )


def check_model(name: str) -> StoredModel:
    """Read the model that a name or a file means completely, as when it was added.

    Raises:
        InputError: nothing of this name; a damaged file; one that has changed since.
    """
    stored = find_model(name)
    _check_unchanged(stored)
    return replace(inspect_model(stored.path), name=stored.name, file=stored.file)


def load_model(model: StoredModel) -> SamRefiner:
    """Load a model that `find_model` found, on the CPU, in evaluation mode.

    Raises:
        InputError: the file has changed since it was added, or the base of an adaptation has not
            been added.
    """
    from myops.weights.sam_adaptation import load_sam_refiner

    _check_unchanged(model)
    base = base_of(model)
    return load_sam_refiner(model.path, model.architecture, None if base is None else base.path)


def base_of(model: StoredModel) -> StoredModel | None:
    """The added checkpoint that an adaptation needs; None where it needs none.

    Raises:
        InputError: it has not been added; tells which file it is.
    """
    if not model.base_sha256:
        return None
    for stored in stored_models().values():
        if stored.sha256 == model.base_sha256:
            return stored
    known = recognize("", model.base_sha256)
    remedy = known.how_to_get() if known else "add it with myops models add"
    raise InputError(
        f"{model.name} was trained on the checkpoint with SHA-256 {model.base_sha256[:12]}..., "
        f"which is not here: {remedy}"
    )


def _check_unchanged(model: StoredModel) -> None:
    found = file_sha256(model.path)
    if found != model.sha256:
        raise InputError(
            f"{model.path}: expected SHA-256 {model.sha256[:12]}..., found {found[:12]}...: the "
            f"file has changed; run myops models remove {model.name} and add it again"
        )


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name in RESERVED:
        raise InputError(
            f"expected a name of letters, digits, dots, - and _, found {name!r}: give one with "
            "--name"
        )
    if name in stored_models():
        raise InputError(
            f"expected a new name, found that {name!r} is taken: choose another with --name, or "
            f"run myops models remove {name}"
        )


def _copy(path: Path, place: Path, sha256: str, progress: Progress | None) -> None:
    """Copy block by block; the copy appears complete and with this checksum, or not at all."""
    if place.exists():
        # The file that is added may be the store's own, after its record was lost.
        if file_sha256(place) != sha256:
            raise InputError(
                f"expected no other file at {place}, found one that is in no record; move it away, "
                "or choose another name with --name"
            )
        return
    size = path.stat().st_size

    def copy(beside: Path) -> None:
        with beside.open("wb") as target:

            def write(block: bytes) -> None:
                target.write(block)
                if progress is not None:
                    progress(target.tell() / size, "copying")

            if file_sha256(path, write) != sha256:
                raise InputError(f"{path}: changed while it was read; add it again")

    write_atomic(place, copy)


def _record(models: Iterable[StoredModel]) -> None:
    entries = [{**asdict(model), "path": str(model.path)} for model in models]
    write_json(models_folder() / RECORD, {"models": entries})


def _from_json(entry: dict[str, object]) -> StoredModel:
    values = {**entry, "path": Path(str(entry["path"])), "unwrapped": tuple(entry["unwrapped"])}  # type: ignore[arg-type]
    return StoredModel(**values)  # type: ignore[arg-type]
