import numpy as np
import pytest
from circle_heart import SPACING_MM, circle_labels, circle_lge

from myops import labels as regions
from myops.errors import InputError
from myops.quantify.thresholds.remote import (
    RemoteRegion,
    Sector,
    automatic_remote,
    lv_angles_deg,
    manual_remote,
)


def find(labels, lge, spacing_mm=SPACING_MM):
    return automatic_remote(
        lge,
        regions.lv_region(labels),
        regions.myocardium(labels),
        regions.scar_or_edema(labels),
        spacing_mm,
    )


def test_remote_is_the_darkest_sector():
    labels = circle_labels()
    remote = find(labels, circle_lge(labels))
    # The ring's signal is 100 - 20 cos(angle - 300 degrees).
    assert remote.center_angle_deg == pytest.approx(300, abs=5)
    assert remote.clock_hour == 5
    # Mean of the cosine over +-30 degrees is sin(30)/(pi/6) = 0.955, so 100 - 19.1.
    assert remote.mean == pytest.approx(80.9, abs=0.3)


def test_remote_statistics_are_those_of_its_mask():
    labels = circle_labels()
    lge = circle_lge(labels)
    remote = find(labels, lge)
    assert remote.voxels == remote.mask.sum()
    assert remote.mean == pytest.approx(lge[remote.mask].mean())
    assert remote.sd == pytest.approx(lge[remote.mask].std(), rel=1e-4)


def test_remote_stays_away_from_scar_and_edema_even_where_they_are_darkest():
    labels = circle_labels()
    lge = circle_lge(labels)
    lge[regions.scar_or_edema(labels)] = 0.0
    remote = find(labels, lge)
    diseased = regions.scar_or_edema(labels)
    near = diseased | np.roll(diseased, 1, 1) | np.roll(diseased, -1, 1)
    near |= np.roll(diseased, 1, 2) | np.roll(diseased, -1, 2)
    assert not (remote.mask & near).any()
    assert (remote.mask & ~regions.myocardium(labels)).sum() == 0


def test_remote_leaves_out_the_border_of_the_wall():
    labels = circle_labels()
    remote = find(labels, circle_lge(labels))
    outside = ~regions.myocardium(labels)
    for axis in (1, 2):
        for step in (1, -1):
            assert not (remote.mask & np.roll(outside, step, axis)).any()


def test_a_wall_of_one_voxel_is_used_whole():
    labels = np.zeros((3, 64, 64), np.uint16)
    rows, columns = np.indices((64, 64))
    radius = np.hypot(rows - 32, columns - 32)
    labels[:, radius < 21] = 200
    labels[:, radius < 20] = 500
    remote = find(labels, circle_lge(labels)[:, :64, :64])
    assert remote is not None
    assert remote.note.startswith("whole wall")


def test_a_wall_full_of_scar_has_no_remote_region():
    labels = circle_labels()
    labels[regions.myocardium(labels)] = 2221
    assert find(labels, circle_lge(labels)) is None


def test_an_empty_label_map_has_no_remote_region():
    labels = np.zeros((2, 96, 96), np.uint16)
    assert find(labels, circle_lge(circle_labels())[:2]) is None


def test_angles_turn_counterclockwise_from_the_right_as_displayed():
    region = np.zeros((1, 5, 5), bool)
    region[0, 1:4, 1:4] = True
    angle = lv_angles_deg(region, (1.0, 1.0, 10.0))[0]
    assert angle[2, 4] == 0
    assert angle[0, 2] == 90
    assert angle[2, 0] == 180
    assert angle[4, 2] == 270


def test_angles_are_those_in_millimeters_not_in_pixels():
    region = np.zeros((1, 5, 5), bool)
    region[0, 1:4, 1:4] = True
    angle = lv_angles_deg(region, (1.0, 3.0, 10.0))[0]
    # One pixel right is 1 mm, one pixel up is 3 mm.
    assert angle[1, 3] == pytest.approx(np.degrees(np.arctan2(3, 1)))


def test_slices_without_left_ventricle_have_no_angle():
    region = np.zeros((2, 5, 5), bool)
    region[0, 2, 2] = True
    assert np.isnan(lv_angles_deg(region, (1.0, 1.0, 10.0))[1]).all()


@pytest.mark.parametrize(("angle", "hour"), [(0, 3), (90, 12), (180, 9), (270, 6), (345, 4)])
def test_the_clock_has_twelve_at_the_top(angle, hour):
    remote = RemoteRegion(np.ones((1, 1, 1), bool), 0, 0, angle, 60, 1, "")
    assert remote.clock_hour == hour


def given(chosen, labels, lge):
    return manual_remote(
        chosen,
        lge,
        regions.lv_region(labels),
        regions.myocardium(labels),
        regions.scar_or_edema(labels),
        (1.5, 1.5, 10.0),
    )


def test_a_sector_given_is_measured_where_it_lies():
    labels = circle_labels()
    remote = given(Sector(300.0), labels, circle_lge(labels))
    automatic = find(labels, circle_lge(labels))
    assert remote.given and not automatic.given
    np.testing.assert_array_equal(remote.mask, automatic.mask)


def test_a_drawn_region_keeps_to_the_myocardium_and_says_what_was_left_out():
    labels = circle_labels()
    drawn = np.zeros(labels.shape, bool)
    drawn[2, 60:72, 44:52] = True  # below the center: 270 degrees, and beyond the wall
    inside = drawn & regions.myocardium(labels)
    remote = given(drawn, labels, circle_lge(labels))
    np.testing.assert_array_equal(remote.mask, inside)
    assert remote.center_angle_deg == pytest.approx(270, abs=5)
    assert f"{drawn.sum() - inside.sum()} voxels outside the myocardium" in remote.note


def patch(labels, where, rows=slice(None), columns=slice(None)):
    """A mask in slice 3: the voxels of some labels within rows and columns."""
    mask = np.zeros(labels.shape, bool)
    mask[2, rows, columns] = np.isin(labels[2, rows, columns], where)
    return mask


def test_a_region_drawn_into_the_scar_is_refused_with_its_share():
    labels = circle_labels()
    scar = patch(labels, [2221])
    with pytest.raises(InputError, match=r"found 100 % of it \(125 of 125 voxels\) inside labeled"):
        given(scar, labels, circle_lge(labels))
    healthy = patch(labels, [200], rows=slice(60, 80))
    mixed = healthy.copy()
    mixed[2][np.nonzero(scar[2])[0][:40], np.nonzero(scar[2])[1][:40]] = True
    share = round(100 * 40 / (healthy.sum() + 40))
    assert share > 10
    with pytest.raises(InputError, match=f"found {share} % of it \\(40 of"):
        given(mixed, labels, circle_lge(labels))


def test_a_region_in_edema_is_refused_as_well():
    labels = circle_labels()
    with pytest.raises(InputError, match="inside labeled scar or edema"):
        given(patch(labels, [1220]), labels, circle_lge(labels))


def test_a_few_voxels_of_scar_at_the_rim_are_left_out_and_counted():
    labels = circle_labels()
    mask = patch(labels, [200], rows=slice(60, 80))
    scar = patch(labels, [2221])
    mask[2][np.nonzero(scar[2])[0][:3], np.nonzero(scar[2])[1][:3]] = True
    found = given(mask, labels, circle_lge(labels))
    np.testing.assert_array_equal(found.mask, mask & ~scar)
    assert "3 voxels of labeled scar or edema left out" in found.note


def test_healthy_by_its_label_but_as_bright_as_scar_is_refused():
    labels = circle_labels()
    lge = circle_lge(labels)
    mask = patch(labels, [200], rows=slice(60, 80))
    lge[mask] = 850.0
    with pytest.raises(InputError, match="found 100 % of it .* as bright as labeled scar"):
        given(mask, labels, lge)
    sector = np.zeros(labels.shape, bool)
    sector[:, 60:] = labels[:, 60:] == 200
    lge[sector] = 850.0
    with pytest.raises(InputError, match="as bright as labeled scar"):
        given(Sector(270.0), labels, lge)


@pytest.mark.parametrize("center", [300.0, 120.0 + 180, 0.0, 200.0])
def test_bright_and_dark_healthy_walls_are_both_taken(center):
    """The ring's signal swings by 20 % with the angle, as a coil's does; scar is nine times it."""
    labels = circle_labels()
    assert given(Sector(center), labels, circle_lge(labels)).given


def test_a_wall_without_labeled_scar_has_nothing_to_be_as_bright_as():
    labels = circle_labels()
    labels[np.isin(labels, (1220, 2221))] = 200
    assert given(Sector(120.0), labels, circle_lge(circle_labels())).given


def test_a_sector_that_is_mostly_scar_is_refused_and_one_beside_it_says_what_it_left_out():
    labels = circle_labels()
    labels[[0, 4]] = labels[2]  # scar in every slice, at 90 to 150 degrees
    lge = circle_lge(labels)
    with pytest.raises(InputError, match=r"found \d+ % of it .* labeled as scar or edema"):
        given(Sector(120.0, 110.0), labels, lge)
    beside = given(Sector(200.0, 100.0), labels, lge)
    assert "voxels of labeled scar or edema left out" in beside.note
    assert not (beside.mask & regions.scar_or_edema(labels)).any()


@pytest.mark.parametrize(
    ("where", "message"),
    [([500], "20 voxels of healthy"), ([600], "20 voxels of healthy"), ([], "20 voxels")],
)
def test_regions_in_blood_in_the_other_ventricle_and_empty_ones_are_refused(where, message):
    labels = circle_labels()
    with pytest.raises(InputError, match=message):
        given(patch(labels, where), labels, circle_lge(labels))


def test_a_region_of_a_few_voxels_is_refused():
    labels = circle_labels()
    mask = patch(labels, [200], rows=slice(62, 66), columns=slice(46, 50))
    assert 0 < mask.sum() < 20
    with pytest.raises(InputError, match=f"20 voxels of healthy myocardium, found {mask.sum()};"):
        given(mask, labels, circle_lge(labels))


def test_a_region_with_nan_is_refused():
    labels = circle_labels()
    mask = patch(labels, [200]).astype(float)
    mask[2, 0, 0] = np.nan
    with pytest.raises(InputError, match="found 1 that are not finite"):
        given(mask, labels, circle_lge(labels))


def test_a_region_that_lies_mostly_outside_the_wall_is_doubted():
    labels = circle_labels()
    drawn = np.zeros(labels.shape, bool)
    drawn[2, 62:90, 40:56] = True
    inside = drawn & regions.myocardium(labels)
    found = given(drawn, labels, circle_lge(labels))
    share = round(100 * (1 - inside.sum() / drawn.sum()))
    assert share > 50 and f"{share} % of the drawn remote region lies outside" in found.doubts[0]
