"""The cascade on held-out synthetic patients: fixed seeds that no training has seen.

    python Testing/Scripts/measure/evaluate_phantoms.py                        shipped weights, 60 patients
    python Testing/Scripts/measure/evaluate_phantoms.py --model folder         weights in a folder with a manifest
    python Testing/Scripts/measure/evaluate_phantoms.py --runs runs            checkpoints of a training under way
    python Testing/Scripts/measure/evaluate_phantoms.py --complete             all three sequences in every patient
    python Testing/Scripts/measure/evaluate_phantoms.py --sequences lge        the LGE alone of every patient

Each patient is written to files, read back and segmented as `myops segment` does it, then compared
on the files' own grid. Dice and distances follow myops.evaluation.metrics: a region that is empty in truth
has no Dice and is counted apart; what the sequences cannot show is not compared. The same seeds
and weights give the same numbers. They say how well the cascade does on synthetic patients; they
are no clinical accuracy.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "MyoPSSegmenter"))

from myops.case import Case, load_case_folder, restore
from myops.errors import InputError
from myops.evaluation.metrics import Agreement, compare, summarize
from myops.phantom.files import write_patient
from myops.phantom.patient import PhantomConfig, PhantomPatient, generate_patient
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML
from myops.sequences import NETWORK_SEQUENCES

if TYPE_CHECKING:
    from myops.weights.files import Models

FIRST_SEED = 900_000
FALSE_SCAR_LIMIT_ML = 0.5
# What the sequences must show for a region to be compared.
NEEDED = {"scar": {"lge"}, "edema": {"t2"}, "scar_or_edema": {"lge", "t2"}}


@dataclass(frozen=True)
class Result:
    """One patient: agreement by region, or why there is none.

    Attributes:
        seed: of the patient.
        injury: "none", "acute" or "chronic".
        sequences: those the patient has.
        agreements: regions that the sequences can show; empty when no heart was found.
        heart_in_box: share of the true LV region inside the heart finder's square.
        error: the cascade's refusal.
    """

    seed: int
    injury: str
    sequences: tuple[str, ...]
    agreements: dict[str, Agreement]
    heart_in_box: float | None
    error: str = ""


def main() -> None:
    """Evaluate, print the table, write JSON and CSV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60, help="patients (seeds 900000...)")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--complete", action="store_true", help="no patient lacks a sequence")
    parser.add_argument("--sequences", type=_names, help="these alone in every patient, as lge,t2")
    parser.add_argument("--model", default="default", help="name or folder of the weights")
    parser.add_argument("--runs", type=Path, help="folder of <stage>/checkpoint.pt to use instead")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each if > 1")
    parser.add_argument("--output", type=Path, help="folder for phantoms.json and phantoms.csv")
    options = parser.parse_args()
    results = evaluate_cohort(options)
    summary = summarize_cohort(results)
    print_table(summary)
    if options.output:
        write_files(options.output, results, summary, options)


def evaluate_cohort(options: argparse.Namespace) -> list[Result]:
    """Evaluate every seed, in this process or in several."""
    seeds = range(options.first_seed, options.first_seed + options.count)
    one = partial(evaluate_patient, options=options)
    if options.workers <= 1:
        return list(_shown(map(one, seeds), len(seeds)))
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.workers, initializer=_one_thread) as pool:
        return list(_shown(pool.imap(one, seeds), len(seeds)))


def evaluate_patient(seed: int, options: argparse.Namespace) -> Result:
    """Generate, write, read, segment and compare one patient."""
    from myops.cascade.segment import segment

    patient = _patient(seed, options)
    with tempfile.TemporaryDirectory() as folder:
        write_patient(patient, Path(folder))
        case = load_case_folder(folder)
    models = _models(options.model, options.runs, options.device)
    found = partial(Result, seed, str(patient.description["injury"]), tuple(sorted(patient.images)))
    try:
        labels = _on_file_grid(case, segment(case, models).labels)
    except InputError as error:
        return found({}, None, str(error))
    agreements = compare(labels, patient.labels, patient.spacing_mm)
    shown = {n: a for n, a in agreements.items() if NEEDED.get(n, set()) <= set(patient.images)}
    return found(shown, heart_in_box(case, models, patient))


def _names(text: str) -> frozenset[str]:
    """Sequences, as "lge,t2"."""
    names = frozenset(text.split(","))
    if not names <= set(NETWORK_SEQUENCES):
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(NETWORK_SEQUENCES)}")
    return names


def _complete(options: argparse.Namespace) -> bool:
    return options.complete or options.sequences is not None


def _patient(seed: int, options: argparse.Namespace) -> PhantomPatient:
    patient = generate_patient(seed, PhantomConfig(dropout=not _complete(options)))
    if options.sequences is None:
        return patient
    kept = {name: patient.images[name] for name in sorted(options.sequences)}
    return replace(patient, images=kept)


def heart_in_box(case: Case, models: Models, patient: PhantomPatient) -> float:
    """Share of the true LV region that the heart finder's square holds."""
    import torch

    from myops.cascade.network_inputs import finder_box, finder_input, heart_box
    from myops.geometry.canonical import to_canonical
    from myops.geometry.square import uncrop_stack
    from myops.labels import lv_region

    shape, spacing_mm = case.geometry.array_shape, case.geometry.spacing_mm
    images = torch.from_numpy(finder_input(case.images, spacing_mm)).to(models.device)
    with torch.inference_mode():
        coarse = models.heartfinder(images)[:, 0].sigmoid().float().cpu().numpy()
    box = heart_box(uncrop_stack(coarse, finder_box(shape, spacing_mm), shape), spacing_mm)
    inside = uncrop_stack(np.ones((shape[0], 8, 8), np.uint8), box, shape) > 0
    truth = to_canonical(lv_region(patient.labels), case.original)
    return float((truth & inside).sum() / truth.sum())


def summarize_cohort(results: Sequence[Result]) -> dict[str, object]:
    """Mean, SD and median by region and measure; false scar; scar mass; failures."""
    found = [result for result in results if result.agreements]
    regions = {}
    for name in ("lv_region", "myocardium", "blood_pool", "scar", "edema", "scar_or_edema"):
        rows = [{name: r.agreements[name]} for r in found if name in r.agreements]
        if rows:
            measures = summarize(rows)[name]
            regions[name] = {measure: asdict(value) for measure, value in measures.items()}
    scars = [r.agreements["scar"] for r in found if "scar" in r.agreements]
    healthy = [r.agreements["scar"] for r in found if "scar" in r.agreements and r.injury == "none"]
    errors_g = [
        abs(a.volume_prediction_ml - a.volume_truth_ml) * MYOCARDIAL_DENSITY_G_PER_ML
        for a in scars
        if a.volume_truth_ml > 0
    ]
    false_ml = [a.volume_prediction_ml for a in healthy]
    boxes = [r.heart_in_box for r in found if r.heart_in_box is not None]
    return {
        "patients": len(results),
        "heart_not_found": len(results) - len(found),
        "whole_heart_in_box": sum(share > 0.995 for share in boxes) / max(len(results), 1),
        "regions": regions,
        "normal_hearts_with_lge": len(false_ml),
        "normal_hearts_below_limit": sum(ml < FALSE_SCAR_LIMIT_ML for ml in false_ml),
        "false_scar_median_ml": median(false_ml) if false_ml else None,
        "false_scar_worst_ml": max(false_ml, default=None),
        "scar_mass_error_median_g": median(errors_g) if errors_g else None,
        "scar_mass_error_mean_g": fmean(errors_g) if errors_g else None,
    }


def print_table(summary: dict[str, object]) -> None:
    """Print the summary as Markdown."""
    print("\n| region | Dice | HD (mm) | HD95 (mm) | n | no Dice: empty in truth |")
    print("|---|---|---|---|---|---|")
    regions = summary["regions"]
    assert isinstance(regions, dict)
    for name, measures in regions.items():
        cells = [
            "–" if measures[m]["mean"] is None
            else f"{measures[m]['mean']:.{d}f} ± {measures[m]['sd'] or 0:.{d}f}"
            for m, d in (("dice", 3), ("hd_mm", 1), ("hd95_mm", 1))
        ]  # fmt: skip
        count, undefined = measures["dice"]["count"], measures["dice"]["undefined"]
        print(f"| {name} | {' | '.join(cells)} | {count} | {undefined} |")
    print()
    for name, value in summary.items():
        if name != "regions":
            print(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")


def write_files(
    folder: Path, results: Sequence[Result], summary: dict[str, object], options: argparse.Namespace
) -> None:
    """Write phantoms.json (summary, settings, all patients) and phantoms.csv (a row per region)."""
    from myops.weights.files import suited_models

    folder.mkdir(parents=True, exist_ok=True)
    models = _models(options.model, options.runs, options.device)
    content = {
        "data": "synthetic patients, held out from training",
        "seeds": [options.first_seed, options.first_seed + options.count - 1],
        "phantom": asdict(PhantomConfig(dropout=not _complete(options))),
        "sequences": sorted(options.sequences or NETWORK_SEQUENCES),
        "weights": dict(suited_models(models, options.sequences or NETWORK_SEQUENCES).checksums),
        "summary": summary,
        "patients": [asdict(result) for result in results],
    }
    text = json.dumps(content, indent=2, default=lambda number: number.item())
    (folder / "phantoms.json").write_text(text + "\n", encoding="utf-8")
    with (folder / "phantoms.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        measures = list(Agreement.__dataclass_fields__)
        writer.writerow(["seed", "injury", "sequences", "region", *measures])
        for result in results:
            start = [result.seed, result.injury, " ".join(result.sequences)]
            for name, agreement in result.agreements.items():
                values = agreement.to_dict()
                writer.writerow([*start, name, *(values[m] for m in measures)])
            if result.error:
                writer.writerow([*start, "", *[""] * (len(measures) - 1), result.error])


_loaded: dict[tuple[str, Path | None, str], Models] = {}


def _models(model: str, runs: Path | None, device: str) -> Models:
    """Load the networks, once per process."""
    from myops.weights.files import load_models

    key = (model, runs, device)
    if key not in _loaded:
        _loaded[key] = _from_runs(runs, device) if runs else load_models(device, model)
    return _loaded[key]


def _from_runs(runs: Path, device: str) -> Models:
    """The networks of checkpoints that a training has written so far."""
    import torch

    from myops.io.checksum import file_sha256
    from myops.training.checkpoint import read_checkpoint, stored_config
    from myops.training.export import trained_network
    from myops.weights.files import Models

    paths = {name: runs / name / "checkpoint.pt" for name in ("heartfinder", "assn", "prsn")}
    target = torch.device(device)
    networks = {
        name: trained_network(path).to(target, memory_format=torch.channels_last)
        for name, path in paths.items()
    }
    checksums = {name: file_sha256(path) for name, path in paths.items()}
    sizes = {name: stored_config(read_checkpoint(path)).size for name, path in paths.items()}
    return Models(**networks, dae=None, device=target, checksums=checksums, sizes=sizes)


def _on_file_grid(case: Case, labels: np.ndarray) -> np.ndarray:
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(restore(case, labels))


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _shown(results: Iterator[Result], count: int) -> Iterator[Result]:
    """Pass the results on, a line for each."""
    for number, result in enumerate(results, 1):
        dice = {n: a.dice for n, a in result.agreements.items() if a.dice is not None}
        text = result.error or "  ".join(f"{n} {value:.3f}" for n, value in dice.items())
        print(f"{number}/{count}  {result.seed} {result.injury}: {text}", flush=True)
        yield result


if __name__ == "__main__":
    main()
