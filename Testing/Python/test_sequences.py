"""The table of sequences, and that everything which speaks of sequences follows it."""

import numpy as np
import pytest

from myops.cascade.network_inputs import present_flags
from myops.case import Case, load_case, reference_of
from myops.commands.options import place_options
from myops.dicom.series_names import sequence_in
from myops.errors import InputError
from myops.io.file_names import sequence_of
from myops.phantom.contrast import PHYSICAL
from myops.phantom.files import SUFFIXES
from myops.report.panels import OUTLINES
from myops.sequences import (
    ASKED_SEQUENCES,
    FILE_PATTERNS,
    GRID_SEQUENCES,
    NETWORK_SEQUENCES,
    OPTIONS,
    SEQUENCES,
    channel,
    option,
)
from myops.structures import STRUCTURES


def test_the_networks_channels_are_bssfp_lge_and_t2():
    assert NETWORK_SEQUENCES == ("bssfp", "lge", "t2")
    assert [channel(name) for name in ("bssfp", "lge", "t2")] == [0, 1, 2]
    image = np.zeros((1, 1, 1))
    assert present_flags({"t2": image, "bssfp": image}).tolist() == [1, 0, 1]


def test_lge_gives_the_grid_else_bssfp_and_is_asked_for_first():
    assert GRID_SEQUENCES == ("lge", "bssfp")
    assert ASKED_SEQUENCES == ("lge", "bssfp", "t2")
    assert reference_of({"bssfp": 0, "lge": 0}) == "lge"


def test_messages_name_options_and_files_as_they_are_typed():
    assert OPTIONS == "--lge, --bssfp, --t2"
    assert FILE_PATTERNS == "*_C0, *_DE or *_LGE, *_T2"
    assert option("t1_map") == "--t1-map"


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_sequence_is_found_under_all_its_names(tmp_path, name):
    row = SEQUENCES[name]
    for part in (*row.file_parts, *(suffix.lower() for suffix in row.suffixes)):
        path = tmp_path / f"p_{part}.nii.gz"
        path.touch()
        assert sequence_of(path) == name, part
    assert sequence_in(f"SAX {row.title}") == name


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_sequence_has_an_option_outlines_and_a_view_of_its_own(name):
    shown = {option.name for option in place_options(lambda **_: None).__click_params__}
    assert name in shown
    assert set(OUTLINES[name]) <= set(STRUCTURES)
    assert sum(row.view == SEQUENCES[name].view for row in SEQUENCES.values()) == 1


def test_the_phantom_writes_the_first_suffix_of_what_it_can_image():
    assert SUFFIXES == {"bssfp": "C0", "lge": "DE", "t2": "T2"}
    assert set(PHYSICAL) == set(NETWORK_SEQUENCES)


def test_a_case_is_loaded_from_a_mapping_as_by_keyword(patient_folder):
    files = {
        "lge": patient_folder / "myops_007_DE.nii.gz",
        "t2": patient_folder / "myops_007_T2.nii.gz",
        "bssfp": None,
    }
    by_mapping, by_keyword = load_case(files), load_case(**files)
    for case in (by_mapping, by_keyword):
        assert isinstance(case, Case) and case.sequences == ("lge", "t2")
    np.testing.assert_array_equal(by_mapping.images["t2"], by_keyword.images["t2"])


def test_a_name_that_is_not_a_sequence_is_refused(patient_folder):
    with pytest.raises(InputError, match=r"\('bssfp', 'lge', 't2'\), found \['cine'\]; rename"):
        load_case(lge=patient_folder / "myops_007_DE.nii.gz", cine=patient_folder / "x.nii.gz")
