"""The JSON schemas of Docs/reference/schemas describe the files that the program really writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from circle_heart import circle_case, circle_labels, circle_segmentation, spacing_unknown
from disc_refiner import DiscRefiner

from myops.output.results import write_results
from myops.quantify.measure import measure
from myops.quantify.regional.orientation import Landmark, Landmarks
from myops.quantify.thresholds.methods import ConventionalSettings
from myops.refine.record import from_record, to_record
from myops.refine.session import Session
from myops.weights.packs import shipped_packs
from myops.worklist.casefile import CaseFile, write_case_file
from myops.worklist.timing import ClickRecord

# Where the right ventricle meets the circle heart.
CLICKED = Landmarks(Landmark(1, 41, 32), apex="first")
SCHEMAS = Path(__file__).parents[3] / "Docs" / "reference" / "schemas"


def schema(name: str) -> dict[str, Any]:
    """A schema of the repository, by the name of the file that it describes."""
    return json.loads((SCHEMAS / f"{name}-1.json").read_text("utf-8"))


def closed(part: Any) -> Any:
    """The same schema, but no object may have a key that is not described."""
    if isinstance(part, list):
        return [closed(one) for one in part]
    if not isinstance(part, dict):
        return part
    # Conditions repeat keys of the object that they stand in.
    kept = {k: v if k in ("if", "then", "allOf") else closed(v) for k, v in part.items()}
    if "properties" in part and part.get("type") == "object":
        kept.setdefault("additionalProperties", False)
    return kept


def troubles(values: Any, of: dict[str, Any]) -> list[str]:
    found = jsonschema.Draft202012Validator(of).iter_errors(values)
    return [f"{error.json_path}: {error.message[:200]}" for error in found]


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


# What the program writes


def written_measurements(folder, sequences=("bssfp", "lge", "t2"), landmarks=None, change=None):
    labels = circle_labels(3)
    case = circle_case(labels, sequences)
    case = case if change is None else change(case)
    segmentation = circle_segmentation(case, labels)
    settings = ConventionalSettings(manual_threshold=500.0)
    found = measure(case, segmentation, settings, landmarks=landmarks)
    paths = write_results(folder, case, segmentation, found, formats=["json"])
    return read(paths["measurements.json"])


def session() -> Session:
    """A session in which everything happens that can happen."""
    case = circle_case()
    made = Session(DiscRefiner(), case, circle_segmentation(case))
    made.click("scar", 2, 64, 48)
    made.click("scar", 2, 64, 60, positive=False)
    made.box("edema", 3, (62, 46, 65, 50))
    made.move_click(2, 0, 63, 48)
    made.delete_click(2, 1)
    made.undo()
    made.redo()
    painted = made.labels.copy()
    painted[1, 40:44, 48] = 2221
    made.accept_labels(painted, "paint")
    return made


def case_values(study: Path) -> Any:
    """A case that was opened, corrected and approved."""
    done = CaseFile(
        "P 1",
        "AB",
        clicks=(ClickRecord("scar", 3, total_ms=22.5), ClickRecord("edema", 2, False, "move")),
        masses_g={"scar": 12.25, "edema": None},
        methods_g={"fwhm": 14.0, "sd5": None},
        images_sha256={"lge": "a" * 64},
        model={"prsn": "b" * 64},
    )
    return read(write_case_file(study, done.with_status("automatic").with_status("approved")))


def session_values() -> Any:
    return json.loads(json.dumps(to_record(session()), allow_nan=False))


@pytest.mark.parametrize("name", ["measurements", "session", "case"])
def test_a_schema_is_one_of_its_dialect_and_names_its_version(name: str) -> None:
    found = schema(name)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["$schema"].endswith("2020-12/schema")
    assert found["$id"].endswith(f"/Docs/reference/schemas/{name}-1.json")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"landmarks": CLICKED},
        {"sequences": ("bssfp", "lge")},
        {"sequences": ("lge",)},
        {"sequences": ("bssfp", "t2")},
        {"change": spacing_unknown},
    ],
    ids=["complete", "with segments", "without T2", "LGE alone", "without LGE", "no spacing"],
)
def test_measurements_fit_their_schema_and_hold_nothing_else(options, tmp_path: Path) -> None:
    values = written_measurements(tmp_path, **options)
    assert troubles(values, closed(schema("measurements"))) == []


def test_segments_and_rules_of_two_parts_are_among_what_is_tested(tmp_path: Path) -> None:
    values = written_measurements(tmp_path, landmarks=CLICKED)
    assert len(values["regional"]["segments"]) == 17
    assert any(rule["grey_zone"] is not None for rule in values["conventional"].values())


def test_a_session_fits_its_schema_and_holds_nothing_else() -> None:
    values = session_values()
    assert {step["action"] for step in values["steps"]} == {
        *("prompt", "move", "delete", "accept", "undo", "redo")
    }
    assert troubles(values, closed(schema("session"))) == []


def test_a_session_written_by_hand_fits_too() -> None:
    values = {"steps": [{"structure": "scar", "slice_index": 5, "points": [[120, 96, True]]}]}
    assert from_record(values).steps[0].action == "prompt"
    assert troubles(values, schema("session")) == []


def test_a_case_fits_its_schema_and_holds_nothing_else(tmp_path: Path) -> None:
    assert troubles(case_values(tmp_path), closed(schema("case"))) == []


# What it would never write


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (("tissues", "scar", "mass_g"), -1.0),
        (("tissues", "scar", "percent_of_lv_mass"), 101.0),
        (("tissues", "scar", "mass_g"), "12.5"),
        (("tissues", "mvo", "reason"), None),
        (("density_g_per_ml",), 1.06),
        (("spacing_mm_xyz",), [1.0, 1.0]),
        (("labels_sha256",), "abc"),
        (("remote",), {"reason": None}),
        (("mean_uncertainty_in_myocardium",), 1.5),
        (("slices", 0, "number"), 0),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_wrong_measurements_do_not_fit(place, wrong, tmp_path: Path) -> None:
    values = written_measurements(tmp_path)
    assert troubles(values, schema("measurements")) == []
    part = values
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = wrong
    assert troubles(values, schema("measurements"))


def test_the_terms_of_the_weights_fit_the_schema(tmp_path: Path) -> None:
    case, pack = circle_case(circle_labels(3)), shipped_packs()["synthetic"].to_dict()
    segmentation = replace(circle_segmentation(case, circle_labels(3)), pack=pack)
    found = measure(case, segmentation)
    paths = write_results(tmp_path, case, segmentation, found, formats=["json"])
    values = read(paths["measurements.json"])
    assert values["weights"] == pack
    assert troubles(values, closed(schema("measurements"))) == []


def test_measurements_without_their_tissues_do_not_fit(tmp_path: Path) -> None:
    values = written_measurements(tmp_path)
    del values["tissues"]
    assert troubles(values, schema("measurements")) == ["$: 'tissues' is a required property"]


@pytest.mark.parametrize(
    "step",
    [
        {"structure": "scar", "slice_index": 5},
        {"structure": "scar", "slice_index": 5, "points": []},
        {"structure": "scar", "slice_index": 5, "points": [[120, 96]]},
        {"structure": "scar", "slice_index": 5, "points": [[120, 96, 1]]},
        {"structure": "scar", "slice_index": -1, "points": [[120, 96, True]]},
        {"action": "move", "slice_index": 5, "index": 0, "row": 3},
        {"action": "paint", "slice_index": 5},
        {"action": "accept", "name": "paint"},
    ],
    ids=str,
)
def test_a_wrong_step_does_not_fit_the_schema_of_a_session(step) -> None:
    assert troubles({"steps": [step]}, schema("session"))


def test_a_session_of_a_newer_format_does_not_fit() -> None:
    assert troubles(session_values() | {"format": 2}, schema("session"))


@pytest.mark.parametrize(
    "change",
    [
        {"status": "finished"},
        {"seconds": {"lunch": 3.0}},
        {"masses_g": {"scar": -1.0}},
        {"undos": 1.5},
        {"format": 2},
    ],
    ids=str,
)
def test_a_wrong_case_does_not_fit(change, tmp_path: Path) -> None:
    values = case_values(tmp_path) | change
    assert len(troubles(values, schema("case"))) == 1
