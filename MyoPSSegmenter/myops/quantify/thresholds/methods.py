"""The selector of conventional methods: every rule that readers use, with one call.

`conventional_methods` applies the chosen rules to an LGE image inside a label map's myocardium and
treats every mask in the same way afterwards: dark cores are filled in, small islands taken out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from myops import labels as regions
from myops.errors import InputError
from myops.geometry.masks import bounding_box
from myops.quantify.thresholds import fwhm, grey_zone, statistical
from myops.quantify.thresholds.amado import AMADO
from myops.quantify.thresholds.base import ThresholdResult
from myops.quantify.thresholds.mask_cleanup import (
    enclosed_holes,
    epicardial_border,
    without_islands,
)
from myops.quantify.thresholds.remote import RemoteRegion, Sector, automatic_remote, manual_remote
from myops.quantify.thresholds.rule import Rule, RuleInput

# Every rule by name, in the order of the tables. A new rule is a row in the file of its kind.
RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        *fwhm.RULES,
        AMADO,
        *statistical.RULES,
        *grey_zone.RULES,
        statistical.MANUAL,
    )
}


@dataclass(frozen=True)
class ConventionalSettings:
    """Which rules are applied, and what happens to their masks.

    Attributes:
        methods: names out of `RULES`; "manual" is left out unless there is a threshold.
        manual_threshold: a reader's own threshold in the units of the image.
        all_slices: the per-slice variants assess every slice with myocardium; else only those that
            hold scar in the label map, as a reader does.
        fill_dark_cores: add enclosed holes and marked MVO to every mask, see `islands`.
        smallest_island_mm2: least area of an island in its slice; None keeps all.
        smallest_island_ml: least volume of an island in the stack; None keeps all.
    """

    methods: tuple[str, ...] = field(default_factory=lambda: tuple(RULES))
    manual_threshold: float | None = None
    all_slices: bool = False
    fill_dark_cores: bool = True
    smallest_island_mm2: float | None = None
    smallest_island_ml: float | None = None


def report_rules() -> tuple[Rule, ...]:
    """The rules that a report compares with the scar found, in the order of the tables."""
    return tuple(rule for rule in RULES.values() if rule.in_report)


def conventional_methods(
    lge: np.ndarray,
    labels: np.ndarray,
    spacing_mm: tuple[float, float, float] | None,
    settings: ConventionalSettings | None = None,
    remote_override: np.ndarray | Sector | None = None,
    hyperenhanced: np.ndarray | None = None,
) -> dict[str, ThresholdResult]:
    """Measure scar inside a label map's myocardium by the conventional rules.

    Args:
        lge: float (z, y, x), raw intensities.
        labels: uint16 (z, y, x), MyoPS values. The wall comes from it; scar and edema keep the
            automatic remote region away and say which slices the per-slice variants assess.
        spacing_mm: (x, y, z); None when unknown, which islands cannot be measured without.
        settings: rules and what happens to their masks; every rule if not given.
        remote_override: remote region as bool (z, y, x) or a sector; automatic if None.
        hyperenhanced: bool (z, y, x), drawn region of the Amado rule; automatic if None.

    Returns:
        "<method>_<scope>", such as "sd5_slice", and "manual" -> result, in the order of the
        settings.

    Raises:
        InputError: other shapes, values that are not finite in the myocardium, an unknown method,
            an unusable remote region, or island sizes that cannot be measured.
    """
    settings = settings or ConventionalSettings()
    _check(lge, labels, spacing_mm, settings, hyperenhanced)
    wall, scar = regions.myocardium(labels), regions.scar(labels)
    given = RuleInput(
        lge,
        wall,
        scar=wall if settings.all_slices else scar,
        remote=remote_region(lge, labels, spacing_mm or (1.0, 1.0, 1.0), remote_override),
        hyperenhanced=hyperenhanced,
        labeled=scar,
        threshold=settings.manual_threshold,
    )
    results: dict[str, ThresholdResult] = {}
    for rule in (RULES[name] for name in settings.methods):
        if "threshold" in rule.needs and given.threshold is None:
            continue
        for scope in rule.scopes:
            results[rule.result_name(scope)] = rule.apply(replace(given, scope=scope))
    tissue = _Tissue(labels)
    return {name: _finished(found, tissue, spacing_mm, settings) for name, found in results.items()}


def volume_rule(
    name: str, lge: np.ndarray, labels: np.ndarray, spacing_mm: tuple[float, float, float] | None
) -> ThresholdResult:
    """One rule without a remote region, with one threshold for the volume.

    Args: as `conventional_methods`, which it is a short way to.
    """
    scar = regions.scar(labels)
    given = RuleInput(lge, regions.myocardium(labels), scar, None, labeled=scar)
    found = RULES[name].apply(given)
    return _finished(found, _Tissue(labels), spacing_mm, ConventionalSettings())


def remote_region(
    lge: np.ndarray,
    labels: np.ndarray,
    spacing_mm: tuple[float, float, float],
    override: np.ndarray | Sector | None = None,
) -> RemoteRegion | None:
    """The remote region of a label map: as given, else the automatic one, else None.

    Raises:
        InputError: the region given cannot be used.
    """
    parts = (
        lge,
        regions.lv_region(labels),
        regions.myocardium(labels),
        regions.scar_or_edema(labels),
        spacing_mm,
    )
    return automatic_remote(*parts) if override is None else manual_remote(override, *parts)


def rule_title(result: ThresholdResult) -> str:
    """Words for a rule: "FWHM, half of maximum (volume)"."""
    scope = "per slice" if result.scope == "slice" else "volume"
    return f"{RULES[result.rule].title} ({scope})"


class _Tissue:
    """What every mask is finished with, worked out once in the box around the wall."""

    def __init__(self, labels: np.ndarray) -> None:
        self.box = bounding_box(regions.lv_region(labels))
        cut = labels[self.box]
        self.myocardium, self.mvo = regions.myocardium(cut), regions.mvo(cut)
        self.epicardium = epicardial_border(self.myocardium, regions.blood_pool(cut))


def _finished(
    result: ThresholdResult,
    tissue: _Tissue,
    spacing_mm: tuple[float, float, float] | None,
    settings: ConventionalSettings,
) -> ThresholdResult:
    """The result with dark cores filled in, then without small islands."""
    if result.mask is None:
        return result
    mask, filled, core = result.mask, None, result.core
    if settings.fill_dark_cores:
        filled = _dark_cores(mask, tissue)
        mask = mask | filled
    before = int(np.count_nonzero(mask))
    if spacing_mm is not None:
        mask = without_islands(
            mask, spacing_mm, settings.smallest_island_mm2, settings.smallest_island_ml
        )
    if filled is not None:
        filled &= mask
        core = None if core is None else core | filled
    return replace(
        result,
        mask=mask,
        core=None if core is None else core & mask,
        filled=filled,
        removed_voxels=before - int(np.count_nonzero(mask)),
    )


def _dark_cores(mask: np.ndarray, tissue: _Tissue) -> np.ndarray:
    """Enclosed holes of a mask and marked MVO outside it."""
    cut = mask[tissue.box]
    holes = enclosed_holes(cut, tissue.myocardium, tissue.epicardium)
    filled = np.zeros(mask.shape, bool)
    filled[tissue.box] = holes | (tissue.mvo & ~cut)
    return filled


def _check(
    lge: np.ndarray,
    labels: np.ndarray,
    spacing_mm: tuple[float, float, float] | None,
    settings: ConventionalSettings,
    hyperenhanced: np.ndarray | None,
) -> None:
    for name, array in {"labels": labels, "a hyper-enhanced region": hyperenhanced}.items():
        if array is not None and array.shape != lge.shape:
            raise InputError(
                f"expected {name} of the LGE's shape {lge.shape} (z, y, x), found {array.shape}; "
                "bring both to one grid"
            )
    if not np.isfinite(lge[regions.myocardium(labels)]).all():
        raise InputError(
            "expected finite LGE values in the myocardium, found NaN or infinite ones; "
            "export the image again"
        )
    unknown = [name for name in settings.methods if name not in RULES]
    if unknown:
        raise InputError(
            f"expected methods out of {', '.join(RULES)}, found {', '.join(unknown)}; "
            "correct the name"
        )
    _check_sizes(spacing_mm, settings)


def _check_sizes(
    spacing_mm: tuple[float, float, float] | None, settings: ConventionalSettings
) -> None:
    sizes = [settings.smallest_island_mm2, settings.smallest_island_ml]
    given = [size for size in sizes if size is not None]
    if any(not (np.isfinite(size) and size >= 0) for size in given):
        raise InputError(f"expected island sizes of 0 or more, found {given}; correct the size")
    if given and spacing_mm is None:
        raise InputError(
            "expected a known voxel spacing to measure the size of islands, found none in the "
            "header; give the true spacing"
        )
