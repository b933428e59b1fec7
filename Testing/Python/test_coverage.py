"""Not assessed is not zero: a T2 or an LGE that shows a part of the heart only."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from circle_heart import (
    circle_case,
    circle_labels,
    circle_lge,
    circle_segmentation,
    sitk_image,
)
from circle_report import rendered, words
from ring_heart import BOTH, RingHeart, Sector

from myops.case import case_from_images
from myops.coverage import hidden_tissues, reasons_here, reasons_of_heart, shown
from myops.labels import MYOPS
from myops.output.results import write_results
from myops.quantify.label_map import measure_label_map
from myops.quantify.measure import measure
from myops.quantify.regional import tables as regional_tables
from myops.quantify.regional.analysis import regional
from myops.quantify.tables import csv_text, plain
from myops.quantify.tables import rows as all_rows
from myops.report.bullseye import segment_value
from myops.report.panels import make_tiles

SLICE_G = 1.5 * 1.5 * 10 / 1000 * 1.05


def t2_array(labels: np.ndarray) -> np.ndarray:
    swollen = 150 + 200 * np.isin(labels, (1220, 2221)) + circle_lge(labels, 2) / 9
    return swollen.astype(np.float32)


def short_t2_case(slices: int = 3):
    """The circle heart of five slices whose T2 has the first `slices` of them alone."""
    labels = circle_labels()
    images = {"lge": sitk_image(circle_lge(labels)), "t2": sitk_image(t2_array(labels)[:slices])}
    return case_from_images(images, "short T2"), labels


def measured(case, labels):
    return measure(case, circle_segmentation(case, labels))


def test_a_t2_of_three_slices_gives_edema_there_and_no_total():
    case, labels = short_t2_case(3)
    found = measured(case, labels)
    for name in ("edema", "scar_or_edema"):
        mass = found.tissues[name]
        assert mass.voxels is mass.volume_ml is mass.mass_g is mass.percent_of_lv_mass is None
        assert "T2 does not show the whole LV (not slice 4, 5)" in mass.reason
    here = found.slices[1].tissues["edema"]
    assert here.mass_g == pytest.approx(np.sum(labels[1] == 1220) * SLICE_G)
    for one in found.slices[3:]:
        assert one.tissues["edema"].mass_g is None and one.tissues["edema"].voxels is None
        assert one.tissues["edema"].reason == "not assessed: no T2 here"
        assert one.tissues["scar_or_edema"].percent_of_lv_mass is None
    assert found.tissues["scar"].mass_g == pytest.approx(np.sum(labels == 2221) * SLICE_G)
    assert any(w.startswith("Edema: T2 does not show the whole LV") for w in found.warnings)


def test_the_salvage_index_and_the_regions_lack_what_the_t2_does_not_show():
    case, labels = short_t2_case(3)
    found = measured(case, labels).regional
    assert found.salvage.index is found.salvage.area_at_risk_percent is None
    assert "T2 does not show the whole LV" in found.salvage.reason
    assert found.whole.edema_g is found.whole.edema_percent is None
    assert found.whole.scar_or_edema_percent is None and found.whole.scar_percent > 0
    assert [one.wall.edema_g is None for one in found.slices] == [False] * 3 + [True] * 2
    assert found.slices[4].wall.reasons["edema"] == "not assessed: no T2 here"


def test_every_row_of_both_tables_says_why_it_is_empty():
    case, labels = short_t2_case(3)
    found = measured(case, labels)
    texts = (csv_text(all_rows(found)), csv_text(regional_tables.rows(found.regional, "case")))
    for text in texts:
        rows = [
            row
            for row in csv.DictReader(io.StringIO(text))
            if "edema" in f"{row['structure']} {row['quantity']}"
            and row["slice"] in ("all", "4", "5")
            and row["structure"] != "t2"  # signals of the slices that have one
        ]
        assert rows
        assert all(row["value"] == "" and "T2" in row["note"] for row in rows), rows
    assert (
        json.loads(json.dumps(plain(found), allow_nan=False))["tissues"]["edema"]["mass_g"] is None
    )


def test_segments_that_the_t2_does_not_reach_have_no_edema_and_a_note():
    heart = RingHeart()
    labels = heart.labels(Sector((0, 360), (0.5, 1.0), value=MYOPS["edema"]))
    hidden = np.zeros(labels.shape, bool)
    hidden[5:] = True
    found = regional(labels, heart.geometry(), BOTH, hidden={"edema": hidden})
    whole = regional(labels, heart.geometry(), BOTH)
    levels = {one.number: one.wall.edema_percent is None for one in found.segments}
    assert not any(levels[n] for n in range(1, 7)), "basal slices are shown"
    assert all(levels[n] for n in range(13, 18)), "apical slices are not"
    assert "no T2 here" in found.segments[14].note and found.segments[0].note == ""
    assert segment_value(found.segments[14], "edema") is None
    assert found.segments[0].wall == whole.segments[0].wall
    assert found.segments[14].wall.scar_percent == 0.0


def test_a_t2_that_cuts_through_the_wall_in_its_plane_counts_as_missing_there():
    labels = circle_labels()
    narrow = sitk_image(t2_array(labels))[:48]  # the columns up to the heart's middle
    case = case_from_images({"lge": sitk_image(circle_lge(labels)), "t2": narrow}, "narrow")
    found = measured(case, labels)
    assert found.tissues["edema"].mass_g is None
    reasons = [one.tissues["edema"].reason for one in found.slices]
    wall = np.isin(labels[0], (200, 1220, 2221))
    percent = round(100 * np.sum(wall[:, :48]) / np.sum(wall))
    assert reasons == [f"not assessed: T2 shows only {percent} % of the wall here"] * 5
    assert found.regional.salvage.index is None


def test_one_voxel_at_the_edge_of_the_field_is_rounding_and_not_missing():
    wall = np.ones((1, 10, 20), bool)
    hidden = np.zeros(wall.shape, bool)
    hidden[0, 0, :2] = True  # 2 of 200 are 1 %
    assert reasons_of_heart({"edema": hidden}, wall) == {}
    hidden[0, 0, 2] = True
    assert set(reasons_of_heart({"edema": hidden}, wall)) == {"edema", "scar_or_edema"}
    assert "shows only 98 %" in reasons_here({"edema": hidden}, wall)["edema"]


@pytest.mark.parametrize("filled", [0.0, -1.0, 37.5])
def test_slices_that_a_program_has_filled_up_are_no_t2(filled):
    labels = circle_labels()
    t2 = t2_array(labels)
    t2[3:] = filled
    case = circle_case(labels, changed={"t2": t2})
    assert case.covered["t2"].all(), "the header says that T2 is there"
    found = measured(case, labels)
    assert found.tissues["edema"].mass_g is None
    assert found.slices[3].tissues["edema"].reason == "not assessed: no T2 here"


def test_columns_that_a_program_has_filled_up_are_no_t2():
    labels = circle_labels()
    t2 = t2_array(labels)
    t2[2, :, 48:] = 0
    case = circle_case(labels, changed={"t2": t2})
    found = measured(case, labels)
    assert found.tissues["edema"].mass_g is None
    assert [one.tissues["edema"].voxels is None for one in found.slices] == [0, 0, 1, 0, 0]


def test_dark_air_and_zero_borders_beside_the_heart_hide_nothing():
    labels = circle_labels()
    t2 = t2_array(labels)
    t2[:, :20] = t2[:, :, :10] = 0
    found = measured(circle_case(labels, changed={"t2": t2}), labels)
    assert found.tissues["edema"].mass_g == pytest.approx(np.sum(labels == 1220) * SLICE_G)


def test_a_t2_beyond_the_heart_may_lack_what_holds_no_muscle():
    labels = circle_labels(7)
    labels[5:] = 0
    images = {"lge": sitk_image(circle_lge(labels)), "t2": sitk_image(t2_array(labels)[:5])}
    case = case_from_images(images, "whole LV")
    found = measured(case, labels)
    assert found.tissues["edema"].mass_g == pytest.approx(np.sum(labels == 1220) * SLICE_G)
    assert found.regional.salvage.index is not None


def lge_of_some_slices():
    """bSSFP gives the grid, the LGE covers slices 2 to 4; beyond them its array is filled."""
    labels = circle_labels()
    case = circle_case(labels)
    covered = np.ones(labels.shape, bool)
    covered[[0, 4]] = False
    lge = np.where(covered, case.images["lge"], case.images["lge"].min())
    return replace(
        case,
        reference="bssfp",
        images={**case.images, "lge": lge},
        covered={**case.covered, "lge": covered},
    ), labels


def test_an_lge_of_some_slices_gives_scar_and_thresholds_there_and_no_total():
    case, labels = lge_of_some_slices()
    found, whole = measured(case, labels), measured(circle_case(labels), labels)
    assert found.tissues["scar"].mass_g is None
    assert "LGE does not show the whole LV (not slice 1, 5)" in found.tissues["scar"].reason
    assert found.tissues["edema"].mass_g == whole.tissues["edema"].mass_g
    for name, scar in found.methods.items():
        assert scar.mass.mass_g is None and scar.dice_with_scar is None, name
        assert found.slices[0].fwhm[name].reason == "not assessed: no LGE here"
        assert found.slices[2].fwhm[name].mass_g == pytest.approx(whole.slices[2].fwhm[name].mass_g)
    assert found.regional.whole.transmurality is None
    assert found.regional.surface.infarct_cm2 is None
    assert found.regional.slices[0].infarct_endocardium_mm is None
    assert found.regional.slices[2].infarct_endocardium_mm > 0


def test_remote_myocardium_is_never_looked_for_where_there_is_no_lge():
    case, labels = lge_of_some_slices()
    found = measured(case, labels)
    assert not found.remote.mask[[0, 4]].any()
    assert found.remote.mean == pytest.approx(
        measured(circle_case(labels), labels).remote.mean, rel=0.02
    )


def test_the_report_says_which_slices_lack_the_t2():
    case, labels = short_t2_case(3)
    segmentation = circle_segmentation(case, labels)
    found = measure(case, segmentation)
    text = words(rendered(case, segmentation, found, make_tiles(case, segmentation, found)))
    assert "edema not assessed in every slice" in text
    assert "T2 does not show the whole LV (not slice 4, 5)" in text
    assert "edema 0.0" not in text and "no edema" in text  # the first slice, which T2 shows


@pytest.mark.slow
def test_the_files_of_a_result_hold_no_total_that_lacks_slices(tmp_path):
    case, labels = short_t2_case(3)
    segmentation = circle_segmentation(case, labels)
    write_results(tmp_path / "out", case, segmentation, measure(case, segmentation))
    written = json.loads((tmp_path / "out" / "measurements.json").read_text(encoding="utf-8"))
    assert written["tissues"]["edema"]["mass_g"] is None
    assert written["regional"]["salvage"]["index"] is None
    assert written["slices"][4]["tissues"]["edema"]["mass_g"] is None


def test_a_label_map_of_another_program_is_measured_the_same_way(tmp_path):
    case, labels = short_t2_case(3)
    path = tmp_path / "labels.nii.gz"
    sitk.WriteImage(sitk_image(labels), str(path))
    found = measure_label_map(case, path, methods=["sd5"])
    assert found.tissues["edema"].mass_g is None
    assert found.tissues["lv_myocardium"].mass_g == pytest.approx(
        np.isin(labels, (200, 1220, 2221)).sum() * SLICE_G
    )


def test_labels_without_a_t2_at_all_count_as_they_were_drawn():
    labels = circle_labels()
    case = circle_case(labels, ("lge",))
    segmentation = replace(circle_segmentation(case, labels), assessed=BOTH)
    assert measure(case, segmentation).tissues["edema"].mass_g > 0


def test_shown_is_the_field_of_view_without_what_was_filled_up():
    labels = circle_labels()
    t2 = t2_array(labels)
    t2[0] = 4
    t2[1, :7] = 4
    case = circle_case(labels, changed={"t2": t2})
    seen = shown(case, "t2")
    assert not seen[0].any() and not seen[1, :7].any() and seen[1, 7:].all() and seen[2:].all()
    assert set(hidden_tissues(case)) == {"edema"}
    assert hidden_tissues(circle_case(labels)) == {}
