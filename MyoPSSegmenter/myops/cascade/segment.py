"""From a Case to its Segmentation: heart finder, crop, ASSN, PRSN, and back to the Case's grid."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from myops.cascade.network_inputs import (
    assn_input,
    crop_shown,
    finder_box,
    finder_input,
    heart_box,
    prsn_input,
    tissue_box,
    with_neighbors,
)
from myops.cascade.postprocessing import (
    CLASSES,
    Window,
    clean_region,
    joint_probabilities,
    make_labels,
    mark_obstruction,
    mean_border,
    remove_doubtful_scar,
    remove_small_components,
    rescale_odds,
    uncertainty,
)
from myops.case import Case
from myops.coverage import Hidden, hidden_tissues, slice_numbers
from myops.errors import Cancelled
from myops.geometry.masks import bounding_box, grow_in_plane
from myops.geometry.square import SquareBox, crop_stack, uncrop_stack
from myops.io.free_memory import check_memory
from myops.networks.device import inference_precision, precision_now
from myops.progress import Progress
from myops.quantify.plausibility import plausibility_warnings
from myops.segmentation import Segmentation
from myops.sequences import NETWORK_SEQUENCES, SEQUENCE_TITLES, channel
from myops.structures import ASSESSABLE, NETWORK_TISSUES, SHOWN_BY, assessed_by
from myops.weights.files import Models, suited_models

LARGEST_LOGIT = 6.0
# Per voxel of the grid beyond the images themselves, at the peak: probabilities of region and right
# ventricle, uncertainty, and what is computed from them. 26 were measured, on 19 million voxels.
BYTES_PER_VOXEL = 40
# Where each step begins on the progress bar.
PROGRESS = {"heart finder": 0.0, "ASSN": 0.2, "PRSN": 0.5, "labels": 0.95}


@dataclass(frozen=True)
class CascadeConfig:
    """How the networks are run.

    Attributes:
        chunk: slices in one batch: all of an ordinary patient, without a limit on memory.
        flips: average over the four in-plane flips: four times slower, and better on every set that
            was measured (Docs/results.md).
        neighbors_sd: ASSN's logits are smoothed across slices by a Gaussian of this many slices (0
            = not), so that a slice whose wall is as bright as what lies beside it follows its
            neighbors.
        scar_odds, edema_odds: factors on the odds of these tissues, against the caution of the
            shipped weights; 1 = none (Docs/explanation/real-hearts.md).
        smallest_scar_ml: islands of scar below this volume are left out.
        least_scar_ml: scar below this volume in the whole heart is left out, with a warning that
            says where it was; 0 = never.
        smallest_mvo_ml: islands of microvascular obstruction below this volume stay scar.
        prsn_border: weight of PRSN's own border of the LV region beside ASSN's (1), where PRSN
            looks beyond the region; 0 = ASSN's alone.
    """

    chunk: int = 16
    flips: bool = True
    neighbors_sd: float = 0.6
    scar_odds: float = 2.0
    edema_odds: float = 1.0
    smallest_scar_ml: float = 0.5
    least_scar_ml: float = 0.0
    smallest_mvo_ml: float = 0.1
    prsn_border: float = 0.0

    @classmethod
    def of(cls, models: Models) -> CascadeConfig:
        """As the weights were measured: what their manifest sets, the defaults for the rest."""
        stated: Any = dict(models.decision)
        return cls(**stated)


# A network, or a method of one: images (and presence) to logits.
Network = Callable[..., torch.Tensor | dict[str, torch.Tensor]]


@dataclass(frozen=True)
class _Run:
    """What all steps share: networks, configuration, and the caller's two functions."""

    models: Models
    config: CascadeConfig
    progress: Progress
    cancelled: Callable[[], bool]
    # What the networks ran in, noted while they run.
    precisions: set[str] = field(default_factory=set)


def segment(
    case: Case,
    models: Models,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    config: CascadeConfig | None = None,
) -> Segmentation:
    """Segment one patient automatically.

    Args:
        case: one to three sequences on one grid.
        models: the networks, from `load_models`; where their pack is not for patients with these
            sequences, those of the pack that it names instead.
        progress: called with the finished fraction (0..1) and the name of the step.
        cancelled: asked between steps and chunks of slices; True ends the work.
        config: how the networks are run; as the networks that are used were measured if None.

    Returns:
        MyoPS labels uint16 (z, y, x) on the case's grid, probabilities, and warnings.

    Raises:
        InputError: there is no heart in the images, or too little memory for so many voxels.
        Cancelled: `cancelled` answered True.

    Example:
        >>> found = myops.segment(case, myops.load_models())
        >>> found.labels.shape == case.images["lge"].shape
        True
    """
    voxels = math.prod(case.geometry.array_shape)
    check_memory(BYTES_PER_VOXEL * voxels, f"segment {voxels / 1e6:.1f} million voxels")
    models = suited_models(models, case.sequences)
    config = config or CascadeConfig.of(models)
    run = _Run(models, config, progress or (lambda *_: None), cancelled or (lambda: False))
    clock = [time.perf_counter()]
    box, rv_coarse = _find_heart(case, run)
    clock.append(time.perf_counter())
    lv = _outline_region(case, box, run)
    region = clean_region(lv > 0.5)
    box = tissue_box(region, case.geometry.spacing_mm, case.spacing_known)
    clock.append(time.perf_counter())
    found = _classify_tissue(case, box, region, run)
    tissue, obstruction, window = found.probabilities, found.obstruction, found.window
    clock.append(time.perf_counter())
    run.progress(PROGRESS["labels"], "labels")
    if found.inside is not None:
        within = np.zeros(lv.shape, np.float32)
        within[window] = found.inside
        lv = mean_border(lv, within, run.config.prsn_border)
        region = clean_region(lv > 0.5)
    labels = make_labels(region, tissue, rv_coarse, window)
    voxel_ml, sizes = case.geometry.voxel_volume_ml, _sizes(case, run.config)
    # Scar lies in the window alone, and so does what is corrected of it.
    near = remove_small_components(labels[window], tissue, voxel_ml, sizes.smallest_scar_ml)
    near, doubtful_ml, doubted = remove_doubtful_scar(near, tissue, voxel_ml, sizes.least_scar_ml)
    known = assessed_by(case.sequences) & frozenset(NETWORK_TISSUES)
    if obstruction is not None and "scar" in known:
        near = mark_obstruction(near, obstruction, voxel_ml, sizes.smallest_mvo_ml)
        known |= {"mvo"}
    labels[window] = near
    unsure = uncertainty(lv, tissue, window)
    clock.append(time.perf_counter())
    run.progress(1.0, "done")
    return Segmentation(
        labels=labels,
        geometry=case.geometry,
        probabilities=joint_probabilities(lv, tissue, rv_coarse, window),
        uncertainty=unsure,
        # A structure that no network knows was not looked for: no voxel of it is not "none".
        assessed=known,
        model=dict(models.checksums),
        seconds=dict(zip(PROGRESS, np.diff(clock).tolist(), strict=True)),
        warnings=_warnings(case, run.config)
        + _doubts(doubtful_ml, doubted, sizes.least_scar_ml)
        + plausibility_warnings(case, labels, lv),
        machine={
            "precision": " and ".join(sorted(run.precisions)),
            "device": str(models.device),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
        },
        pack=_terms(models, case.sequences),
    )


def _sizes(case: Case, config: CascadeConfig) -> CascadeConfig:
    """The limits on volumes; none without a spacing: nobody knows how many voxels 0.5 mL are."""
    if case.spacing_known:
        return config
    return replace(config, smallest_scar_ml=0.0, least_scar_ml=0.0, smallest_mvo_ml=0.0)


def _terms(used: Models, sequences: tuple[str, ...]) -> dict[str, str]:
    """Of the weights that were used, which ones were asked for if those are others, what is known.

    "reached" says what these weights reach on patients with these sequences.
    """
    terms = used.pack.to_dict() if used.pack is not None else {}
    if used.asked is not None:
        terms["instead_of"] = used.asked.name
    if used.pack is not None and (reached := used.pack.reached_on(sequences)):
        terms["reached"] = reached
    return terms


def locate_heart(case: Case, models: Models) -> SquareBox:
    """The square around the heart that the ASSN sees, by the heart finder alone.

    Raises:
        InputError: there is no heart in the images.
    """
    suited = suited_models(models, case.sequences)
    run = _Run(suited, CascadeConfig(flips=False), lambda *_: None, lambda: False)
    return _find_heart(case, run)[0]


def find_region(case: Case, models: Models, config: CascadeConfig = CascadeConfig()) -> np.ndarray:
    """The LV epicardial region as `segment` finds it, without the PRSN: bool (z, y, x).

    Raises:
        InputError: there is no heart in the images.
    """
    suited = suited_models(models, case.sequences)
    run = _Run(suited, config, lambda *_: None, lambda: False)
    box = _find_heart(case, run)[0]
    return clean_region(_outline_region(case, box, run) > 0.5)


def _find_heart(case: Case, run: _Run) -> tuple[SquareBox, np.ndarray]:
    """The square around the heart, and coarse probabilities of the RV on the Case's grid."""
    images = finder_input(case.images, case.geometry.spacing_mm)
    logits = _predict(run, "heart finder", run.models.heartfinder, images, None)
    box = finder_box(case.geometry.array_shape, case.geometry.spacing_mm)
    probabilities = _sigmoid(logits)
    lv, rv = (
        uncrop_stack(probabilities[:, channel], box, case.geometry.array_shape)
        for channel in (0, 1)
    )
    found = heart_box(lv, case.geometry.spacing_mm, spacing_known=case.spacing_known)
    return found, rv


def crop_case(case: Case, box: SquareBox, size: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Raw crops (z, size, size), NaN where a sequence has no image, and its presence per slice.

    A sequence that covers only some slices is present in those alone: (z, 3) float32.
    """
    return crop_shown(case.images, case.covered, box, size)


def _outline_region(case: Case, box: SquareBox, run: _Run) -> np.ndarray:
    """f(I), the probability of the LV epicardial region: float32 (z, y, x) on the Case's grid."""
    crops, present = crop_case(case, box, run.models.sizes["assn"])
    network = run.models.assn
    images = with_neighbors(assn_input(crops), _planes(network))
    logits = _predict(run, "ASSN", network, images, present)
    smooth = smooth_across_slices(logits[:, 0], run.config.neighbors_sd)
    return uncrop_stack(_sigmoid(smooth), box, case.geometry.array_shape)


def smooth_across_slices(logits: np.ndarray, sd_slices: float) -> np.ndarray:
    """Gaussian mean of logits (z, S, S) over neighboring slices, float32; the ends are repeated.

    Logits beyond 6 (p = 0.998) are cut off: a sure slice must not outvote its neighbors for good.
    """
    if not sd_slices:
        return logits
    from scipy import ndimage

    kept = np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)
    mean: np.ndarray = ndimage.gaussian_filter1d(kept, sd_slices, axis=0, mode="nearest")
    return mean


@dataclass(frozen=True)
class _FoundTissue:
    """What PRSN has found, on the Case's grid where it lies in the window; 0 elsewhere.

    Attributes:
        window: the part (z, h, w) of the stack that PRSN sees: a small one of a large image.
        probabilities: softmax of the main branch given the region, float32 (z, 4, h, w).
        obstruction: probability that scar is microvascular obstruction, float32 (z, h, w); None
            where the network does not tell it.
        inside: probability of the LV region as PRSN itself borders it, float32 (z, h, w), 0 beyond
            what it sees; None where it sees nothing but the region, or its border counts nothing.
    """

    window: Window
    probabilities: np.ndarray
    obstruction: np.ndarray | None
    inside: np.ndarray | None


def _classify_tissue(case: Case, box: SquareBox, region: np.ndarray, run: _Run) -> _FoundTissue:
    """Run PRSN inside the region and its margin.

    PRSN sees nothing outside the region (and its margin), so its answer is interpolated from inside
    it alone (normalized convolution); otherwise the region's edge would get a rim of "other".
    Where PRSN has a class "outside", the other classes share what is left; how much its border
    counts is `CascadeConfig.prsn_border`.
    """
    size = run.models.sizes["prsn"]
    crops, present = crop_case(case, box, size)
    network = run.models.prsn
    margin = int(getattr(network, "margin", 0))
    inside = grow_in_plane(crop_stack(region.astype(np.float32), box, size) > 0.5, margin)
    images = with_neighbors(prsn_input(crops, inside), _planes(network))
    # The branches' own answers are not needed; what is not in the region is multiplied by 0 below.
    main = getattr(network, "main_logits", network)
    wanted = np.asarray(inside.any(axis=(1, 2)))
    logits = _predict(run, "PRSN", main, images, present, wanted)
    tissue = move_unassessable(_softmax(logits[:, : len(CLASSES)]), present) * inside[:, None]
    seen = uncrop_stack(inside.astype(np.float32), box, case.geometry.array_shape)
    _, rows, columns = bounding_box(seen > 0)
    window: Window = (slice(None), rows, columns)

    def restored(crop: np.ndarray) -> np.ndarray:
        return uncrop_stack(crop, box, case.geometry.array_shape)[window].copy()

    share = np.maximum(seen[window], 1e-6)
    # Weighed after it is interpolated: before it, odds above 1 would widen what they favor.
    odds = {"scar": run.config.scar_odds, "edema": run.config.edema_odds}
    hidden = {name: where[window] for name, where in hidden_tissues(case).items()}
    planes = [restored(tissue[:, k]) / share for k in range(len(CLASSES))]
    found = without_hidden(np.stack(planes, axis=1), hidden)
    obstruction = within = None
    if getattr(network, "mvo", 0):
        obstruction = restored(_sigmoid(logits[:, -1]) * inside) / share
    if margin and run.config.prsn_border:
        all_classes = _softmax(logits[:, : len(CLASSES) + 1])
        within = restored((1 - all_classes[:, -1]) * inside)
    return _FoundTissue(window, np.clip(rescale_odds(found, odds), 0, 1), obstruction, within)


def without_hidden(tissue: np.ndarray, hidden: Hidden) -> np.ndarray:
    """Take a tissue for normal where its sequence ends within a slice.

    Args:
        tissue: float (z, 4, y, x), classes as `CLASSES`.
        hidden: from `coverage.hidden_tissues`.
    """
    normal = CLASSES.index("normal_myocardium")
    for name in (name for name in CLASSES if name in hidden):
        lost = np.where(hidden[name], tissue[:, CLASSES.index(name)], 0)
        tissue[:, CLASSES.index(name)] -= lost
        tissue[:, normal] += lost
    return tissue


def move_unassessable(tissue: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Give the probability of a tissue that cannot be seen to the one it counts as.

    Without LGE what looks like scar is edema if there is a T2; what cannot be told at all is
    normal. That is how training labels such patients.

    Args:
        tissue: float (z, 4, S, S), classes as `CLASSES`.
        present: float (z, 3), 1 where a slice has the sequence.
    """
    tissue = tissue.copy()
    no_lge, no_t2 = (present[:, channel(name)] == 0 for name in ("lge", "t2"))
    normal, edema, scar = (CLASSES.index(name) for name in NETWORK_TISSUES[1:])
    for lost, instead, slices in ((scar, edema, no_lge), (edema, normal, no_t2)):
        tissue[slices, instead] += tissue[slices, lost]
        tissue[slices, lost] = 0
    return tissue


def _planes(network: nn.Module) -> int:
    """Slices that a network sees at once."""
    return int(getattr(network, "planes", 1))


def _predict(
    run: _Run,
    step: str,
    network: Network,
    images: np.ndarray,
    present: np.ndarray | None,
    wanted: np.ndarray | None = None,
) -> np.ndarray:
    """Run a network chunk by chunk: float32 logits (z, C, S, S) from images (z, 3, S, S).

    Slices that are not wanted, bool (z,), are not computed and get logits of 0.
    """
    steps = [*PROGRESS.values(), 1.0]
    start = PROGRESS[step]
    length = steps[steps.index(start) + 1] - start
    places = np.arange(len(images)) if wanted is None else np.flatnonzero(wanted)
    outputs = []
    for first in range(0, len(places), run.config.chunk):
        if run.cancelled():
            raise Cancelled
        run.progress(start + length * first / len(places), step)
        chunk = places[first : first + run.config.chunk]
        arguments = [images[chunk]] if present is None else [images[chunk], present[chunk]]
        outputs.append(_run_network(network, arguments, run))
    found = np.concatenate(outputs)
    logits = np.zeros((len(images), *found.shape[1:]), np.float32)
    logits[places] = found
    return logits


def _run_network(network: Network, arguments: list[np.ndarray], run: _Run) -> np.ndarray:
    device = run.models.device
    images, *others = (torch.from_numpy(array).to(device) for array in arguments)
    flips: list[list[int]] = [[], [2], [3], [2, 3]] if run.config.flips else [[]]
    total = torch.zeros(())
    with torch.inference_mode(), inference_precision(device):
        run.precisions.add(precision_now(device))
        for axes in flips:
            flipped = images.flip(axes).contiguous(memory_format=torch.channels_last)
            output = network(flipped, *others)
            logits = _told(output) if isinstance(output, dict) else output
            total = total + logits.float().flip(axes).cpu()
    return (total / len(flips)).numpy()


def _told(output: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the cascade takes from the PRSN: its main branch, and MVO as the last channel."""
    return torch.cat([output[name] for name in ("main", "mvo") if name in output], dim=1)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).sigmoid().numpy()


def _softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).softmax(dim=1).numpy()


def _doubts(volume_ml: float, slices: tuple[int, ...], least_ml: float) -> tuple[str, ...]:
    """Where scar was left out because there was too little of it in all."""
    if not slices:
        return ()
    where = f"slice{'s' if len(slices) > 1 else ''} {slice_numbers(np.array(slices))}"
    return (
        f"possible scar of {volume_ml:.1f} mL in {where} was left out: below {least_ml:g} mL in "
        "all, these networks find scar in healthy hearts as well; look there",
    )


def _warnings(case: Case, config: CascadeConfig) -> tuple[str, ...]:
    found = [
        f"no {SEQUENCE_TITLES[SHOWN_BY[tissue]]}: {tissue} was not assessed"
        for tissue in ASSESSABLE
        if tissue in NETWORK_TISSUES and SHOWN_BY[tissue] not in case.sequences
    ]
    found += [
        f"{name}: shown and reported, but not given to the networks, which know "
        f"{', '.join(SEQUENCE_TITLES[known] for known in NETWORK_SEQUENCES)} only"
        for name in case.sequences
        if name not in NETWORK_SEQUENCES
    ]
    if not case.spacing_known:
        small = f"islands of scar below {config.smallest_scar_ml:g} mL were not left out"
        found.append(
            "spacing unknown: the networks, which expect hearts in mm, saw voxels of 1 mm, and "
            f"{small if config.smallest_scar_ml else 'no size could be checked'}; give the true "
            "spacing, or check every outline"
        )
    return tuple(found)
