"""What evaluate_real.py measures, on hearts whose numbers are known by hand."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from circle_heart import circle_case, circle_labels, circle_lge, circle_segmentation, sitk_image

from myops.datasets import LabeledCase
from myops.errors import InputError
from myops.labels import MVO, MYOPS

FOLDER = Path(__file__).resolve().parents[2] / "Scripts" / "measure"
DRAWN = np.ones(5, bool)


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """Give Testing/Scripts/measure/evaluate_real.py as a module."""
    sys.path.insert(0, str(FOLDER))
    spec = importlib.util.spec_from_file_location("evaluate_real", FOLDER / "evaluate_real.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def measures(script: ModuleType) -> ModuleType:
    """Give Testing/Scripts/measure/real_measures.py as a module."""
    return sys.modules["real_measures"]


def small_scar() -> np.ndarray:
    """The circle heart with the upper half of its scar called normal."""
    labels = circle_labels()
    plane = labels == 2221
    plane[:, :, 48:] = False
    labels[plane] = 200
    return labels


def emidec_heart() -> LabeledCase:
    """The circle heart as a case of an LGE data set."""
    truth = circle_labels()
    image = sitk_image(circle_lge(truth))
    parts = frozenset({"myocardium", "blood_pool", "scar"})
    return LabeledCase("emidec", "circle", {"lge": image}, truth, DRAWN, parts)


def test_thresholds_find_the_bright_scar_inside_the_expert_s_contours(measures):
    truth = circle_labels()
    found = measures.threshold_dice(circle_case(), truth, truth, DRAWN, by_expert=True)
    assert set(found) == set(measures.SHOWN)
    # Scar 900 against 80-120: a cut in the middle separates them exactly.
    assert found["fwhm_between_minimum_and_maximum_volume"] == 1.0
    assert found["fwhm_remote_referenced_slice"] == 1.0
    assert found["otsu_volume"] == 1.0


def test_thresholds_inside_our_contours_cannot_find_scar_outside_them(measures):
    truth, ours = circle_labels(), circle_labels()
    ours[1:3] = 0  # our ventricle misses two of the three slices with scar
    found = measures.threshold_dice(circle_case(), ours, truth, DRAWN, by_expert=False)
    assert found["otsu_volume"] == pytest.approx(2 * 1 / (1 + 3), abs=0.01)


def test_thresholds_without_our_contours_or_without_scar(measures):
    truth = circle_labels()
    nothing = np.zeros_like(truth)
    found = measures.threshold_dice(circle_case(), nothing, truth, DRAWN, by_expert=False)
    assert set(found.values()) == {0.0}
    truth[truth == 2221] = 200
    found = measures.threshold_dice(circle_case(), nothing, truth, DRAWN, by_expert=False)
    assert set(found.values()) == {None}


class Knowing:
    """A corrector that answers the first click in a slice with the true scar."""

    def __init__(self, truth: np.ndarray) -> None:
        self.truth = truth

    def set_case(self, case, segmentation) -> None:
        self.case = case

    def encode(self, slices=None) -> None:
        pass

    def predict(self, prompts, labels):
        return SimpleNamespace(mask=self.truth[prompts.slice_index])


def test_clicks_are_counted_in_every_slice_and_reported_after_1_3_and_5(measures):
    truth, case = circle_labels(), circle_case()
    automatic = circle_segmentation(case, small_scar())
    found = measures.dice_after_clicks(case, automatic, truth, DRAWN, Knowing(truth == 2221))
    assert found == {1: 1.0, 3: 1.0, 5: 1.0}


def rows(*pairs: tuple[float, float]) -> list[dict[str, object]]:
    return [
        {"scar_percent": ours, "scar_percent_expert": expert, "infarct": expert > 0}
        for ours, expert in pairs
    ]


def test_scar_in_percent_is_compared_as_computed_by_hand(measures):
    found = measures.scar_summary(rows((1.0, 0.0), (3.0, 0.0), (10.0, 20.0), (30.0, 32.0)))
    assert found["false_scar_percent_without_infarct"] == [1.0, 3.0]
    assert found["false_scar_percent_median"] == 2.0
    assert found["scar_percent_bias"] == pytest.approx(-6.0)  # of the two infarcts
    assert found["scar_percent_bias_sd"] == pytest.approx(np.std([-10, -2], ddof=1), abs=0.01)
    x, y = np.array([1, 3, 10, 30.0]), np.array([0, 0, 20, 32.0])
    ccc = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert found["scar_percent_ccc"]["value"] == pytest.approx(ccc, abs=1e-3)


def test_too_few_cases_have_no_concordance_but_a_reason(measures):
    found = measures.scar_summary(rows((1.0, 0.0)))
    assert found["scar_percent_ccc"]["value"] is None and found["scar_percent_ccc"]["reason"]
    assert found["scar_percent_bias"] is None and found["scar_percent_bias_sd"] is None


def test_scar_percent_of_the_circle_heart(measures):
    labels = circle_labels()
    wall = np.isin(labels, (200, 1220, 2221)).sum()
    assert measures.scar_percent(labels) == pytest.approx(100 * (labels == 2221).sum() / wall)
    assert measures.scar_percent(np.zeros_like(labels)) == 0


def test_a_heart_that_is_not_found_counts_as_zero_everywhere(script, monkeypatch):
    def refuse(*_):
        raise InputError("no heart found")

    monkeypatch.setattr(script, "segment", refuse)
    row, found = script.evaluate(emidec_heart(), None, Knowing(circle_labels() == 2221))
    assert not found.any() and row["heart_found"] is False
    assert row["lv_region_dice"] == 0 and row["scar_dice"] == 0
    assert row["otsu_volume_in_our_contours_dice"] == 0.0
    assert row["otsu_volume_in_expert_contours_dice"] == 1.0
    assert row["scar_after_3_clicks_dice"] == 0.0


@pytest.mark.slow
def test_tables_and_pictures_are_written(script, monkeypatch, tmp_path):
    heart = emidec_heart()
    monkeypatch.setattr(script, "segment", lambda case, _: circle_segmentation(case, small_scar()))
    row, found = script.evaluate(heart, None, Knowing(circle_labels() == 2221))
    assert 0 < row["scar_dice"] < 1 and row["scar_after_1_clicks_dice"] == 1.0
    script.write([(heart, found, row)], tmp_path)
    text = (tmp_path / "summary.md").read_text("utf-8")
    assert "| scar after 3 clicks, Dice | 1.000 |" in text
    assert "| otsu volume in expert contours, Dice | 1.000 |" in text
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary["emidec"]["lv_region_dice"]["mean"] == 1.0
    assert {path.name for path in tmp_path.glob("*.png")} == {
        f"emidec_{place}.png" for place in ("best", "median", "worst")
    }
    assert sitk.ReadImage(str(tmp_path / "emidec_best.png")).GetSize()[0] > 100


def test_grams_by_the_known_volume_of_a_voxel(measures):
    truth, found = np.zeros((1, 2, 500), np.uint16), np.zeros((1, 2, 500), np.uint16)
    truth[0, 0], found[0, 0, :400] = MYOPS["scar"], MYOPS["scar"]
    truth[0, 1], found[0, 1] = MYOPS["normal_myocardium"], MYOPS["normal_myocardium"]
    # 500 voxels of 19.99 mm^3 are 9.995 mL, at 1.05 g/mL 10.49 g.
    assert measures.masses_g("Case_P092", found, truth) == {
        "scar_g": 8.40,
        "scar_expert_g": 10.49,
        "myocardium_g": 18.89,
        "myocardium_expert_g": 20.99,
    }
    assert measures.masses_g("Case_P029", found, truth) == {}


def test_error_and_bias_of_masses_are_those_of_the_cases_that_have_any(measures):
    rows = [
        {"scar_g": 8.0, "scar_expert_g": 10.0, "myocardium_g": 100.0, "myocardium_expert_g": 90.0},
        {"scar_g": 13.0, "scar_expert_g": 12.0, "myocardium_g": 80.0, "myocardium_expert_g": 80.0},
        {"scar_percent": 3.0},
    ]
    assert measures.mass_summary(rows) == {
        "masses": 2,
        "scar_g_error": 1.5,
        "scar_g_bias": -0.5,
        "myocardium_g_error": 5.0,
        "myocardium_g_bias": 5.0,
    }
    assert measures.mass_summary(rows[2:]) == {"masses": 0}


def test_obstruction_counts_where_there_is_at_least_one_milliliter(measures):
    truth, found = circle_labels(), circle_labels()
    truth[2, 30:40, 40:50] = MVO
    found[2, 30:40, 40:45] = MVO
    row = measures.mvo_agreement(found, truth, voxel_ml=0.02)
    assert row == {"mvo_dice": pytest.approx(2 / 3), "mvo_ml": 1.0, "mvo_expert_ml": 2.0}
    little = {"mvo_dice": 0.0, "mvo_ml": 0.0, "mvo_expert_ml": 0.9}
    none = {"mvo_dice": None, "mvo_ml": 0.4, "mvo_expert_ml": 0.0}
    assert measures.mvo_summary([row, little, none]) == {
        "mvo_cases": 1,
        "mvo_of_1_ml_dice_mean": 0.667,
        "false_mvo_ml_worst": 0.4,
    }
