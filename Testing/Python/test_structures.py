"""The table of structures, and that everything which speaks of structures follows it."""

import re
from pathlib import Path

import numpy as np
import pytest

from myops import coverage, labels
from myops.errors import InputError
from myops.evaluation import metrics, region_growing
from myops.io import seg_nrrd
from myops.quantify import mass
from myops.refine import rules, state_tables
from myops.refine.prompts import STRUCTURES as PROMPTED
from myops.report import colors, montage, panels, pdf
from myops.sequences import NETWORK_SEQUENCES, SEQUENCES
from myops.structures import (
    ASSESSABLE,
    COMPARED,
    CORRECTED,
    DISEASE,
    LABEL_VALUES,
    MEASURED,
    NETWORK_TISSUES,
    STRUCTURES,
    Structure,
    assessed_by,
    missing_image,
    rgb_of,
)

PACKAGE = Path(labels.__file__).parent
# One voxel of background and of each label of MyoPS 2020, and one of MVO.
VOXELS = np.array([0, 200, 500, 600, 1220, 2221, 2222])


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("normal_myocardium", [200]),
        ("blood_pool", [500]),
        ("right_ventricle", [600]),
        ("edema", [1220]),
        ("scar", [2221, 2222]),
        ("mvo", [2222]),
        ("scar_or_edema", [1220, 2221, 2222]),
        ("myocardium", [200, 1220, 2221, 2222]),
        ("lv_region", [200, 500, 1220, 2221, 2222]),
    ],
)
def test_a_voxel_counts_for_everything_that_it_lies_in(name, held):
    assert VOXELS[STRUCTURES[name].mask(VOXELS)].tolist() == held
    assert VOXELS[getattr(labels, name)(VOXELS)].tolist() == held


def test_the_label_values_are_those_of_myops_2020_and_one_of_our_own():
    assert dict(labels.MYOPS) == {
        "normal_myocardium": 200,
        "blood_pool": 500,
        "right_ventricle": 600,
        "edema": 1220,
        "scar": 2221,
    }
    assert labels.MVO == 2222


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("scar", "not assessed: there is no LGE image"),
        ("edema", "not assessed: there is no T2 image"),
        ("scar_or_edema", "not assessed: the union needs both an LGE and a T2 image"),
        ("mvo", "not assessed: the label map marks no microvascular obstruction apart from scar"),
        ("myocardium", ""),
    ],
)
def test_why_there_is_no_number_follows_from_what_shows_it(name, words):
    assert STRUCTURES[name].not_assessed == words


def test_a_structure_that_no_network_knows_may_also_be_missing_because_nobody_drew_it():
    row = Structure("fat", "Fat", "Fat", "#ffffff", 2300, "myocardium", ("t2",))
    assert row.not_assessed == "not assessed: there is no T2 image, or nobody has drawn it"


def test_scar_is_assessed_on_lge_and_edema_on_t2():
    assert assessed_by(("bssfp", "lge", "t2")) == {"scar", "edema"}
    assert assessed_by(("lge",)) == {"scar"}
    assert assessed_by(("bssfp",)) == frozenset()
    assert missing_image("mvo", frozenset({"edema"})) == "an LGE image"
    assert missing_image("edema", frozenset({"scar"})) == "a T2 image"
    assert missing_image("myocardium", frozenset()) == ""


def test_a_color_is_red_green_and_blue_from_0_to_1():
    assert rgb_of("#ff6a00") == pytest.approx((1.0, 106 / 255, 0.0))


def test_names_values_and_places_in_the_table_fit_together():
    values = list(LABEL_VALUES.values())
    assert len(set(values)) == len(values)
    for row in STRUCTURES.values():
        assert row.part_of is None or row.part_of in STRUCTURES
        assert set(row.seen_on) <= set(SEQUENCES)
        assert re.fullmatch("#[0-9a-f]{6}", row.color) and row.title[0].isupper()
        assert row.value is not None or row.parts, f"{row.name} holds no voxel"


# Through every consumer


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_structure_has_a_color_a_name_and_a_line_in_pictures(name):
    assert colors.COLORS[name] == STRUCTURES[name].color
    assert colors.NAMES[name] == STRUCTURES[name].title
    assert name in montage.LINES


@pytest.mark.parametrize("name", LABEL_VALUES)
def test_every_label_is_read_kept_and_written(name):
    value = LABEL_VALUES[name]
    assert labels.to_known_labels(np.array([value])).tolist() == [value]
    assert value in state_tables.KNOWN_LABELS
    segment = seg_nrrd.SEGMENTS[name]
    assert segment.title in seg_nrrd._segment_fields(name, "")["Name"]
    assert seg_nrrd._segment_fields(name, "")["LabelValue"] == str(value)
    assert seg_nrrd.terminology(segment).count("~") == 6


@pytest.mark.parametrize("name", MEASURED)
def test_everything_measured_has_a_mass_or_a_reason_and_a_color_on_paper(name):
    plane = np.array([[200, 500, 1220, 2221, 2222]], np.uint16)
    known = mass.tissue_masses(plane, frozenset(ASSESSABLE), 1.0)[name]
    unknown = mass.tissue_masses(plane[:, :2], frozenset(), 1.0)[name]
    assert known.voxels == np.count_nonzero(MEASURED[name].mask(plane))
    assert (unknown.voxels is None) == bool(MEASURED[name].seen_on)
    assert unknown.voxels is not None or unknown.reason == MEASURED[name].not_assessed
    assert pdf.CARD_COLORS[name] == MEASURED[name].on_paper


def test_what_is_compared_has_its_mask_its_domain_and_a_mass_if_it_is_muscle():
    assert list(metrics.REGIONS) == list(COMPARED)
    assert {"mvo"} == metrics.OPTIONAL
    assert {"scar", "edema", "scar_or_edema", "mvo"} == metrics.WITHIN_HEART
    assert metrics.WITHIN_HEART | {"myocardium"} == metrics.MUSCLE


@pytest.mark.parametrize("name", DISEASE)
def test_disease_is_outlined_and_hidden_with_the_sequence_that_shows_it(name):
    (sequence,) = STRUCTURES[name].seen_on
    assert name in panels.OUTLINES[sequence]
    assert coverage.SHOWN_BY[name] == sequence
    assert region_growing.SHOWN_IN[name][0] == sequence


@pytest.mark.parametrize("name", CORRECTED)
def test_what_a_reader_corrects_has_rules(name):
    assert PROMPTED == CORRECTED
    assert rules.ADDED[name] in STRUCTURES[name].values
    assert name in rules.TAKES_FROM
    assert name == "myocardium" or name in rules.GIVES_TO
    assert name in region_growing.SHOWN_IN


def test_the_networks_sizes_follow_the_tables():
    from myops.networks import dssnet, refiner
    from myops.training.data import simulated_clicks

    assert refiner.SEQUENCES == dssnet.SEQUENCES == len(NETWORK_SEQUENCES) == 3
    assert refiner.STRUCTURES == len(CORRECTED) == len(simulated_clicks.CLASSES_OF) == 5
    assert refiner.TISSUES == len(NETWORK_TISSUES) == 4


LONG_TITLES = [row.title for row in STRUCTURES.values() if " " in row.title]


@pytest.mark.parametrize("title", LONG_TITLES)
def test_a_title_is_typed_in_one_file_only(title):
    holders = [
        path.name
        for folder in (PACKAGE, PACKAGE.parent / "MyoPSSegmenterLib")
        for path in folder.rglob("*.py")
        if f'"{title}"' in path.read_text("utf-8")
    ]
    assert holders == ["structures.py"]


def test_an_unknown_convention_is_refused_with_the_list():
    with pytest.raises(InputError, match=r"myops, emidec, acdc, mnms, found 'brats'"):
        labels.check_convention("brats")
