"""The selector of conventional methods: masks, rules that hold for any input, refusals."""

from itertools import pairwise

import numpy as np
import pytest
from circle_heart import SPACING_MM, circle_case, circle_labels, circle_lge, circle_segmentation

from myops import labels as regions
from myops.case import case_from_images
from myops.errors import InputError
from myops.geometry.canonical import to_canonical
from myops.geometry.grid import from_sitk
from myops.quantify.measure import measure
from myops.quantify.thresholds.methods import (
    RULES,
    ConventionalSettings,
    conventional_methods,
    rule_title,
)
from myops.quantify.thresholds.remote import Sector
from myops.quantify.thresholds.rule import SCOPES

ALL = ConventionalSettings(manual_threshold=450.0)
TWO_PART = ("grey_zone_schmidt", "grey_zone_yan", "grey_zone_40_60")


def random_heart(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and LGE: random patches of scar, edema and MVO in a ring, random contrast."""
    rng = np.random.default_rng(seed)
    labels = circle_labels(int(rng.integers(1, 5)))
    wall = np.isin(labels, (200, 1220, 2221))
    labels[wall] = 200
    coarse = rng.choice([200, 1220, 2221, 2222], (len(labels), 12, 12), p=[0.6, 0.1, 0.2, 0.1])
    patches = np.kron(coarse, np.ones((1, 8, 8), int)).astype(np.uint16)
    labels[wall] = patches[wall]
    lge = circle_lge(labels, seed) * rng.uniform(0.2, 2) + rng.choice([0.0, 200.0, -300.0])
    noise = rng.normal(0, rng.uniform(0, 150), lge.shape)
    return labels, (lge + noise).astype(np.float32)


def test_every_method_has_a_volume_and_a_slice_variant_but_manual():
    labels = circle_labels()
    found = conventional_methods(circle_lge(labels), labels, SPACING_MM, ALL)
    expected = [f"{name}_{scope}" for name in RULES if name != "manual" for scope in SCOPES]
    assert list(found) == [*expected, "manual"]
    assert len({rule_title(result) for result in found.values()}) == len(found)


def test_a_scar_nine_times_as_bright_is_found_by_every_method():
    labels = circle_labels()
    found = conventional_methods(circle_lge(labels), labels, SPACING_MM, ALL)
    for name, result in found.items():
        if name.startswith(("sd", "grey_zone")):
            # Muscle swings by 20 around the heart, more than 6 SD of the darkest sector.
            assert not (regions.scar(labels) & ~result.mask).any(), name
        else:
            np.testing.assert_array_equal(result.mask, regions.scar(labels), name)


@pytest.mark.parametrize("seed", range(12))
def test_masks_keep_inside_the_myocardium_and_their_parts_add_up(seed):
    labels, lge = random_heart(seed)
    settings = ConventionalSettings(
        manual_threshold=200.0, smallest_island_mm2=20.0, smallest_island_ml=0.1
    )
    for name, result in conventional_methods(lge, labels, SPACING_MM, settings).items():
        if result.mask is None:
            assert result.invalid, name
            continue
        assert not (result.mask & ~regions.myocardium(labels)).any(), name
        assert not (result.filled & ~result.mask).any(), name
        if name.startswith(TWO_PART):
            assert result.core.sum() + result.grey_zone.sum() == result.mask.sum(), name


@pytest.mark.parametrize("seed", range(6))
def test_more_deviations_never_mark_more(seed):
    labels, lge = random_heart(seed)
    settings = ConventionalSettings(fill_dark_cores=False)
    found = conventional_methods(lge, labels, SPACING_MM, settings)
    for scope in SCOPES:
        masks = [found[f"sd{n}_{scope}"].mask for n in (2, 3, 4, 5, 6)]
        if masks[0] is None:
            continue
        for wide, narrow in pairwise(masks):
            assert not (narrow & ~wide).any()


@pytest.mark.parametrize("seed", range(6))
def test_an_affine_change_of_the_signal_changes_no_mask_of_a_referenced_rule(seed):
    labels, lge = random_heart(seed)
    lge = np.round(lge)  # whole numbers: the change is then exact in float32
    names = ("fwhm_remote_referenced", "fwhm_between_minimum_and_maximum", "sd4")
    settings = ConventionalSettings(methods=names)
    plain = conventional_methods(lge, labels, SPACING_MM, settings)
    changed = conventional_methods(2 * lge + 64, labels, SPACING_MM, settings)
    for name in plain:
        if plain[name].mask is not None:
            assert (plain[name].mask ^ changed[name].mask).sum() <= 1, name


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True)])
def test_flipped_and_permuted_files_give_the_same_masses(order, flips):
    import SimpleITK as sitk

    from myops.geometry.grid import to_sitk

    labels, lge = random_heart(3)
    case = circle_case(labels, ("lge",), changed={"lge": lge})
    image = sitk.Flip(sitk.PermuteAxes(to_sitk(case.images["lge"], case.geometry), order), flips)
    drawn = sitk.Flip(sitk.PermuteAxes(to_sitk(labels, case.geometry), order), flips)
    other = case_from_images({"lge": image})
    moved = to_canonical(sitk.GetArrayFromImage(drawn), other.original)
    assert from_sitk(image).size_xyz != (0, 0, 0)
    first = measure(case, circle_segmentation(case, labels), ALL)
    second = measure(other, circle_segmentation(other, moved), ALL)
    masses = [{k: v.mass for k, v in m.methods.items()} | dict(m.tissues) for m in (first, second)]
    assert masses[0] == masses[1]


def test_marked_mvo_counts_as_scar_and_is_given_apart():
    labels = circle_labels()
    lge = circle_lge(labels)
    core = np.zeros(labels.shape, bool)
    core[2, 31:33, 41:45] = True
    core &= labels == 2221
    assert core.sum() == 8
    labels[core] = regions.MVO
    lge[core] = 80.0
    filled = conventional_methods(lge, labels, SPACING_MM)["otsu_volume"]
    np.testing.assert_array_equal(filled.filled, core)
    np.testing.assert_array_equal(filled.mask, regions.scar(labels))
    left = ConventionalSettings(fill_dark_cores=False)
    bare = conventional_methods(lge, labels, SPACING_MM, left)["otsu_volume"]
    assert bare.filled is None
    np.testing.assert_array_equal(bare.mask, regions.scar(labels) & ~core)


def test_a_dark_core_that_nobody_marked_is_filled_where_scar_encloses_it():
    labels = circle_labels()
    lge = circle_lge(labels)
    lge[2, 31:33, 42:44] = 80.0
    result = conventional_methods(lge, labels, SPACING_MM)["fwhm_half_of_maximum_volume"]
    assert result.filled.sum() == 4
    assert result.filled[2, 31:33, 42:44].all()


def test_islands_are_taken_out_and_counted():
    labels = circle_labels()
    lge = circle_lge(labels)
    lge[2, 63, 48] = 900.0
    assert labels[2, 63, 48] == 200
    for size in ({"smallest_island_mm2": 5.0}, {"smallest_island_ml": 0.05}):
        settings = ConventionalSettings(methods=("otsu",), **size)
        result = conventional_methods(lge, labels, SPACING_MM, settings)["otsu_volume"]
        assert result.removed_voxels == 1
        np.testing.assert_array_equal(result.mask, regions.scar(labels))


def test_per_slice_variants_assess_slices_with_scar_or_all_when_asked():
    labels = circle_labels()
    lge = circle_lge(labels)
    some = conventional_methods(lge, labels, SPACING_MM)["otsu_slice"]
    assert [t is None for t in some.thresholds] == [True, False, False, False, True]
    every = conventional_methods(lge, labels, SPACING_MM, ConventionalSettings(all_slices=True))
    assert None not in every["otsu_slice"].thresholds


def test_the_remote_region_given_is_the_one_used():
    labels = circle_labels()
    lge = circle_lge(labels)
    mask = np.zeros(labels.shape, bool)
    mask[1:4, 46:51, 62:66] = True  # 0 degrees, muscle of 90
    drawn = conventional_methods(lge, labels, SPACING_MM, remote_override=mask)["sd5_volume"]
    np.testing.assert_array_equal(drawn.remote.mask, mask & regions.myocardium(labels))
    assert drawn.remote.given
    assert drawn.remote.mean == pytest.approx(lge[drawn.remote.mask].mean())
    sector = conventional_methods(lge, labels, SPACING_MM, remote_override=Sector(0.0, 40.0))
    assert sector["sd5_volume"].remote.center_angle_deg == 0
    assert sector["sd5_volume"].remote.mean == pytest.approx(90, abs=2)


def test_no_myocardium_makes_every_method_invalid():
    labels = np.zeros((3, 20, 20), np.uint16)
    lge = np.random.default_rng(0).random((3, 20, 20)).astype(np.float32)
    for result in conventional_methods(lge, labels, SPACING_MM, ALL).values():
        assert result.mask is None
        assert result.invalid == "no myocardium was found"


def test_constant_myocardium_makes_every_rule_but_manual_invalid():
    labels = circle_labels()
    lge = circle_lge(labels)
    lge[regions.myocardium(labels)] = 100.0
    for name, result in conventional_methods(lge, labels, SPACING_MM, ALL).items():
        assert (result.mask is None) == (name != "manual"), name


def test_one_slice_and_myocardium_on_some_slices_are_measured():
    labels = circle_labels()[2:3]
    found = conventional_methods(circle_lge(labels), labels, SPACING_MM)["otsu_volume"]
    np.testing.assert_array_equal(found.mask, regions.scar(labels))
    some = circle_labels()
    some[3:] = 0
    found = conventional_methods(circle_lge(circle_labels()), some, SPACING_MM)["otsu_volume"]
    np.testing.assert_array_equal(found.mask, regions.scar(some))


def test_a_heart_full_of_scar_has_no_remote_and_the_rules_without_it_go_on():
    labels = circle_labels()
    labels[regions.myocardium(labels)] = 2221
    found = conventional_methods(circle_lge(circle_labels()), labels, SPACING_MM)
    assert "no remote region" in found["sd5_volume"].invalid
    assert found["otsu_volume"].invalid is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": circle_labels(4)}, "labels of the LGE's shape"),
        ({"settings": ConventionalSettings(methods=("fwhm",))}, "found fwhm"),
        ({"settings": ConventionalSettings(smallest_island_ml=-1.0)}, "0 or more"),
        (
            {"settings": ConventionalSettings(smallest_island_mm2=1.0), "spacing_mm": None},
            "known voxel spacing",
        ),
        ({"remote_override": np.ones((1, 2, 3), bool)}, "remote region of"),
        ({"remote_override": np.zeros((5, 96, 96), bool)}, "20 voxels of healthy"),
        ({"remote_override": Sector(0.0, 0.0)}, "width above 0"),
        ({"remote_override": Sector(120.0, 30.0)}, "20 voxels of healthy"),
        ({"hyperenhanced": np.ones((1, 2, 3), bool)}, "hyper-enhanced region of"),
    ],
)
def test_unusable_requests_are_refused_in_words(changes, words):
    labels = circle_labels()
    labels[(labels == 1220) | (labels == 2221)] = 2221
    labels[0][labels[2] == 2221] = labels[4][labels[2] == 2221] = 2221
    request = {"lge": circle_lge(labels), "labels": labels, "spacing_mm": SPACING_MM} | changes
    with pytest.raises(InputError, match=words):
        conventional_methods(**request)


def test_nan_in_the_myocardium_is_refused():
    labels = circle_labels()
    lge = circle_lge(labels)
    lge[regions.myocardium(labels)] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        conventional_methods(lge, labels, SPACING_MM)
