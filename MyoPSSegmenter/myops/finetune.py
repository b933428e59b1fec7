"""Learn from a site's own corrected cases, and keep what was learned only where it is no worse.

cases -> held back and learned from -> networks trained on from the shipped ones -> both compared
on the held-back cases -> OUTPUT/weights, or a refusal with the reason.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from myops.compare import compare
from myops.datasets import HEART, MYOPS_NAMES, SUFFIX, LabeledCase
from myops.errors import InputError
from myops.io import write_json
from myops.labels import MVO, MYOPS, scar
from myops.quantify.mass import known_spacing_mm
from myops.weights import MANIFEST, Models, load_models, model_folder, read_manifest

FEWEST_CASES = 4
# Worse than this on the held-back cases' mean is worse; a mean of few cases wavers by more.
TOLERANCE = 0.005
MEASURES = ("lv_region", "myocardium", "scar", "edema")
# Where a network's own settings are kept: they must fit the weights that are trained on.
KEPT = ("size", "planes", "margin", "region_pixels", "bulges", "cross_entropy_weight", "jitter")
WEIGHTS, COMPARISON, TRAINED_ON, TRAINING = "weights", "comparison.json", "cases", "training"
Say = Callable[[str], None]


@dataclass(frozen=True)
class FinetuneConfig:
    """How much is learned from a site's cases.

    Attributes:
        networks: which are trained on: "assn" (outline), "prsn" (scar and edema), or both.
        minutes: of training per network.
        held_back: share of the cases that both models are compared on; at least one case.
        learning_rate: a fifth of that of a training from nothing.
        seed: of the choice of held-back cases and of the training.
        settings: further settings of the training, as texts by name.
    """

    networks: tuple[str, ...] = ("prsn",)
    minutes: float = 15.0
    held_back: float = 0.25
    learning_rate: float = 2e-4
    seed: int = 0
    settings: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Comparison:
    """Both models on the held-back cases.

    Attributes:
        held_back: names of these cases.
        before, after: structure to the mean Dice of the shipped and of the adapted model; a
            structure that no held-back case has is left out.
        kept: whether the adapted model is no worse in any structure.
        reason: why it is not kept; empty when it is.
    """

    held_back: tuple[str, ...]
    before: dict[str, float]
    after: dict[str, float]
    kept: bool
    reason: str


def finetune(
    cases: Sequence[LabeledCase],
    output: Path,
    config: FinetuneConfig = FinetuneConfig(),
    say: Say = print,
    model: str = "default",
) -> Comparison:
    """Train the networks on from a model, compare, and write the better-or-equal one.

    Args:
        cases: labeled cases, at least four.
        output: OUTPUT/weights is the adapted model where it is kept; comparison.json in any case.
            A second call goes on with an interrupted training.
        config: what is trained, and for how long.
        say: takes lines of progress.
        model: what is started from; it is never changed.

    Raises:
        InputError: too few cases, too few of them with scar, or unknown networks.
    """
    _check(cases, config)
    learned, held_back = split_cases(cases, config)
    root = model_folder(model, None)
    _write_cases(output / TRAINED_ON, learned)
    adapted = output / "tried"
    _copy_weights(root, adapted)
    for network in config.networks:
        say(f"training {network} on {len(learned)} cases, {config.minutes:g} minutes")
        _train(network, root, adapted, output, config)
    say(f"comparing on {', '.join(case.name for case in held_back)}")
    before, after = (
        mean_dice(held_back, load_models("auto", str(folder))) for folder in (root, adapted)
    )
    reason = why_worse(before, after)
    result = Comparison(tuple(case.name for case in held_back), before, after, not reason, reason)
    write_json(output / COMPARISON, asdict(result) | {"config": asdict(config)})
    # A later call, with more cases, shall not find a training that has ended.
    shutil.rmtree(output / TRAINING, ignore_errors=True)
    if result.kept:
        shutil.rmtree(output / WEIGHTS, ignore_errors=True)
        adapted.rename(output / WEIGHTS)
    return result


def split_cases(
    cases: Sequence[LabeledCase], config: FinetuneConfig
) -> tuple[list[LabeledCase], list[LabeledCase]]:
    """What is learned from and what is held back, by chance; some scar is on both sides.

    Raises:
        InputError: fewer than two cases with scar.
    """
    rng = np.random.default_rng(config.seed)
    order = [cases[k] for k in rng.permutation(len(cases))]
    scarred = [case for case in order if scar(case.labels).any()]
    if len(scarred) < 2:
        raise InputError(
            f"expected scar in at least 2 of {len(cases)} cases (one to learn from, one to compare "
            f"on), found it in {len(scarred)}; add patients with scar"
        )
    count = max(1, round(config.held_back * len(cases)))
    # A case with scar is held back first, and another one is kept to learn from.
    first, last = scarred[0], scarred[1]
    others = [case for case in order if case is not first and case is not last]
    return [last, *others[count - 1 :]], [first, *others[: count - 1]]


def mean_dice(cases: Sequence[LabeledCase], models: Models) -> dict[str, float]:
    """Mean Dice of the fully automatic result; a heart that is not found counts 0."""
    found: dict[str, list[float]] = {}
    for labeled in cases:
        for name, value in _dice(labeled, models):
            found.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def why_worse(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """The structures in which the adapted model is worse, in words; empty if there are none."""
    worse = [
        f"{name} {before[name]:.3f} -> {after[name]:.3f}"
        for name in before
        if after[name] < before[name] - TOLERANCE
    ]
    return f"worse than before on the held-back cases: {', '.join(worse)}" if worse else ""


def _dice(labeled: LabeledCase, models: Models) -> Iterator[tuple[str, float]]:
    from myops.cascade import segment

    case = labeled.to_case()
    truth, drawn = labeled.truth_for(case)
    try:
        labels = segment(case, models).labels
    except InputError:
        labels = np.zeros_like(truth)
    found = compare(labels[drawn], truth[drawn], known_spacing_mm(case))
    for name in MEASURES:
        value = found[name].dice
        if value is not None and _is_drawn(name, labeled):
            yield name, value


def _is_drawn(structure: str, labeled: LabeledCase) -> bool:
    """Whether the labels tell this structure apart."""
    if structure in ("scar", "edema"):
        return structure in labeled.structures
    return bool(HEART & labeled.structures)


def _check(cases: Sequence[LabeledCase], config: FinetuneConfig) -> None:
    if len(cases) < FEWEST_CASES:
        raise InputError(
            f"expected at least {FEWEST_CASES} corrected cases, found {len(cases)}; correct and "
            "approve some more first"
        )
    unknown = set(config.networks) - {"assn", "prsn"}
    if unknown or not config.networks:
        raise InputError(
            f"expected networks among assn, prsn, found {', '.join(unknown) or 'none'}"
        )
    if not 0 < config.held_back < 1:
        raise InputError(f"held_back must lie between 0 and 1, found {config.held_back:g}")


def _write_cases(folder: Path, cases: Sequence[LabeledCase]) -> None:
    """The learned cases as files that a training reads, in place of those of an earlier call."""
    import SimpleITK as sitk

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, labeled in enumerate(cases):
        # Numbers: a patient's name may hold what a file system refuses.
        stem = folder / f"case_{number:03d}"
        for sequence, image in labeled.images.items():
            sitk.WriteImage(image, f"{stem}{MYOPS_NAMES[sequence][0]}{SUFFIX}", useCompression=True)
        drawn = sitk.GetImageFromArray(
            np.where(labeled.labels == MVO, MYOPS["scar"], labeled.labels)
        )
        drawn.CopyInformation(labeled.reference_image)
        sitk.WriteImage(drawn, f"{stem}_gd{SUFFIX}", useCompression=True)


def _copy_weights(root: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for entry in read_manifest(root).values():
        shutil.copy2(root / entry["file"], folder / entry["file"])
    shutil.copy2(root / MANIFEST, folder / MANIFEST)


def _train(network: str, root: Path, adapted: Path, output: Path, config: FinetuneConfig) -> None:
    from myops.training.export import export_weights
    from myops.training.loop import train

    entry = read_manifest(root)[network]
    own = {name: str(entry["config"][name]) for name in KEPT if name in entry.get("config", {})}
    settings = {
        **own,
        "start": str(root / entry["file"]),
        "cases": str(output / TRAINED_ON),
        "minutes": str(config.minutes),
        "learning_rate": str(config.learning_rate),
        "warmup": "0.1",
        "seed": str(config.seed),
        "curve_patients": "0",
        "curve_minutes": "0",
        "ema_decay": "0.99",
        "pool_start": "4",
        **(config.settings or {}),
    }
    checkpoint = train(network, settings, output / TRAINING / network, resume=True)
    export_weights(checkpoint, adapted)
