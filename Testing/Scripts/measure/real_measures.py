"""What evaluate_real.py measures beside the overlap: thresholds, clicks, and scar in percent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from myops import labels as regions
from myops.case import Case
from myops.evaluation.interactive import (
    Corrector,
    EvaluatedPatient,
    EvaluationConfig,
    correct_patient,
)
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML, dice
from myops.quantify.thresholds.methods import ConventionalSettings, conventional_methods
from myops.segmentation import Segmentation
from myops.structures import STRUCTURES
from myops.study.statistics import Estimate, concordance

# The conventional rules that come closest to experts on EMIDEC (Docs/reference/quantification.md).
RULES = ("sd2", "fwhm_between_minimum_and_maximum", "fwhm_remote_referenced", "otsu")
SHOWN = (
    "sd2_volume",
    "fwhm_between_minimum_and_maximum_volume",
    "fwhm_remote_referenced_slice",
    "otsu_volume",
)
CLICKS = (1, 3, 5)
# Volume of a voxel, mm^3, of the EMIDEC cases whose own headers were found; the others' is unknown.
VOXEL_MM3 = {
    "Case_P044": 23.72,
    "Case_P072": 16.61,
    "Case_P092": 19.99,
    "Case_P095": 28.64,
    "Case_P100_native": 25.69,
}
MASSES = ("scar", "myocardium")
LEAST_MVO_ML = 1.0
Row = Mapping[str, object]


def threshold_dice(
    case: Case, contours: np.ndarray, truth: np.ndarray, drawn: np.ndarray, by_expert: bool
) -> dict[str, float | None]:
    """Scar Dice of the conventional rules inside the myocardium of a label map.

    Args:
        case: with an LGE.
        contours: MyoPS labels (z, y, x) whose myocardium the rules measure.
        truth: the expert's labels on the same grid.
        drawn: bool (z,), slices that the expert has drawn.
        by_expert: the contours are the expert's: his normal myocardium is the remote region and
            all masks stay as thresholded, as in the published table. Else everything is automatic,
            as `myops quantify` runs it.

    Returns:
        Rule and scope to Dice; 0 where a rule cannot be applied, None where there is no scar.
    """
    settings = ConventionalSettings(methods=RULES, fill_dark_cores=not by_expert)
    remote = regions.normal_myocardium(contours) if by_expert else None
    scar = regions.scar(truth)[drawn]
    if not regions.myocardium(contours).any():
        return dict.fromkeys(SHOWN, 0.0 if scar.any() else None)
    found = conventional_methods(
        case.images["lge"], contours, case.geometry.spacing_mm, settings, remote
    )
    return {name: _overlap(found[name].mask, scar, drawn) for name in SHOWN}


def _overlap(mask: np.ndarray | None, scar: np.ndarray, drawn: np.ndarray) -> float | None:
    if not scar.any():
        return None
    return 0.0 if mask is None else dice(mask[drawn], scar)


def dice_after_clicks(
    case: Case,
    segmentation: Segmentation,
    truth: np.ndarray,
    drawn: np.ndarray,
    corrector: Corrector,
) -> dict[int, float | None]:
    """Scar Dice of the patient after 1, 3 and 5 clicks of a simulated reader in every slice.

    Args:
        case: the patient.
        segmentation: the automatic result, which the reader starts from.
        truth: the expert's labels on the same grid.
        drawn: bool (z,), slices that the expert has drawn.
        corrector: what answers the clicks.
    """
    config = EvaluationConfig(clicks=max(CLICKS), starts=("automatic",), methods=("corrector",))
    corrector.set_case(case, segmentation)
    patient = EvaluatedPatient(
        name=case.name,
        truth=regions.scar(truth) & drawn[:, None, None],
        labeled=drawn,
        labels=segmentation.labels,
        probabilities=segmentation.probabilities,
        spacing_mm=case.geometry.spacing_mm,
        voxel_g=None,
    )
    (run,) = correct_patient(patient, config, {"corrector": corrector})
    return {step.clicks: step.dice for step in run.steps if step.clicks in CLICKS}


def scar_percent(labels: np.ndarray) -> float:
    """Scar in % of the myocardium; 0 without myocardium."""
    return 100.0 * float(regions.scar(labels).sum()) / max(int(regions.myocardium(labels).sum()), 1)


def masses_g(name: str, found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Grams of scar and myocardium, ours and the expert's; none where no voxel's volume is known.

    Args:
        name: of the case.
        found, truth: MyoPS labels on the file's own grid.
    """
    if name not in VOXEL_MM3:
        return {}
    voxel_g = VOXEL_MM3[name] / 1000 * MYOCARDIAL_DENSITY_G_PER_ML
    return {
        f"{tissue}{whose}_g": round(float(STRUCTURES[tissue].mask(labels).sum()) * voxel_g, 2)
        for tissue in MASSES
        for whose, labels in (("", found), ("_expert", truth))
    }


def mvo_agreement(found: np.ndarray, truth: np.ndarray, voxel_ml: float) -> dict[str, object]:
    """Microvascular obstruction: Dice, and mL by the nominal voxel, ours and the expert's."""
    ours, theirs = regions.mvo(found), regions.mvo(truth)
    return {
        "mvo_dice": dice(ours, theirs) if theirs.any() else None,
        "mvo_ml": round(float(ours.sum()) * voxel_ml, 2),
        "mvo_expert_ml": round(float(theirs.sum()) * voxel_ml, 2),
    }


def mass_summary(rows: Sequence[Row]) -> dict[str, object]:
    """Mean absolute error and bias of both masses over the cases that have any, g."""
    own = [row for row in rows if "scar_g" in row]
    summary: dict[str, object] = {"masses": len(own)}
    for tissue in MASSES if own else ():
        pairs = [(row[f"{tissue}_g"], row[f"{tissue}_expert_g"]) for row in own]
        apart = np.subtract(*np.array(pairs, float).T)
        summary[f"{tissue}_g_error"] = round(float(np.abs(apart).mean()), 2)
        summary[f"{tissue}_g_bias"] = round(float(apart.mean()), 2)
    return summary


def mvo_summary(rows: Sequence[Row]) -> dict[str, object]:
    """Mean Dice where the expert marks at least 1 mL, and mL found in cases without any."""
    marked = [row["mvo_dice"] for row in rows if float(str(row["mvo_expert_ml"])) >= LEAST_MVO_ML]
    free = [row["mvo_ml"] for row in rows if row["mvo_expert_ml"] == 0]
    return {
        "mvo_cases": len(marked),
        "mvo_of_1_ml_dice_mean": round(float(np.mean(marked)), 3) if marked else None,  # type: ignore[arg-type]
        "false_mvo_ml_worst": max(free, default=None),
    }


def scar_summary(rows: Sequence[Row]) -> dict[str, object]:
    """False scar in the hearts without infarct; scar percent against the expert's in all.

    Args:
        rows: with "scar_percent", "scar_percent_expert" and "infarct".
    """
    pairs = np.array([(row["scar_percent"], row["scar_percent_expert"]) for row in rows], float)
    infarct = np.array([bool(row["infarct"]) for row in rows], bool)
    false = pairs[~infarct, 0]
    apart = (pairs[:, 0] - pairs[:, 1])[infarct]
    return {
        "false_scar_percent_without_infarct": [round(float(value), 2) for value in false],
        "false_scar_percent_median": round(float(np.median(false)), 2) if len(false) else None,
        "scar_percent_ccc": _rounded(concordance(pairs[:, 0], pairs[:, 1])),
        "scar_percent_bias": round(float(apart.mean()), 2) if len(apart) else None,
        "scar_percent_bias_sd": round(float(apart.std(ddof=1)), 2) if len(apart) > 1 else None,
    }


def _rounded(estimate: Estimate) -> dict[str, object]:
    values = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    shown = {k: None if v is None else round(v, 3) for k, v in values.items()}
    return shown | {"count": estimate.count, "reason": estimate.reason}
