"""What each training stage can be told, with the paper's values as defaults.

A configuration is stored whole in every checkpoint. `--set name=value` overrides one field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from myops.errors import InputError
from myops.weights.packs import FREE_PACK

# Patients of these seeds are never trained on: 900000... is the cohort of evaluate_phantoms.py,
# 990000... draws the curves while training.
HELD_OUT_SEED = 900_000
CURVE_SEED = 990_000


@dataclass(frozen=True)
class TrainingConfig:
    """What all stages share.

    Attributes:
        steps: optimizer steps of the whole training; unused when `minutes` is set.
        minutes: wall-clock budget (0 = use `steps`); the learning rate follows the elapsed share,
            and a resumed training goes on with the time that was left.
        batch_size: slices per step and process.
        learning_rate: Adam's first learning rate; it falls to 1 % along a cosine.
        warmup: share of the training during which the learning rate rises from 0.
        ema_decay: decay of the running mean of the weights, which is what is exported (0 = off).
        seed: of weights, batches, and patients.
        size: pixels per side of the network's images.
        pool_patients: the last patients whose slices are kept in memory to draw batches from.
        pool_start: patients to wait for before the first step.
        steps_per_patient: steps between two new patients; a slower generator is never waited for.
        workers: processes that generate patients (0 = generate between the steps, reproducibly).
        threads: torch threads (0 = one per core that the workers leave).
        device: "auto", "cpu", "cuda" or "mps"; devices and nodes count the processes.
        devices: processes per node (0 = every GPU, or one process on the CPU).
        nodes: machines, started by torchrun or SLURM.
        precision: "auto" (bf16-mixed where the processor has it, else 32-true) or Fabric's names.
        checkpoint_minutes: time between checkpoints.
        curve_minutes: time between scores on held-out patients.
        curve_patients: held-out patients scored.
        log_steps: steps between two lines of progress.
        dropout: chance that a slice of a complete patient loses sequences when it is drawn.
        jitter: width of the changes of contrast and noise when a slice is drawn, 1 = version 0.1.0.
        stretch: largest relative change of aspect when a slice is drawn.
        widths: channels of the network's levels, comma-separated (empty = the builder's numbers).
        start: checkpoint or safetensors file whose weights the training starts from; "default" =
            the shipped ones, "" = random.
        cases: folder of labeled cases (as in MyoPS 2020) to train on; "" = phantoms.
        mix: what each batch is drawn from, "phantoms" or a folder of labeled cases with its share,
            such as "phantoms:0.4,data/emidec_train:0.4,data/acdc_train:0.2"; "" = of one kind.
        held_out: folders of labeled cases, with commas between, whose patients are never learned
            from: a case with one of their images is left out, whatever it is called.
        convention: how the label files of these cases number structures, out of
            `labels.CONVENTIONS`; "" = as the data set of their names does.
        case_names: which of them, with commas between ("" = all).
        label_noise: kind and level of deliberately wrong labels of these cases, such as
            "mixed:high" ("" = the labels as they are; Docs/explanation/robust.md).
        artifacts: strength of MR artifacts added to the patients' images (0 = none, 1 = usual).
    """

    steps: int = 20_000
    minutes: float = 0.0
    batch_size: int = 16
    learning_rate: float = 1e-3
    warmup: float = 0.01
    ema_decay: float = 0.999
    seed: int = 0
    size: int = 128
    pool_patients: int = 96
    pool_start: int = 8
    steps_per_patient: float = 1.0
    workers: int = 1
    threads: int = 0
    device: str = "auto"
    devices: int = 0
    nodes: int = 1
    precision: str = "auto"
    checkpoint_minutes: float = 3.0
    curve_minutes: float = 10.0
    curve_patients: int = 6
    log_steps: int = 20
    dropout: float = 0.15
    jitter: float = 1.0
    stretch: float = 0.0
    widths: tuple[int, ...] = ()
    start: str = ""
    cases: str = ""
    mix: str = ""
    held_out: str = ""
    convention: str = ""
    case_names: str = ""
    label_noise: str = ""
    artifacts: float = 0.0
    phantom: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class HeartFinderConfig(TrainingConfig):
    """Heart finder: Dice + binary cross-entropy, on the whole field of view.

    Attributes:
        cross_entropy_weight: of the binary cross-entropy beside the Dice loss.
    """

    cross_entropy_weight: float = 1.0
    phantom: Mapping[str, Any] = field(default_factory=lambda: {"view": "finder"})


@dataclass(frozen=True)
class DaeConfig(TrainingConfig):
    """Denoising autoencoder: squared error between a mask and what it makes of a corrupted one."""

    batch_size: int = 32
    phantom: Mapping[str, Any] = field(default_factory=lambda: {"view": "heart"})


@dataclass(frozen=True)
class AssnConfig(TrainingConfig):
    """ASSN: Dice(f(I), L) + dae_weight * Dice(D(E(f(I))), L).

    Attributes:
        dae_weight: weight of the shape term, 0.2 in the paper.
        dae: checkpoint or safetensors file of the trained DAE ("" = the shipped one).
        planes: 3 = the slices on either side are seen too (2.5D), 1 = the paper's single slice.
        cross_entropy_weight: of a binary cross-entropy on f(I), 0 in the paper.
    """

    dae_weight: float = 0.2
    dae: str = ""
    planes: int = 1
    cross_entropy_weight: float = 0.0
    phantom: Mapping[str, Any] = field(default_factory=lambda: {"view": "heart"})


@dataclass(frozen=True)
class PrsnConfig(TrainingConfig):
    """PRSN: L_main + 0.3 L_bSSFP + 0.5 L_LGE + 0.5 L_T2.

    Attributes:
        cross_entropy_weight: of a cross-entropy on the main branch, 0 in the paper.
        kl_weight: of the main branch's KL divergence against soft labels; 0 = hard labels alone.
            0.6, 0.2 and 0.2 (with dice_weight, cross_entropy_weight) in the tools of Moafi et al.
        dice_weight: of the main branch's Dice loss.
        region_pixels: largest growth or shrinkage of the true region, in pixels.
        bulges: chance that the region takes in, or loses, a piece at its border in some slices.
        planes: 3 = the slices on either side are seen too (2.5D), 1 = the paper's single slice.
        margin: pixels that PRSN sees beyond the region, where it decides itself what is outside;
            0 = none, as in the paper.
        fusion: "cafb" (channel attention), or "mfb" (sum, product and maximum), the paper's rival.
        mvo: 1 = microvascular obstruction is told apart inside the scar, with an output of its own.
        finders: weights whose ASSN finds the regions of labeled cases, "default" or folders with
            commas between; each case by one that has not learned from it. "" = none.
        found_share: how often a case with such a region is cut out by it, and not by its true
            region made wrong.

    The paper's squares have 128 pixels. Ours are tight around the region that ASSN has found, so
    that 80 pixels have about the same size in millimeters at 40 % of the cost.
    """

    size: int = 80
    cross_entropy_weight: float = 0.0
    kl_weight: float = 0.0
    dice_weight: float = 1.0
    region_pixels: float = 3.0
    bulges: float = 0.0
    planes: int = 1
    margin: int = 0
    fusion: str = "cafb"
    mvo: int = 0
    finders: str = ""
    found_share: float = 0.5
    phantom: Mapping[str, Any] = field(default_factory=lambda: {"view": "heart"})


@dataclass(frozen=True)
class UnetConfig(PrsnConfig):
    """A baseline: a U-Net of one or several sequences, with a Dice loss.

    Attributes:
        sequences: which it sees, with commas between.
        target: "region" (LV), "scar" or "edema" beside normal myocardium, or "tissues" (all three).
        inside: 1 = it sees the candidate images inside the LV region in PRSN's square (a branch of
            the PRSN alone), 0 = the square around the heart. PRSN's own settings count for 1 alone.
    """

    size: int = 128
    sequences: str = "bssfp,lge,t2"
    target: str = "tissues"
    inside: int = 0


@dataclass(frozen=True)
class DssnetConfig(TrainingConfig):
    """DSS-Net-style network: Dice + cross-entropy of a coarse and of a fine stage.

    Attributes:
        cross_entropy_weight: of both stages' cross-entropy beside their Dice losses.
        mdfm: weigh the sequences by content (else their mean).
        sfam: the fine stage takes in the coarse stage's features.
        prior: the fine stage is held to what lies near the coarse stage's left ventricle.
        balanced: the fine stage's cross-entropy counts rare tissues more.

    The last four are the ablations of Docs/explanation/dssnet.md.
    """

    cross_entropy_weight: float = 1.0
    mdfm: bool = True
    sfam: bool = True
    prior: bool = True
    balanced: bool = True
    phantom: Mapping[str, Any] = field(default_factory=lambda: {"view": "heart"})


@dataclass(frozen=True)
class RefinerConfig(TrainingConfig):
    """Refiner: Dice + cross-entropy + KL against soft labels, after every simulated click.

    Attributes:
        dice_weight, cross_entropy_weight, kl_weight: of the composite loss, 0.6, 0.2 and 0.2 in
            the tools of Moafi et al.
        cascade: the weights whose errors are corrected: the name of a shipped pack, "default" for
            the one in use, or a folder with a manifest; several, with commas between, take turns.
        floods: 1 = the head also sees what a flood from the newest click reaches.
        backbone: "embedded", or "vit_b", "vit_l", "vit_h" to adapt a SAM.
        checkpoint: of that SAM: a file, or the name of an added model.
        adapt: of that SAM: "lora" or "adapter" on the image encoder, or "full".
        rank: of LoRA, or of the adapters' bottleneck.
    """

    batch_size: int = 12
    size: int = 80
    pool_patients: int = 300
    pool_start: int = 40
    steps_per_patient: float = 4.0
    curve_patients: int = 12
    dice_weight: float = 0.6
    cross_entropy_weight: float = 0.2
    kl_weight: float = 0.2
    cascade: str = FREE_PACK
    floods: int = 0
    backbone: str = "embedded"
    checkpoint: str = ""
    adapt: str = "lora"
    rank: int = 4
    phantom: Mapping[str, Any] = field(default_factory=lambda: {"view": "full"})


@dataclass(frozen=True)
class ClickHeadConfig(TrainingConfig):
    """Click head: what the reader of a dialogue meant, after every click.

    Attributes:
        cross_entropy_weight, dice_weight, change_weight, spoil_weight: of the loss's parts, see
            `stages.clickhead`.
        clicks: of the longest dialogue; `batch_size` dialogues begin at every step.
        memory: so many earlier clicks are kept to be learned from again.
        replayed: so many of them at every step.
        lge_alone: how often a patient keeps the LGE alone.
        cascade: the weights whose errors are corrected: the name of a shipped pack, "default" for
            the one in use, or a folder with a manifest; several, with commas between, take turns.
        cache: folder where every patient's automatic result is kept; "" = it is made anew.
    """

    batch_size: int = 4
    size: int = 80
    learning_rate: float = 3e-3
    pool_patients: int = 400
    pool_start: int = 60
    steps_per_patient: float = 40.0
    curve_patients: int = 8
    cross_entropy_weight: float = 1.0
    dice_weight: float = 0.5
    change_weight: float = 0.2
    spoil_weight: float = 0.2
    clicks: int = 6
    memory: int = 4000
    replayed: int = 40
    lge_alone: float = 0.5
    cascade: str = FREE_PACK
    cache: str = ""
    phantom: Mapping[str, Any] = field(default_factory=lambda: {"view": "full"})


CONFIGS: dict[str, type[TrainingConfig]] = {
    "heartfinder": HeartFinderConfig,
    "dae": DaeConfig,
    "assn": AssnConfig,
    "prsn": PrsnConfig,
    "unet": UnetConfig,
    "dssnet": DssnetConfig,
    "refiner": RefinerConfig,
    "clickhead": ClickHeadConfig,
}
# Settings under the names that older checkpoints know them by.
RENAMED = {"artefacts": "artifacts", "held_back": "held_out"}
# Patients of different stages have different seeds, so that no network sees another's patients.
SEED_OFFSET = {
    "heartfinder": 0,
    "dae": 200_000,
    "assn": 400_000,
    "prsn": 600_000,
    "unet": 300_000,
    "dssnet": 100_000,
    "refiner": 800_000,
    "clickhead": 850_000,
}


def training_seed(stage: str, index: int, seed: int) -> int:
    """Seed of a stage's `index`-th patient; never one of the held-out seeds (>= 900000)."""
    return (SEED_OFFSET[stage] + 7_919 * seed + index) % HELD_OUT_SEED


def make_config(
    stage: str, overrides: Mapping[str, str] | None = None, base: TrainingConfig | None = None
) -> TrainingConfig:
    """Build a stage's configuration from its defaults (or from `base`) and `name=value` texts.

    Raises:
        InputError: unknown stage, unknown name, or a value of another type.
    """
    if stage not in CONFIGS:
        raise InputError(f"unknown stage {stage!r}: expected one of {', '.join(CONFIGS)}")
    config = base or CONFIGS[stage]()
    known = {f.name: getattr(config, f.name) for f in fields(config) if f.name != "phantom"}
    values: dict[str, Any] = {}
    phantom = dict(config.phantom)
    for name, text in (overrides or {}).items():
        if name.startswith("phantom."):
            phantom[name.removeprefix("phantom.")] = _guess(text)
        elif name in known:
            values[name] = _parse(name, text, type(known[name]))
        else:
            raise InputError(
                f"unknown setting {name!r} for {stage}: expected one of "
                f"{', '.join(sorted(known))} or phantom.<name>"
            )
    config = replace(config, **values, phantom=phantom)
    check_config(config)
    return config


def check_config(config: TrainingConfig) -> None:
    """Refuse values that no training can run with.

    Raises:
        InputError: naming the setting, what was expected and what was found.
    """
    smallest = {
        "steps": 1,
        "batch_size": 1,
        "size": 16,
        "pool_patients": 1,
        "pool_start": 1,
        "log_steps": 1,
        "nodes": 1,
        "minutes": 0,
        "workers": 0,
        "threads": 0,
        "devices": 0,
        "learning_rate": 0,
        "curve_patients": 0,
        "planes": 1,
        "margin": 0,
        "floods": 0,
        "clicks": 1,
        "change_weight": 0,
        "spoil_weight": 0,
        "lge_alone": 0,
        "memory": 0,
        "replayed": 0,
        "artifacts": 0,
        "kl_weight": 0,
        "dice_weight": 0,
        "mvo": 0,
        "found_share": 0,
    }
    for name, least in smallest.items():
        if getattr(config, name, least) < least:
            raise InputError(f"{name} must be at least {least}, found {getattr(config, name)}")
    if config.steps_per_patient <= 0:
        raise InputError(f"steps_per_patient must be above 0, found {config.steps_per_patient}")
    if getattr(config, "planes", 1) % 2 == 0:
        raise InputError(f"planes must be odd, found {getattr(config, 'planes', 1)}")
    if config.size % 16:
        raise InputError(f"size must be a multiple of 16, found {config.size}")


def _parse(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false", "1", "0"):
            raise InputError(f"{name} expects true or false, found {text!r}")
        return text.lower() in ("true", "1")
    try:
        if kind is tuple:
            return tuple(int(width) for width in text.split(",") if width)
        return kind(text)
    except ValueError:
        expected = "whole numbers with commas" if kind is tuple else kind.__name__
        raise InputError(f"{name} expects {expected}, found {text!r}") from None


def _guess(text: str) -> Any:
    """A phantom setting's value: the phantom's own configuration checks its type."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def with_present_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """A stored configuration with its settings under their present names."""
    return {RENAMED.get(name, name): value for name, value in values.items()}


def config_from_dict(stage: str, values: Mapping[str, Any]) -> TrainingConfig:
    """Rebuild a stored configuration; settings that no longer exist are left out."""
    kind = CONFIGS[stage]
    known = {f.name for f in fields(kind)}
    kept = {name: value for name, value in with_present_names(values).items() if name in known}
    if "widths" in kept:  # JSON has no tuples
        kept["widths"] = tuple(kept["widths"])
    return kind(**kept)
