"""A fourth sequence and a new structure in the scene and the panel: two rows, no other edit."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "Python"))

from edited_package import HEMORRHAGE, T1_MAP, package_with, told_by  # noqa: E402


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    rows = {"sequences.py": T1_MAP, "structures.py": HEMORRHAGE}
    package = package_with(tmp_path_factory.mktemp("added"), rows)
    return told_by(package, HERE / "with_added_rows.py", HERE)


@pytest.mark.slow
def test_a_fourth_sequence_has_a_view_of_its_own(told):
    assert told["view"] == "MyoPST1Map"
    assert told["layout"].count("vtkMRMLSliceNode") == 4
    assert "T1 map" in told["layout"] and "#B07AA1" in told["layout"]


def test_a_fourth_sequence_has_a_selector_that_the_patient_follows(told):
    assert told["selected"]
    assert told["left"] == ["bssfp", "lge", "t2"]
    assert told["chosen"] == told["sequences"] == ["bssfp", "lge", "t2", "t1_map"]
    assert told["swaps"] == 6  # pairs of four
    assert told["errors"] == []


def test_a_new_structure_is_a_segment_and_a_row_of_the_mass_table(told):
    assert told["segment"] == ["Intramyocardial hemorrhage", 2223]
    assert told["kept"] and told["voxels"] > 0
    assert "Intramyocardial hemorrhage (in scar)" in told["rows"]
