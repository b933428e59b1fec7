"""Learn from a site's own corrected cases, and keep what was learned only where it is no worse.

cases -> held out and learned from -> networks trained on from the shipped ones -> these and the
mean of before and after compared on the held-out cases -> OUTPUT/weights, or a refusal with the
reason.

An interrupted call goes on where nothing has changed that it learned from (`finetune_folder`).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from myops.datasets import LabeledCase
from myops.errors import InputError
from myops.io.atomic import write_json
from myops.progress import Say
from myops.training.averaging import install_halfway
from myops.training.comparison import Comparison, choose, measure, why_worse
from myops.training.finetune_folder import (
    BOLDER,
    HALFWAY,
    TRAINED,
    TRAINING,
    WEIGHTS,
    check_output,
    claim,
    exchange,
    remove,
)
from myops.training.held_out import split_cases
from myops.weights.files import (
    MANIFEST,
    WITHOUT_LGE,
    decision_of,
    learned_from,
    load_models,
    model_folder,
    pack_of,
    read_manifest,
    write_decision,
)
from myops.weights.learned import by_patient, case_sha256, refuse_learned
from myops.weights.packs import name_adapted_pack

FEWEST_CASES = 4
# Where a network's own settings are kept: they must fit the weights that are trained on.
KEPT = ("size", "planes", "margin", "region_pixels", "bulges", "cross_entropy_weight", "jitter")
COMPARISON = "comparison.json"
# Settings that say what is learned from: the cases and the model do.
GIVEN = ("start", "cases", "case_names")
TITLES = {TRAINED: "trained on", HALFWAY: "halfway between both"}
# At the odds of `public-hearts` scar is decided too: networks that learned from patients are more
# cautious than those of phantoms (Docs/results.md, what a hospital's first cases bring).
ODDS = 8.0


@dataclass(frozen=True)
class FinetuneConfig:
    """How much is learned from a site's cases.

    Attributes:
        networks: which are trained on: "assn" (outline), "prsn" (scar and edema), or both.
        minutes: of training per network.
        held_out: share of the cases that both models are compared on; at least one case.
        learning_rate: a fifth of that of a training from nothing.
        seed: of the choice of held-out cases and of the training.
        settings: further settings of the training, as texts by name.
    """

    networks: tuple[str, ...] = ("prsn",)
    minutes: float = 15.0
    held_out: float = 0.25
    learning_rate: float = 2e-4
    seed: int = 0
    settings: Mapping[str, str] | None = None


def finetune(
    cases: Sequence[LabeledCase],
    output: Path,
    config: FinetuneConfig = FinetuneConfig(),
    say: Say = print,
    model: str = "default",
) -> Comparison:
    """Train the networks on from a model, compare, and write the best one that is no worse.

    Args:
        cases: labeled cases, at least four.
        output: OUTPUT/weights is the adapted model where it is kept; comparison.json in any case.
            A second call goes on with an interrupted training of the same cases, labels, model and
            settings, and starts anew after any other.
        config: what is trained, and for how long.
        say: takes lines of progress.
        model: what is started from, or the pack that it names where it is not meant for all of
            these cases; it is never changed.

    Raises:
        InputError: too few cases, too few of them with scar that the model has not learned from,
            unknown networks, or an output that holds the model or files of others.
    """
    _check(cases, config)
    root, training = _start(model, cases, say), output / TRAINING
    check_output(output, root)
    known = learned_from(read_manifest(root))
    refuse_learned([], known, f"the model {model}")
    learned, held_out = split_cases(cases, config, known, say)
    claim(training, _plan(learned, held_out, root, config), say)
    folders = _train(learned, root, training, config, say)
    result = _compare(held_out, root, folders, say)
    told = asdict(result) | {"after": result.after, "config": asdict(config)}
    write_json(output / COMPARISON, told)
    if result.kept:
        exchange(folders[result.chosen], output / WEIGHTS)
    # A later call shall not find a training that has ended.
    remove(training)
    return result


def _train(
    cases: Sequence[LabeledCase], root: Path, training: Path, config: FinetuneConfig, say: Say
) -> dict[str, Path]:
    """The folders of what is tried, by name; the most cautious change comes last."""
    trained, halfway = training / TRAINED, training / HALFWAY
    settings = {
        "minutes": str(config.minutes),
        "learning_rate": str(config.learning_rate),
        "seed": str(config.seed),
        **(config.settings or {}),
    }
    copy_weights(root, trained)
    for network in config.networks:
        say(f"training {network} on {len(cases)} cases, {config.minutes:g} minutes")
        train_network(network, root, trained, training / network, settings, cases)
    _copy(trained, halfway)
    for network in config.networks:
        install_halfway(_part(network, root, cases), root, halfway)
    cautious = decision_of(root).get("scar_odds", 0) < ODDS
    tried = {}
    for name, folder in ((TRAINED, trained), (HALFWAY, halfway)):
        if "prsn" in config.networks and cautious:
            bolder = folder.with_name(name + BOLDER)
            _copy(folder, bolder)
            write_decision(bolder, scar_odds=ODDS)
            tried[f"{TITLES[name]}, scar at odds of {ODDS:g}"] = bolder
        tried[TITLES[name]] = folder
    return tried


def _copy(folder: Path, copy: Path) -> None:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)


def _compare(
    cases: Sequence[LabeledCase], root: Path, folders: Mapping[str, Path], say: Say
) -> Comparison:
    """Measure the model before and all that was tried, and choose."""
    names = tuple(case.name for case in cases)
    say(f"comparing on {', '.join(names)}")
    found: dict[str, dict[str, float]] = {}
    for what, folder in {"before": root, **folders}.items():
        say(f"measuring the weights {what}")
        found[what] = measure(cases, load_models("auto", str(folder)))
    before = found.pop("before")
    chosen = choose(before, found)
    reason = why_worse(before, found[chosen])
    return Comparison(names, before, found, chosen, not reason, reason)


def _start(model: str, cases: Sequence[LabeledCase], say: Say) -> Path:
    """The folder to start from: one that is meant for patients with these sequences."""
    root = model_folder(model, None)
    pack = pack_of(root)
    if pack is None or all(pack.suits(case.images) for case in cases):
        return root
    say(f"{pack.name} is not meant for all of these cases: starting from {pack.otherwise}")
    return model_folder(pack.otherwise, None)


def _check(cases: Sequence[LabeledCase], config: FinetuneConfig) -> None:
    if len(patients := by_patient(cases)) < FEWEST_CASES:
        raise InputError(
            f"expected at least {FEWEST_CASES} corrected cases, found {len(patients)}; correct and "
            "approve some more first"
        )
    unknown = set(config.networks) - {"assn", "prsn"}
    if unknown or not config.networks:
        raise InputError(
            f"expected networks among assn, prsn, found {', '.join(unknown) or 'none'}"
        )
    if not 0 < config.held_out < 1:
        raise InputError(f"held_out must lie between 0 and 1, found {config.held_out:g}")
    given = sorted(set(GIVEN) & set(config.settings or {}))
    if given:
        raise InputError(
            f"expected the cases and the model that are named, found the setting {given[0]}, which "
            "would replace them; leave it out"
        )


def _plan(
    learned: Sequence[LabeledCase],
    held_out: Sequence[LabeledCase],
    root: Path,
    config: FinetuneConfig,
) -> dict[str, Any]:
    """All that a training must have in common to be gone on with; more minutes are welcome."""
    return {
        "cases": sorted(map(case_sha256, learned)),
        "held-out cases": sorted(map(case_sha256, held_out)),
        "weights to start from": {
            name: entry["sha256"] for name, entry in read_manifest(root).items()
        },
        "settings": {
            "learning_rate": config.learning_rate,
            "seed": config.seed,
            **(config.settings or {}),
        },
    }


def copy_weights(root: Path, folder: Path) -> None:
    """A folder's weights in another one, which says that they are adapted; it is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for entry in read_manifest(root).values():
        shutil.copy2(root / entry["file"], folder / entry["file"])
    shutil.copy2(root / MANIFEST, folder / MANIFEST)
    if (pack := pack_of(root)) is not None:
        name_adapted_pack(pack, folder)


def train_network(
    network: str,
    root: Path,
    adapted: Path,
    folder: Path,
    settings: Mapping[str, str],
    cases: Sequence[LabeledCase],
) -> None:
    """Train one network on from a model, and put it in place of that model's own in a copy.

    Args:
        network: such as "prsn".
        root: the model that is started from.
        adapted: its copy (`copy_weights`).
        folder: of the checkpoint; an interrupted training there goes on.
        settings: of the training, as texts by name.
        cases: what is learned from.
    """
    from myops.training.data.cases import choose_cases
    from myops.training.export import export_weights
    from myops.training.loop import train

    name = _part(network, root, cases)
    entry = read_manifest(root)[name]
    own = {name: str(entry["config"][name]) for name in KEPT if name in entry.get("config", {})}
    used = {
        **own,
        "start": str(root / entry["file"]),
        "cases": "cases",  # read already: what they were is told by their checksums
        "warmup": "0.1",
        "curve_patients": "0",
        "curve_minutes": "0",
        "ema_decay": "0.99",
        "pool_start": "4",
        **settings,
    }
    patients = choose_cases(cases, [], "the cases to learn from")
    checkpoint = train(network, used, folder, resume=True, patients=patients)
    export_weights(checkpoint, adapted, name=name)


def _part(network: str, root: Path, cases: Sequence[LabeledCase]) -> str:
    """Which of a model's networks these cases adapt: without LGE its PRSN for such patients."""
    without_lge = not any("lge" in one.images for one in cases)
    second = network == "prsn" and without_lge and WITHOUT_LGE in read_manifest(root)
    return WITHOUT_LGE if second else network
