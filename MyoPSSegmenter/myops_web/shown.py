"""What the logic knows, as JSON values for the page: nothing is measured or decided here."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.quantify.thresholds.methods import rule_title
from myops.refine.session import WallOffer
from myops.report.bullseye import QUANTITIES, ramp_color, segment_place, segment_value
from myops.report.colors import COLORS
from myops.sequences import ASKED_SEQUENCES, SEQUENCE_TITLES
from myops.structures import CORRECTED, LABEL_VALUES, MEASURED, STRUCTURES
from MyoPSSegmenterLib.Scene.SceneBridge import voxelFromWorld

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.mass import TissueMass
    from myops.refine.propagate import Proposal
    from MyoPSSegmenterLib.ModuleLogic import MyoPSLogic

# Of the intensities of a sequence: what is shown between black and white at first.
WINDOW_PERCENTILES = (1.0, 99.7)
LARGEST = 65535


def constants() -> dict[str, Any]:
    """What never changes: structures with labels and colors, in the order of drawing."""
    drawn = sorted(LABEL_VALUES, key=lambda name: (bool(STRUCTURES[name].seen_on), name == "mvo"))
    return {
        "labels": [
            {"name": n, "values": list(_drawn_values(n)), "color": STRUCTURES[n].color}
            for n in drawn
        ],
        "structures": [
            {"name": n, "title": STRUCTURES[n].short, "color": STRUCTURES[n].color}
            for n in CORRECTED
        ],
        "remoteColor": COLORS["remote"],
        "quantities": {name: row.title for name, row in QUANTITIES.items()},
    }


def _drawn_values(name: str) -> tuple[int, ...]:
    """Normal muscle is outlined with the disease that lies in it, as the wall of the ventricle."""
    return STRUCTURES["myocardium" if name == "normal_myocardium" else name].values


def images(case: Case | None) -> dict[str, Any]:
    """The sequences of a case as 16-bit pictures with the same slices, rows and columns."""
    if case is None:
        return {"shape": None, "sequences": []}
    order = [name for name in ASKED_SEQUENCES if name in case.images]
    return {
        "shape": list(case.geometry.array_shape),
        "spacing": list(case.geometry.spacing_mm),
        "sequences": [_picture(name, case.images[name]) for name in order],
    }


def _picture(name: str, image: np.ndarray) -> dict[str, Any]:
    low, high = float(image.min()), float(image.max())
    scale = LARGEST / (high - low) if high > low else 0.0
    counts = np.round((image - low) * scale).astype("<u2")
    window = [float(value) for value in np.percentile(counts, WINDOW_PERCENTILES)]
    return {
        "name": name,
        "title": SEQUENCE_TITLES[name],
        "window": window if window[1] > window[0] else [0.0, float(LARGEST)],
        "pixels": base64.b64encode(counts.tobytes()).decode("ascii"),
    }


def runs(plane: np.ndarray) -> list[int]:
    """A slice of labels (rows, columns) as label, count, label, count ..."""
    flat = plane.ravel()
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    counts = np.diff(np.append(starts, flat.size))
    return [int(v) for pair in zip(flat[starts], counts) for v in pair]


def state(logic: MyoPSLogic) -> dict[str, Any]:
    """Everything small that the page shows."""
    return {
        "study": _study(logic),
        "automatic": _automatic(logic),
        "correction": _correction(logic),
        "numbers": _numbers(logic),
    }


def _study(logic: MyoPSLogic) -> dict[str, Any]:
    study, clock = logic.study, logic.study.clock
    return {
        "entries": [list(entry) for entry in study.entries],
        "index": study.index,
        "status": study.status,
        "reader": study.reader,
        "reading": study.session,
        "seconds": None if clock is None else round(sum(clock.seconds.values())),
        "stages": {} if clock is None else {k: round(v) for k, v in clock.seconds.items()},
        "clicks": len(logic.correction.clickTimings),
        "saved": study.lastSaved,
    }


def _automatic(logic: MyoPSLogic) -> dict[str, Any]:
    automatic, task = logic.automatic, logic.automatic.task
    running = automatic.isRunning
    return {
        "ready": automatic.ready() if logic.study.index is not None else "Open a patient first.",
        "running": running,
        "fraction": task.fraction if running and task is not None else 0.0,
        "stage": task.stage if running and task is not None else "",
        "remaining": task.remainingSeconds if running and task is not None else None,
    }


def _correction(logic: MyoPSLogic) -> dict[str, Any]:
    correction = logic.correction
    proposal = correction.proposal
    return {
        "open": correction.session is not None,
        "structure": correction.structure,
        "reasons": {name: reason for name, _, reason in correction.structures()},
        "undo": correction.undoName,
        "redo": correction.redoName,
        "pending": correction.pendingClicks,
        "refiner": correction.refinerState,
        "status": correction.status,
        "clicks": clicks(logic),
        "box": _box(logic),
        "proposal": None if proposal is None else _slices_of(proposal),
        "wall_mm": proposal.mm if isinstance(proposal, WallOffer) else None,
        "suggestion": _suggestion(logic),
    }


def clicks(logic: MyoPSLogic) -> list[dict[str, Any]]:
    """The prompts that are shown: name, place on the case's grid, and sign."""
    prompts, case = logic.correction.prompts, logic.correction.case
    if prompts is None or case is None:
        return []
    found = []
    for positive, node in ((True, prompts.positiveNode), (False, prompts.negativeNode)):
        for index in range(node.GetNumberOfControlPoints()):
            ras = [0.0, 0.0, 0.0]
            node.GetNthControlPointPositionWorld(index, ras)
            depth, row, column = (float(v) for v in voxelFromWorld(case, ras))
            name = node.GetNthControlPointDescription(index)
            found.append(
                {
                    "id": name,
                    "slice": round(depth),
                    "row": round(row, 2),
                    "column": round(column, 2),
                    "positive": positive,
                }
            )
    return found


def _box(logic: MyoPSLogic) -> list[float] | None:
    """The box of the open correction in the current slice: slice, and two corners."""
    session, k = logic.correction.session, logic.correction.currentSlice
    found = None if session is None else session.corrections.get(k)
    if found is None or found.structure != logic.correction.structure:
        return None
    box = found.prompts.box
    return None if box is None else [k, box.row_0, box.column_0, box.row_1, box.column_1]


def _suggestion(logic: MyoPSLogic) -> dict[str, Any] | None:
    found = logic.correction.suggestion
    if found is None:
        return None
    return {"slice": found.slice_index, "row": found.row, "column": found.column}


def _numbers(logic: MyoPSLogic) -> dict[str, Any]:
    quantify = logic.quantify
    measured = quantify.measurements
    fwhm = {} if measured is None else measured.fwhm
    return {
        "masses": [
            {"name": name, "title": MEASURED[name].amount_title, **_mass(mass)}
            for name, mass in quantify.masses.items()
        ],
        "fwhm": [{"title": rule_title(s.result), **_mass(s.mass)} for s in fwhm.values()],
        "fwhmReason": None if measured is None else measured.fwhm_reason,
        "stale": bool(quantify.stale),
        "problem": quantify.problem,
        "warnings": list(quantify.qualityWarnings),
        "bullseye": _bullseye(logic),
        "landmarks": _landmarks(logic),
        "byHand": quantify.sector is not None or quantify.landmarks is not None,
    }


def _landmarks(logic: MyoPSLogic) -> list[dict[str, Any]]:
    """The insertions that the reader clicked, with the letter to draw."""
    said = logic.quantify.landmarks
    places = {} if said is None else {"A": said.anterior_insertion, "I": said.inferior_insertion}
    return [
        {"letter": letter, "slice": place.slice_index, "row": place.row, "column": place.column}
        for letter, place in places.items()
        if place is not None
    ]


def remote(mask: np.ndarray | None) -> Mapping[int, list[int]] | None:
    """Slice to the remote region as runs of 0 and 1, of slices that hold some of it."""
    if mask is None:
        return None
    found = np.flatnonzero(mask.any(axis=(1, 2)))
    return {int(index): runs(mask[index].astype(np.uint8)) for index in found}


def _mass(mass: TissueMass) -> dict[str, Any]:
    return {
        "g": mass.mass_g,
        "ml": mass.volume_ml,
        "percent": mass.percent_of_lv_mass,
        "reason": mass.reason,
    }


def _bullseye(logic: MyoPSLogic) -> dict[str, Any] | None:
    quantify = logic.quantify
    regional = None if quantify.measurements is None else quantify.measurements.regional
    if regional is None:
        return None
    quantity = quantify.bullsEyeQuantity
    return {
        "quantity": quantity,
        "title": QUANTITIES[quantity].title,
        "reason": regional.segments_reason,
        "segments": [_segment(one, quantity) for one in regional.segments],
    }


def _segment(segment: Any, quantity: Any) -> dict[str, Any]:
    value = segment_value(segment, quantity)
    return {
        "number": segment.number,
        "place": list(segment_place(segment.number)),
        "value": value,
        "color": None if value is None else ramp_color(quantity, value),
    }


def proposed(logic: MyoPSLogic) -> Mapping[int, list[int]] | None:
    """Slice to the label map of the proposal; None where nothing is proposed."""
    proposal = logic.correction.proposal
    if proposal is None:
        return None
    return {index: runs(proposal.labels[index]) for index in _slices_of(proposal)}


def proposed_structure(logic: MyoPSLogic) -> str:
    """The structure whose outline a proposal moves; the wall where that gives way."""
    if isinstance(logic.correction.proposal, WallOffer):
        return "normal_myocardium"
    return logic.correction.structure


def _slices_of(proposal: Proposal | WallOffer) -> list[int]:
    """Slices, from 0, in which something would change."""
    if isinstance(proposal, WallOffer):
        return [proposal.slice_index]
    return [one.slice_index for one in proposal.slices]
