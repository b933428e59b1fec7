"""What `myops models` prints: the shipped networks, the added checkpoints, those one could add."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from myops.errors import InputError
from myops.weights.packs import VARIABLE, Pack, default_pack, shipped_packs
from myops.weights.places import models_folder
from myops.weights.published import KNOWN_MODELS, LICENSE, KnownModel, recognize
from myops.weights.store import StoredModel, base_of, is_copy, stored_models

SHIPPED_SOURCE = "this program"
# Running means of normalization layers are stored beside the weights, but are no weights.
NO_PARAMETERS = ("running_mean", "running_var", "num_batches_tracked")


def list_text() -> str:
    """The whole list, as lines of text."""
    added = stored_models()
    here = [_known(model) for model in added.values()]
    lines = list(_packs())
    lines += ["", f"Added, in {models_folder()}:"]
    lines += _table([_row(model) for model in added.values()]) if added else ["  none"]
    absent = [known for known in KNOWN_MODELS if known not in here]
    if absent:
        lines += ["", "Not here; nothing is downloaded by itself:"]
        lines += [f"  {known.name:<14}{known.how_to_get()}" for known in absent]
    return "\n".join(lines)


def model_text(model: StoredModel) -> str:
    """All that is known about one checkpoint, as lines of text."""
    known = _known(model)
    lines = {
        "file": str(model.path),
        "kind": f"SAM {model.architecture}" + (f", adapted by {model.how}" if model.how else ""),
        "parameters": f"{model.parameters:,}",
        "SHA-256": model.sha256,
        "unwrapped": " > ".join(model.unwrapped) or "nothing, the weights are bare",
        "source": _source(model),
        "license": _license(model),
    }
    if known is not None and known.sha256 == model.sha256:
        lines["checksum"] = f"that of the published {known.file}"
    if model.base_sha256:
        lines["trained on"] = _base(model)
    return "\n".join(f"{title:<12}{value}" for title, value in lines.items())


def _packs() -> Iterator[str]:
    """The shipped packs with their terms, and the networks of each."""
    used = default_pack().name
    for name, pack in shipped_packs().items():
        yield f"Shipped: {name}{' (in use)' if name == used else ''}, {pack.license}"
        yield f"  {pack.terms}"
        if pack.attribution:
            yield f"  Attribution: {pack.attribution}."
        if pack.measured:
            yield f"  Measured: {pack.measured}"
        for sequences, words in pack.reached.items():
            yield f"  On {sequences.replace('+', ' + ')}: {words}"
        yield from _table(list(_networks(pack)))
        yield ""
    yield f"Use another pack: myops models use NAME, --model NAME, or the variable {VARIABLE}."


def _networks(pack: Pack) -> Iterator[Sequence[str]]:
    """Name, parameters, checksum, license and source of every network of a pack."""
    from myops.weights.files import load_tensors, read_manifest

    for name, entry in read_manifest(pack.folder).items():
        tensors = load_tensors(pack.folder / entry["file"])
        count = sum(v.numel() for k, v in tensors.items() if not k.endswith(NO_PARAMETERS))
        data = f"{SHIPPED_SOURCE}; {entry.get('data', 'training data not recorded')}"
        yield name, _millions(count), entry["sha256"][:12], pack.license, data


def _row(model: StoredModel) -> Sequence[str]:
    place = "" if is_copy(model) else f", left at {model.path}"
    gone = "" if model.path.is_file() else ", FILE IS GONE"
    return (
        model.name,
        _millions(model.parameters),
        model.sha256[:12],
        _license(model),
        f"{_source(model)}{place}{gone}",
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    titles = ("name", "parameters", "SHA-256", "license", "source")
    table = [titles, *rows]
    widths = [max(len(row[k]) for row in table) + 2 for k in range(len(titles) - 1)]
    return [
        "  " + "".join(f"{cell:<{width}}" for cell, width in zip(row, widths)) + row[-1]
        for row in table
    ]


def _known(model: StoredModel) -> KnownModel | None:
    return recognize(model.file, model.sha256)


def _source(model: StoredModel) -> str:
    known = _known(model)
    if known is not None:
        return known.maker
    return f"trained here by {model.how}" if model.how else "not recorded"


def _base(model: StoredModel) -> str:
    try:
        base = base_of(model)
    except InputError as error:
        return str(error)
    return "" if base is None else f"{base.name} ({base.sha256[:12]}...)"


def _license(model: StoredModel) -> str:
    if _known(model) is not None:
        return LICENSE
    return "that of its base and data" if model.how else "ask its author"


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f} M"
