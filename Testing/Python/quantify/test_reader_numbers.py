"""Quartiles, layers, T2 ratios, both LV masses and slice positions: values worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from circle_heart import circle_case, circle_labels, circle_segmentation, spacing_unknown
from ring_heart import RingHeart, Sector

from myops.case import Case, case_from_images
from myops.errors import InputError
from myops.geometry.grid import to_sitk
from myops.output.results import write_results
from myops.quantify.measure import measure
from myops.quantify.reader_tables import reader_rows
from myops.quantify.regional.analysis import regional
from myops.quantify.regional.orientation import Landmark, Landmarks
from myops.quantify.regional.transmurality import quartile_of, summarize
from myops.quantify.tables import plain, regional_rows, rows
from myops.report.reader_section import reader_section

FINE = RingHeart(slices=4, solid=1, spacing_mm=(0.25, 0.25, 8.0), narrowing=0.0)
BOTH = frozenset({"scar", "edema"})


def ring_case(labels: np.ndarray, **images: np.ndarray) -> Case:
    heart = RingHeart(slices=len(labels), spacing_mm=FINE.spacing_mm, narrowing=0.0)
    grid = heart.geometry()
    # An image of few values is refused as a label map, rows of one value are taken as filled up.
    noise = np.random.default_rng(0).uniform(0, 1e-3, labels.shape)
    found = {
        name: to_sitk((image + noise).astype(np.float32), grid) for name, image in images.items()
    }
    return case_from_images(found, "ring")


# Quartiles


@pytest.mark.parametrize(
    ("percent", "quartile"),
    [(0, 0), (0.5, 1), (25, 1), (25.1, 2), (50, 2), (50.5, 3), (75, 3), (75.1, 4), (100, 4)],
)
def test_a_class_ends_with_its_quarter(percent, quartile):
    assert quartile_of(percent) == quartile


def test_chords_are_counted_in_the_five_classes():
    found = summarize(np.array([0, 0, 10, 25, 40, 60, 80, 100, np.nan, 0]))
    # 3, 2, 1, 1 and 2 of 9 chords; their mean is 315 / 9 = 35 %.
    assert found.quartile_percent == pytest.approx([100 * n / 9 for n in (3, 2, 1, 1, 2)])
    assert found.mean_percent == pytest.approx(35)
    assert found.quartile == 2


def test_segments_have_the_class_of_their_mean():
    # Segment 2 is the first sector of 60 degrees: scar in half its angle and the inner 60 %: 30 %.
    labels = FINE.labels(Sector((0, 30), (0, 0.6)), Sector((60, 120), (0, 0.9)))
    found = regional(labels, FINE.geometry(), BOTH)
    by_number = {one.number: one.wall.transmurality for one in found.segments}
    assert by_number[2].mean_percent == pytest.approx(30, abs=1)
    assert by_number[2].quartile == 2
    assert by_number[2].quartile_percent == pytest.approx((50, 0, 0, 50, 0), abs=0.1)
    assert by_number[3].quartile == 4
    assert by_number[4].quartile == 0


def test_no_chords_have_no_class():
    assert summarize(np.array([np.nan])).quartile is None
    assert summarize(np.array([np.nan])).quartile_percent is None


# Layers


def test_scar_in_the_inner_third_is_all_of_that_layer_and_none_of_the_others():
    labels = FINE.labels(Sector((0, 360), (0, 1 / 3)))[:3]
    case = ring_case(labels, lge=np.where(labels == 2221, 800, 100) + (labels == 500) * 600)
    numbers = measure(case, replace(_segmentation(case, labels), assessed=frozenset({"scar"})))
    layers = {one.name: one for one in numbers.layers.layers}
    # Radii 20, 23.3, 26.7 and 30 mm: the areas of the thirds are as 13 : 15 : 17.
    assert [one.wall.percent_of_lv_mass for one in layers.values()] == pytest.approx(
        [100 * share / 45 for share in (13, 15, 17)], abs=0.5
    )
    shares = [one.tissues["scar"].percent_of_lv_mass for one in layers.values()]
    assert shares == pytest.approx([100, 0, 0], abs=2.5)
    grams = sum(one.tissues["scar"].mass_g for one in layers.values())
    assert grams == pytest.approx(numbers.tissues["scar"].mass_g)
    assert layers["inner third"].tissues["edema"].reason == "not assessed: there is no T2 image"


def _segmentation(case: Case, labels: np.ndarray):
    return replace(
        circle_segmentation(circle_case()),
        labels=labels,
        geometry=case.geometry,
        probabilities={},
        uncertainty=np.zeros(labels.shape, np.float32),
    )


def test_core_and_grey_zone_are_told_by_60_and_40_percent_of_the_maximum():
    labels = FINE.labels(Sector((0, 180), (0, 1 / 3)))[:3]
    wall, right = np.isin(labels, (200, 2221)), FINE.labels(Sector((0, 90), value=9))[:3] == 9
    # Maximum 1000: core from 600, grey zone from 400. The first quarter of the wall is 1000, the
    # second one 500, the rest 100.
    second = FINE.labels(Sector((90, 180), value=9))[:3] == 9
    lge = np.select([wall & right, wall & second, wall], [1000, 500, 100], 50).astype(float)
    case = ring_case(labels, lge=lge)
    numbers = measure(case, replace(_segmentation(case, labels), assessed=frozenset({"scar"})))
    for one in numbers.layers.layers:
        assert one.tissues["core"].percent_of_lv_mass == pytest.approx(25, abs=0.5)
        assert one.tissues["grey_zone"].percent_of_lv_mass == pytest.approx(25, abs=0.5)


def test_the_apical_cap_is_in_no_layer_and_said():
    labels = FINE.labels()
    found = regional(labels, FINE.geometry(), BOTH)
    cap = labels[3] == 200
    assert (found.layer_labels[3] == 0).all() and cap.sum() > 0
    ring = labels[:3] == 200
    assert (found.layer_labels[:3] > 0).sum() == pytest.approx(ring.sum(), rel=0.001)
    assert set(np.unique(found.layer_labels[:3][ring])) == {1, 2, 3}


def test_without_lge_only_edema_is_in_the_layers():
    labels = circle_labels(5)
    case = circle_case(labels, ("bssfp", "t2"))
    numbers = measure(case, circle_segmentation(case, labels))
    for one in numbers.layers.layers:
        missing = {name: mass.reason for name, mass in one.tissues.items() if mass.voxels is None}
        assert set(missing) == {"scar", "core", "grey_zone"}
        assert "no LGE image" in missing["core"]


# T2


def flat_t2(edema: float = 300.0, wall: float = 150.0, muscle: float = 100.0):
    """A circle heart of flat T2 signals, in a body of muscle."""
    labels = circle_labels(5)
    t2 = np.full(labels.shape, muscle)
    t2[np.isin(labels, (200, 2221))] = wall
    t2[labels == 1220] = edema
    # Rows of one value are taken as filled up, where nothing can be assessed.
    t2 += np.random.default_rng(0).uniform(-1e-4, 1e-4, labels.shape)
    return labels, circle_case(labels, changed={"t2": t2})


def test_edema_relative_to_remote_and_to_muscle():
    labels, case = flat_t2()
    click = Landmarks(skeletal_muscle=Landmark(2, 10.0, 80.0))
    found = measure(case, circle_segmentation(case, labels), landmarks=click).t2_ratio
    assert found.edema_to_remote == pytest.approx(2.0, rel=1e-5)
    assert found.edema_to_muscle == pytest.approx(3.0, rel=1e-5)
    wall, edema = np.isin(labels, (200, 2221)).sum(), (labels == 1220).sum()
    mean = (150 * wall + 300 * edema) / (wall + edema)
    assert found.myocardium_to_muscle == pytest.approx(mean / 100, rel=1e-5)
    assert found.reasons == {}


def test_without_a_click_there_is_no_ratio_to_muscle_and_the_reason_is_said():
    labels, case = flat_t2()
    found = measure(case, circle_segmentation(case, labels)).t2_ratio
    assert found.edema_to_muscle is None
    assert found.reasons["edema_to_muscle"] == "no place in skeletal muscle was given"


def test_segments_have_their_t2_relative_to_remote():
    labels = FINE.labels(Sector((0, 60), value=1220))
    t2 = np.where(labels == 1220, 330.0, 110.0) + (labels == 500) * 40
    lge = 100.0 + (labels == 500) * 500
    case = ring_case(labels, lge=lge, t2=t2)
    found = measure(case, _segmentation(case, labels)).t2_ratio
    assert found.segments[2] == pytest.approx(3.0, abs=0.05)
    assert found.segments[5] == pytest.approx(1.0, abs=0.01)


def test_remote_is_found_on_t2_where_there_is_no_lge():
    labels = circle_labels(5)
    case = circle_case(labels, ("bssfp", "t2"), changed={"t2": flat_t2()[1].images["t2"]})
    found = measure(case, circle_segmentation(case, labels)).t2_ratio
    assert found.edema_to_remote == pytest.approx(2.0, rel=1e-5)


def test_without_t2_there_are_no_ratios():
    case = circle_case(sequences=("lge",))
    assert measure(case, circle_segmentation(case)).t2_ratio is None


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((2, 48.0, 40.0), "meets the heart"),
        ((9, 10.0, 10.0), "click inside the image"),
        ((2, 200.0, 10.0), "click inside the image"),
    ],
)
def test_a_click_that_is_not_in_muscle_is_refused(place, words):
    labels, case = flat_t2()
    click = Landmarks(skeletal_muscle=Landmark(*place))
    with pytest.raises(InputError, match=f"expected a place in skeletal muscle.*{words}"):
        measure(case, circle_segmentation(case, labels), landmarks=click)


# Both LV masses


def test_scar_is_a_share_of_lv_mass_without_and_with_papillary_muscles_and_mvo():
    labels = circle_labels(5)
    labels[2][(labels[2] == 2221) & (np.indices((96, 96))[0] < 34)] = 2222
    case = circle_case(labels)
    papillary = np.zeros(labels.shape, bool)
    papillary[:, 45:50, 45:50] = True  # 25 voxels of muscle in the blood of each of 5 slices
    bssfp = np.where(labels == 500, 700.0, 300.0)
    bssfp[papillary] = 250.0
    case = replace(case, images={**case.images, "bssfp": bssfp})
    without, with_muscles = measure(case, circle_segmentation(case, labels)).enhanced
    wall = np.isin(labels, (200, 1220, 2221, 2222)).sum()
    scar, mvo = np.isin(labels, (2221, 2222)).sum(), (labels == 2222).sum()
    assert mvo > 0
    # A voxel of 1.5 x 1.5 x 10 mm is 0.0225 mL, 1.05 g/mL.
    assert without.lv_mass_g == pytest.approx(wall * 0.0225 * 1.05)
    assert with_muscles.lv_mass_g == pytest.approx((wall + 125) * 0.0225 * 1.05)
    assert without.scar_percent == pytest.approx(100 * scar / wall)
    assert with_muscles.scar_percent == pytest.approx(100 * scar / (wall + 125))
    assert without.scar_without_mvo_percent == pytest.approx(100 * (scar - mvo) / wall)


def test_muscles_that_cannot_be_told_from_blood_are_a_reason_and_not_an_error():
    case = circle_case()
    flat = np.full(case.geometry.array_shape, 300.0)
    case = replace(case, images={**case.images, "bssfp": flat})
    without, with_muscles = measure(case, circle_segmentation(case)).enhanced
    assert without.scar_percent is not None
    assert with_muscles.scar_percent is None
    assert "expected blood that is brighter than muscle" in with_muscles.reason


def test_without_lge_the_mass_is_given_and_the_share_is_not_assessed():
    case = circle_case(sequences=("bssfp", "t2"))
    without, _ = measure(case, circle_segmentation(case)).enhanced
    assert without.lv_mass_g > 0 and without.scar_percent is None
    assert without.reason == "not assessed: there is no LGE image"


# Positions, and where the numbers go


def test_slices_lie_where_the_header_places_them():
    # The circle heart's origin is (-60, -70, 20) mm, its slices are 10 mm apart along z.
    case = circle_case()
    numbers = measure(case, circle_segmentation(case))
    heights = [20.0, 30.0, 40.0, 50.0, 60.0]
    assert sorted(one.position_mm for one in numbers.slices) == pytest.approx(heights)
    for row in (*rows(numbers), *regional_rows(numbers)):
        of_slice = row["slice"] != "all"
        assert (row["slice_position_mm"] is not None) == of_slice
        if of_slice:
            index = int(row["slice"]) - 1
            assert row["slice_position_mm"] == numbers.slices[index].position_mm
    assert {one["position_mm"] for one in plain(numbers)["regional"]["slices"]} == set(heights)


def test_positions_are_missing_where_no_header_places_the_image():
    case = spacing_unknown(circle_case())
    numbers = measure(case, circle_segmentation(case))
    assert {one.position_mm for one in numbers.slices} == {None}
    assert {row["slice_position_mm"] for row in rows(numbers)} == {None}


def test_every_new_number_is_in_json_table_and_report(tmp_path):
    labels, case = flat_t2()
    numbers = measure(case, circle_segmentation(case, labels))
    files = write_results(
        tmp_path, case, circle_segmentation(case, labels), numbers, formats=("json", "csv")
    )
    values = json.loads(files["measurements.json"].read_text("utf-8"))
    assert values["t2_ratio"]["edema_to_remote"] == pytest.approx(2.0, rel=1e-5)
    assert [one["name"] for one in values["layers"]["layers"]] == [
        "inner third",
        "middle third",
        "outer third",
    ]
    assert len(values["enhanced"]) == 2
    text = files["measurements.csv"].read_text("utf-8")
    assert text.splitlines()[0].endswith(",note,slice_position_mm")
    for structure, quantity, value, *_ in reader_rows(numbers):
        assert f",{structure},{quantity},{'' if value is None else value}," in text
    section = reader_section(numbers)
    cells = [
        cell for block in section.blocks if hasattr(block, "rows") for r in block.rows for cell in r
    ]
    assert {"Inner third", "Edema to remote myocardium", "2.00"} <= set(cells)
    assert "LV wall and papillary muscles" in cells


def test_an_empty_wall_has_no_layers_and_no_section():
    case = circle_case()
    numbers = measure(case, circle_segmentation(case, np.zeros_like(circle_labels())))
    assert numbers.layers.reason == "no myocardium was found"
    assert numbers.layers.layers == ()
    assert reader_section(numbers) is None
