import time

import numpy as np
import pytest

from myops.labels import MVO
from myops.quantify.mass import (
    MYOCARDIAL_DENSITY_G_PER_ML,
    UNKNOWN_SPACING,
    dice,
    tissue_mass,
    tissue_masses,
)

BOTH = frozenset({"scar", "edema"})


def small_labels() -> np.ndarray:
    """12 voxels: 4 normal, 3 scar, 1 edema, 2 blood, 1 right ventricle, 1 background."""
    values = [200] * 4 + [2221] * 3 + [1220] + [500] * 2 + [600] + [0]
    return np.array(values, np.uint16).reshape(1, 3, 4)


def test_mass_is_voxels_times_voxel_volume_times_density():
    masses = tissue_masses(small_labels(), BOTH, voxel_ml=0.02)
    # LV: 8 voxels x 0.02 mL x 1.05 g/mL; scar 3 of 8 voxels; edema 1 of 8.
    assert masses["lv_myocardium"].mass_g == pytest.approx(0.168)
    assert masses["scar"].volume_ml == pytest.approx(0.06)
    assert masses["scar"].mass_g == pytest.approx(0.063)
    assert masses["scar"].percent_of_lv_mass == pytest.approx(37.5)
    assert masses["edema"].percent_of_lv_mass == pytest.approx(12.5)
    assert masses["scar_or_edema"].mass_g == pytest.approx(0.084)


def test_density_is_that_of_the_cmr_guideline():
    assert MYOCARDIAL_DENSITY_G_PER_ML == 1.05


def test_blood_has_a_volume_but_no_mass():
    blood = tissue_masses(small_labels(), BOTH, voxel_ml=0.02)["blood_pool"]
    assert blood.volume_ml == pytest.approx(0.04)
    assert blood.mass_g is None
    assert blood.percent_of_lv_mass is None
    assert blood.reason == "a cavity: volume only"


def test_what_is_not_assessed_is_none_with_a_reason_and_never_zero():
    labels = small_labels()
    labels[labels == 1220] = 200
    masses = tissue_masses(labels, frozenset({"scar"}), voxel_ml=0.02)
    for name in ("edema", "scar_or_edema"):
        assert masses[name].voxels is None
        assert masses[name].mass_g is None
        assert masses[name].percent_of_lv_mass is None
        assert masses[name].reason.startswith("not assessed")
    assert masses["scar"].mass_g == pytest.approx(0.063)


def test_an_assessed_scar_that_is_empty_is_a_zero_result():
    labels = np.full((1, 2, 2), 200, np.uint16)
    scar = tissue_masses(labels, BOTH, voxel_ml=0.02)["scar"]
    assert scar.mass_g == 0.0
    assert scar.percent_of_lv_mass == 0.0
    assert scar.reason is None


def test_unknown_spacing_refuses_volume_and_mass_but_keeps_the_share():
    scar = tissue_masses(small_labels(), BOTH, voxel_ml=None)["scar"]
    assert scar.volume_ml is None
    assert scar.mass_g is None
    assert scar.percent_of_lv_mass == pytest.approx(37.5)
    assert scar.reason == UNKNOWN_SPACING


def test_without_myocardium_there_is_no_share_of_lv_mass():
    mass = tissue_mass(0, 0, voxel_ml=0.02)
    assert mass.mass_g == 0.0
    assert mass.percent_of_lv_mass is None
    assert "no myocardium" in mass.reason


def test_dice_counts_the_overlap_twice():
    a = np.array([True, True, True, False])
    b = np.array([False, True, True, True])
    assert dice(a, b) == pytest.approx(2 * 2 / 6)
    assert dice(a, ~a) == 0.0


def test_dice_of_two_empty_masks_is_undefined():
    empty = np.zeros(4, bool)
    assert dice(empty, empty) is None


def test_marked_mvo_is_part_of_scar_and_of_lv_mass_and_given_apart():
    labels = small_labels()
    labels[0, 1, 0] = MVO  # one of the three scar voxels
    masses = tissue_masses(labels, BOTH, voxel_ml=0.02)
    assert masses["scar"].voxels == 3
    assert masses["mvo"].voxels == 1
    assert masses["mvo"].mass_g == pytest.approx(0.021)
    assert masses["lv_myocardium"].voxels == 8
    assert masses["mvo"].percent_of_lv_mass == pytest.approx(12.5)


def test_a_label_map_without_mvo_does_not_claim_that_there_is_none():
    mvo = tissue_masses(small_labels(), BOTH, voxel_ml=0.02)["mvo"]
    assert mvo.voxels is None
    assert mvo.reason.startswith("not assessed: the label map marks no")
    told = tissue_masses(small_labels(), BOTH | {"mvo"}, voxel_ml=0.02)["mvo"]
    assert told.mass_g == 0.0


def test_a_live_update_of_the_masses_takes_less_than_20_ms():
    labels = np.random.default_rng(0).choice([0, 200, 500, 1220, 2221], (12, 256, 256))
    labels = labels.astype(np.uint16)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        tissue_masses(labels, BOTH, voxel_ml=0.02)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.02
