"""Rules that hold for any label map and image, on hearts that hypothesis makes up."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oblique import OBLIQUE

from myops import labels as regions
from myops.case import Case, case_from_images
from myops.evaluation.metrics import compare
from myops.geometry.canonical import to_canonical
from myops.quantify.mass import tissue_masses
from myops.quantify.measure import Measurements, measure
from myops.quantify.regional.analysis import Regional, regional
from myops.quantify.thresholds.methods import ConventionalSettings
from myops.segmentation import Segmentation

BOTH = frozenset({"scar", "edema"})
ALL = ConventionalSettings(manual_threshold=300.0)
FEW = settings(max_examples=30, deadline=None, derandomize=True)
SIZE, PATCHES = 24, 6
WALL_LABELS = (200, 200, 1220, 2221, 2222)
MUSCLE = ("lv_myocardium", "scar", "mvo", "edema", "scar_or_edema")
# The order of axes and the axes that are turned round, of a file.
ORDERS = st.permutations((0, 1, 2))
FLIPS = st.tuples(st.booleans(), st.booleans(), st.booleans())


@dataclass(frozen=True)
class Heart:
    """Labels uint16 and LGE float32 (z, y, x), spacing in mm (x, y, z)."""

    labels: np.ndarray
    lge: np.ndarray
    spacing_mm: tuple[float, float, float]

    def stored(self, array: np.ndarray, order=(0, 1, 2), flips=(False,) * 3) -> sitk.Image:
        """An array as a file that has the axes in another order and direction."""
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.spacing_mm)
        image.SetOrigin((-31.0, 12.5, 47.0))
        image.SetDirection(OBLIQUE)
        return sitk.Flip(sitk.PermuteAxes(image, list(order)), list(flips))

    def case(self, order=(0, 1, 2), flips=(False,) * 3) -> tuple[Case, Segmentation]:
        """The case and its label map, read from such a file."""
        case = case_from_images({"lge": self.stored(self.lge, order, flips)})
        drawn = sitk.GetArrayFromImage(self.stored(self.labels, order, flips))
        labels = to_canonical(drawn, case.original)
        certain = np.zeros(labels.shape, np.float32)
        return case, Segmentation(labels, case.geometry, {}, certain, BOTH, {}, {})


@st.composite
def hearts(draw) -> Heart:
    """A ring with patches of disease in any place; slices may be missing, contrast may be absurd.

    The signal consists of whole numbers, so that no rounding depends on the order of voxels.
    """
    slices = draw(st.integers(1, 5))
    patches = draw(
        arrays(np.uint16, (slices, PATCHES, PATCHES), elements=st.sampled_from(WALL_LABELS))
    )
    inner, outer = draw(st.integers(0, 6)), draw(st.integers(7, 11))
    held = draw(arrays(bool, slices, elements=st.sampled_from((True, True, True, False))))
    rows, columns = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
    radius = np.hypot(rows, columns)
    labels = np.kron(patches, np.ones((1, SIZE // PATCHES, SIZE // PATCHES), np.uint16))
    labels[:, radius < inner] = 500
    labels[:, radius >= outer] = 0
    labels[~held] = 0
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = {value: draw(st.integers(-300, 1000)) for value in (0, 200, 500, 1220, 2221, 2222)}
    lge = rng.integers(0, draw(st.integers(50, 400)), labels.shape).astype(np.float32)
    for value, level in levels.items():
        lge[labels == value] += level
    spacing = st.floats(1.0, 2.0)
    return Heart(labels, lge, (draw(spacing), draw(spacing), draw(st.floats(5.0, 15.0))))


def measured(heart: Heart, order=(0, 1, 2), flips=(False,) * 3) -> tuple[Measurements, Regional]:
    case, segmentation = heart.case(order, flips)
    parts = regional(segmentation.labels, case.geometry, BOTH)
    return measure(case, segmentation, ALL), parts


@FEW
@given(hearts())
def test_masses_are_never_negative_and_no_tissue_outweighs_the_lv(heart):
    case, segmentation = heart.case()
    found = tissue_masses(segmentation.labels, BOTH, case.geometry.voxel_volume_ml)
    lv = found["lv_myocardium"]
    for name in MUSCLE:
        mass = found[name]
        if name == "mvo" and mass.voxels is None:
            assert not regions.mvo(heart.labels).any()
            continue
        assert 0 <= mass.mass_g <= lv.mass_g, name
        assert mass.percent_of_lv_mass is None or 0 <= mass.percent_of_lv_mass <= 100, name
    both = found["scar"].voxels + found["edema"].voxels
    assert both == found["scar_or_edema"].voxels <= lv.voxels
    assert (found["mvo"].voxels or 0) <= found["scar"].voxels


@pytest.mark.slow
@FEW
@given(hearts())
def test_every_method_stays_inside_the_wall_and_its_parts_add_up(heart):
    case, segmentation = heart.case()
    wall = regions.myocardium(segmentation.labels)
    for name, scar in measure(case, segmentation, ALL).methods.items():
        mask = scar.result.mask
        assert (mask is None) == (scar.result.invalid is not None), name
        if mask is None:
            assert scar.mass.mass_g is None and scar.mass.reason == scar.result.invalid, name
            continue
        assert not (mask & ~wall).any(), name
        assert 0 <= scar.mass.voxels == mask.sum() <= wall.sum(), name
        assert scar.filled.voxels <= scar.mass.voxels, name
        if scar.core is not None:
            assert scar.core.voxels + scar.grey_zone.voxels == scar.mass.voxels, name
            assert scar.core.mass_g + scar.grey_zone.mass_g == pytest.approx(scar.mass.mass_g)
            assert not (scar.result.core & scar.result.grey_zone).any(), name


@pytest.mark.slow
@FEW
@given(hearts())
def test_a_higher_n_never_marks_more(heart):
    case, segmentation = heart.case()
    unfilled = ConventionalSettings(fill_dark_cores=False)
    found = measure(case, segmentation, unfilled).methods
    for scope in ("volume", "slice"):
        masks = [found[f"sd{n}_{scope}"].result.mask for n in (2, 3, 4, 5, 6)]
        for wide, narrow in pairwise(masks):
            assert (wide is None) == (narrow is None)
            assert wide is None or not (narrow & ~wide).any()


@pytest.mark.slow
@FEW
@given(hearts())
def test_slices_add_up_to_the_whole(heart):
    whole, parts = measured(heart)
    for name, mass in whole.tissues.items():
        if mass.voxels is not None:
            assert sum(one.tissues[name].voxels for one in whole.slices) == mass.voxels, name
    for name, scar in whole.methods.items():
        if scar.mass.voxels is not None:
            of_slices = [{**one.fwhm, **one.conventional}[name].voxels for one in whole.slices]
            assert sum(of_slices) == scar.mass.voxels, name
    assert sum(one.wall.voxels for one in parts.slices) == parts.whole.voxels


@FEW
@given(hearts(), st.floats(0, 360), st.booleans())
def test_segments_add_up_to_the_whole_wherever_the_insertion_is(heart, angle, apex_last):
    from myops.quantify.regional.orientation import Landmark, Landmarks

    case, segmentation = heart.case()
    held = np.flatnonzero(regions.lv_region(segmentation.labels).any(axis=(1, 2)))
    if not held.size:
        return
    turn, radius = np.radians(angle), 11.4
    clicks = [
        Landmark(
            int(held[0]), 11.5 - radius * np.sin(turn + more), 11.5 + radius * np.cos(turn + more)
        )
        for more in (0.0, 2.0)
    ]
    told = Landmarks(*clicks, apex="last" if apex_last else "first")
    found = regional(segmentation.labels, case.geometry, BOTH, landmarks=told)
    if found.segments_reason:
        assert not found.segments and found.segment_labels is None
        return
    assert len(found.segments) == 17
    for quantity in ("voxels", "mass_g", "scar_g", "edema_g"):
        parts = [getattr(segment.wall, quantity) for segment in found.segments]
        assert sum(parts) == pytest.approx(getattr(found.whole, quantity)), quantity


@pytest.mark.slow
@FEW
@given(hearts(), ORDERS, FLIPS)
def test_the_order_and_direction_of_a_files_axes_change_no_number(heart, order, flips):
    (plain, parts), (other, other_parts) = measured(heart), measured(heart, order, flips)
    assert other.tissues == plain.tissues
    assert {n: s.mass for n, s in other.methods.items()} == {
        n: s.mass for n, s in plain.methods.items()
    }
    assert [one.tissues for one in other.slices] == [one.tissues for one in plain.slices]
    assert other_parts.whole == parts.whole
    assert other_parts.surface == parts.surface
    assert other_parts.slices == parts.slices


@pytest.mark.slow
@FEW
@given(hearts(), st.sampled_from((0, 1, 2)))
def test_a_mirrored_heart_weighs_the_same(heart, axis):
    mirrored = Heart(np.flip(heart.labels, axis), np.flip(heart.lge, axis), heart.spacing_mm)
    plain, other = (measured(one)[0] for one in (heart, mirrored))
    assert other.tissues == plain.tissues
    for name in ("fwhm_half_of_maximum", "fwhm_between_minimum_and_maximum", "grey_zone_40_60"):
        for scope in ("volume", "slice"):
            key = f"{name}_{scope}"
            assert other.methods[key].mass == plain.methods[key].mass, key


@FEW
@given(hearts(), st.floats(0.1, 10.0))
def test_grams_grow_with_the_slice_distance_and_shares_do_not(heart, factor):
    x, y, z = heart.spacing_mm
    wide = Heart(heart.labels, heart.lge, (x, y, z * factor))
    masses = [
        tissue_masses(one.labels, BOTH, float(np.prod(one.spacing_mm)) / 1000)
        for one in (heart, wide)
    ]
    for name in ("lv_myocardium", "scar", "edema"):
        assert masses[1][name].mass_g == pytest.approx(factor * masses[0][name].mass_g)
        assert masses[1][name].percent_of_lv_mass == masses[0][name].percent_of_lv_mass


@FEW
@given(hearts(), hearts())
def test_comparing_is_symmetric_where_it_should_be(first, second):
    count = min(len(first.labels), len(second.labels))
    a, b = first.labels[:count], second.labels[:count]
    there, back = (compare(*pair, first.spacing_mm) for pair in ((a, b), (b, a)))
    for name, found in there.items():
        other = back[name]
        assert found.hd_mm == other.hd_mm and found.hd95_mm == other.hd95_mm, name
        assert found.volume_difference_ml == pytest.approx(-other.volume_difference_ml), name
        assert found.sensitivity == other.precision, name
        if found.hd_mm is not None:
            assert found.dice == other.dice and 0 <= found.dice <= 1, name
            assert 0 <= found.hd95_mm <= found.hd_mm, name


@FEW
@given(hearts())
def test_a_label_map_agrees_with_itself(heart):
    for name, found in compare(heart.labels, heart.labels, heart.spacing_mm).items():
        if found.dice is None:
            assert found.reason == "prediction and truth are empty", name
        else:
            assert (found.dice, found.hd_mm, found.hd95_mm) == (1.0, 0.0, 0.0), name
