import numpy as np
import pytest

from myops import labels
from myops.errors import InputError


def test_the_myops_values_are_those_of_the_2020_challenge() -> None:
    assert labels.MYOPS == {
        "normal_myocardium": 200,
        "blood_pool": 500,
        "right_ventricle": 600,
        "edema": 1220,
        "scar": 2221,
    }


def test_float_noise_is_rounded_and_1221_is_edema() -> None:
    noisy = np.array([[0.02, 199.98, 500.01], [599.9, 1221.0, 2220.9]])
    known = labels.to_known_labels(noisy)
    assert known.dtype == np.uint16
    assert known.tolist() == [[0, 200, 500], [600, 1220, 2221]]


def test_values_far_from_a_label_are_refused_with_their_list() -> None:
    with pytest.raises(InputError, match=r"found 3, 350\.5: "):
        labels.to_known_labels(np.array([0.0, 200.0, 3.0, 350.5]))


def test_half_interpolated_values_are_not_rounded_to_a_label() -> None:
    with pytest.raises(InputError, match="found 199.5"):
        labels.to_known_labels(np.array([199.5, 200.0]))


def test_non_finite_labels_are_refused() -> None:
    with pytest.raises(InputError, match="nan"):
        labels.to_known_labels(np.array([0.0, np.nan]))
    with pytest.raises(InputError, match="inf"):
        labels.to_known_labels(np.array([0.0, np.inf, -np.inf]))


def test_a_long_list_of_unknown_values_is_cut() -> None:
    with pytest.raises(InputError) as caught:
        labels.to_known_labels(np.arange(1, 100))
    assert "1, 2, 3, 4, 5, 6, 7, 8, …" in str(caught.value)


def test_emidec_infarct_and_no_reflow_both_become_scar() -> None:
    assert labels.CONVENTIONS["emidec"].to_myops(np.arange(5)).tolist() == [0, 500, 200, 2221, 2222]


def test_acdc_ventricles_and_myocardium_are_renumbered() -> None:
    assert labels.CONVENTIONS["acdc"].to_myops(np.arange(4)).tolist() == [0, 600, 200, 500]


def test_acdc_refuses_a_fourth_label() -> None:
    with pytest.raises(InputError, match="ACDC labels"):
        labels.CONVENTIONS["acdc"].to_myops(np.arange(5))


def test_regions_are_the_unions_that_the_challenge_defines() -> None:
    values = np.array([0, 200, 500, 600, 1220, 2221])
    expected = {
        labels.normal_myocardium: [0, 1, 0, 0, 0, 0],
        labels.blood_pool: [0, 0, 1, 0, 0, 0],
        labels.right_ventricle: [0, 0, 0, 1, 0, 0],
        labels.edema: [0, 0, 0, 0, 1, 0],
        labels.scar: [0, 0, 0, 0, 0, 1],
        labels.scar_or_edema: [0, 0, 0, 0, 1, 1],
        labels.myocardium: [0, 1, 0, 0, 1, 1],
        labels.lv_region: [0, 1, 1, 0, 1, 1],
    }
    for region, where in expected.items():
        assert region(values).tolist() == [bool(inside) for inside in where], region.__name__
