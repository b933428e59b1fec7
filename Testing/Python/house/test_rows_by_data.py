"""A fourth sequence, a fifth label convention and a new structure: each is one row in one file.

Each test runs the whole package with that row added, and nothing else changed.
"""

import re

import pytest
from edited_package import HEMORRHAGE, SITE, T1_MAP, TESTS, package_with, told_by


@pytest.fixture(scope="module")
def fourth(tmp_path_factory):
    package = package_with(tmp_path_factory.mktemp("fourth"), {"sequences.py": T1_MAP})
    return told_by(package, TESTS / "with_fourth_sequence.py")


@pytest.fixture(scope="module")
def fifth(tmp_path_factory):
    package = package_with(tmp_path_factory.mktemp("fifth"), {"labels.py": SITE})
    return told_by(package, TESTS / "with_fifth_convention.py")


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    package = package_with(tmp_path_factory.mktemp("new"), {"structures.py": HEMORRHAGE})
    return told_by(package, TESTS / "with_new_structure.py")


def words(page):
    """The text of a page, tags taken out."""
    return " ".join(re.sub("<[^>]+>", " ", page).split())


# A fourth sequence


@pytest.mark.slow
def test_a_fourth_sequence_is_found_by_file_name_and_by_series_words(fourth):
    assert fourth["found"]["t1_map"] == "p_T1map.nii.gz"
    assert fourth["series"] == [["t1_map", "T1 map"], [None, "T2 map"], ["lge", "LGE"]]


def test_a_fourth_sequence_is_loaded_from_a_folder_a_mapping_or_by_keyword(fourth):
    assert fourth["folder"] == ["bssfp", "lge", "t2", "t1_map"]
    assert fourth["mapping"] == fourth["keywords"] == ["lge", "t1_map"]
    assert "expected at least an LGE or a bSSFP image, found T1 map alone" in fourth["alone"]


def test_a_fourth_sequence_has_its_option_and_its_line_in_info(fourth):
    assert re.search(r"--t1-map PATH +Native T1 map: file or DICOM folder", fourth["help"])
    assert "t1_map" in fourth["info"]


def test_the_networks_see_their_three_sequences_and_a_warning_says_so(fourth):
    finder, refiner, present, tissues = fourth["shapes"]
    assert (finder[1], refiner[1], present[1], tissues[1]) == (3, 3, 3, 4)
    assert fourth["same"], "the fourth sequence changed what the networks see"
    assert fourth["assessed"] == ["edema", "scar"]
    assert (
        "t1_map: shown and reported, but not given to the networks, which know bSSFP, LGE, T2 only"
    ) in words(fourth["report"]).replace("T1_map", "t1_map")


def test_a_fourth_sequence_is_shown_and_named_in_the_report(fourth):
    assert fourth["columns"][:4] == ["bSSFP", "T2", "T1 map", "LGE"]
    assert fourth["outlines"] == ["lv_region", "myocardium"]
    assert "bSSFP, LGE (reference), T2, T1 map" in words(fourth["report"])
    assert fourth["images"] == ["bssfp", "lge", "t1_map", "t2"]


# A fifth convention


@pytest.mark.slow
def test_a_fifth_convention_is_read_by_every_reader_of_label_files(fifth):
    assert fifth["values"] == [0, 200, 500, 2221]
    assert fifth["dice"] == 1.0
    assert fifth["scar_g"] == pytest.approx(fifth["true_g"])
    assert fifth["dataset"]


def test_a_fifth_convention_is_offered_and_explained_by_every_command(fifth):
    assert [name for name, text in fifth["help"].items() if "site" not in text] == []
    assert "Our site: 10 LV blood pool, 20 normal myocardium, 30 scar" in fifth["warning"]
    assert f"{fifth['true_g']:.1f} g" in fifth["quantified"]
    assert "expected a convention out of myops, emidec, acdc, mnms, site" in fifth["unknown"]
    assert "looks like a label map" in fifth["image"]


# A new structure


@pytest.mark.slow
def test_a_new_structure_is_read_kept_and_counts_for_what_it_lies_in(new):
    assert new["known"]
    assert new["scar"] == 40  # 30 voxels of scar and 10 of hemorrhage in it
    # 0.1 mL a voxel, 1.05 g/mL.
    grams = {"scar": 4.2, "hemorrhage": 1.05, "lv_myocardium": 10.5}
    assert new["g"] == pytest.approx(grams)


def test_a_new_structure_that_is_not_marked_says_why_it_has_no_number(new):
    assert new["reason"] == (
        "not assessed: the label map marks no intramyocardial hemorrhage apart from scar"
    )


def test_a_new_structure_is_compared_where_a_label_map_has_it(new):
    assert new["dice"] == [0.0, 1.0]
    assert "hemorrhage" not in new["compared"]


def test_a_new_structure_is_a_segment_in_slicers_file(new):
    (index,) = re.findall(r"Segment(\d)_ID': 'hemorrhage'", str(new["header"]))
    assert new["header"][f"Segment{index}_Name"] == "Intramyocardial hemorrhage"
    assert new["header"][f"Segment{index}_LabelValue"] == "2223"
    assert "SCT^74281007^Myocardium" in new["header"][f"Segment{index}_Tags"]


def test_a_new_structure_is_in_the_report_the_tables_and_the_pictures(new):
    assert "Intramyocardial hemorrhage (in scar)" in words(new["report"])
    assert "Intramyocardial hemorrhage (in scar)" in new["text"]
    assert new["json"]["voxels"] == new["voxels"] > 0
    assert new["outlined"] == ["t2"]
    assert new["legend"] == "Intramyocardial hemorrhage"
