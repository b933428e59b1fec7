import csv
import io
import json

import numpy as np
import pytest
from ring_heart import BOTH, RingHeart, Sector

from myops.geometry.canonical import canonical_grid, from_canonical, to_canonical
from myops.geometry.grid import Geometry
from myops.phantom import patient as patients
from myops.phantom.files import short_axis_direction
from myops.phantom.heart import sample_heart
from myops.phantom.patient import PhantomConfig
from myops.quantify.regional import tables as regional_tables
from myops.quantify.regional.analysis import regional
from myops.quantify.regional.orientation import Landmark, Landmarks
from myops.quantify.tables import COLUMNS

# Depth below which half of a ring's area lies is not half of its wall: between radii 2 and 3 the
# inner half of the wall holds (2.5^2 - 2^2) / (3^2 - 2^2) = 45 % of the area.
INNER_HALF_PERCENT = 45.0
HEART = RingHeart(spacing_mm=(0.5, 0.5, 8.0))


def scar_percent(found):
    return np.array([segment.wall.scar_percent for segment in found.segments], float)


def by_number(**percent):
    """Percent of 17 segments; s3=45 means 45 % in segment 3, 0 elsewhere."""
    values = np.zeros(17)
    for name, value in percent.items():
        values[int(name[1:]) - 1] = value
    return values


def test_a_quarter_of_scar_over_the_whole_length_fills_the_segments_it_covers():
    # 90 degrees from the anterior insertion: all of 2, half of 3; at the apex 75 of the 90 degrees
    # of the septum (15 to 105) and 15 of the 90 of the anterior wall; a quarter of the cap.
    found = regional(HEART.labels(Sector((0, 90))), HEART.geometry(), BOTH)
    expected = by_number(s2=100, s3=50, s8=100, s9=50, s14=100 * 75 / 90, s13=100 * 15 / 90, s17=25)
    assert scar_percent(found) == pytest.approx(expected, abs=2.5)
    assert found.segments_reason is None
    assert found.ask is None


def test_the_inner_half_of_the_wall_is_45_percent_of_its_volume_and_50_percent_deep():
    found = regional(HEART.labels(Sector((0, 60), (0, 0.5), (0, 3))), HEART.geometry(), BOTH)
    segment = found.segments[1]
    assert segment.name == "basal anteroseptal"
    assert segment.wall.scar_percent == pytest.approx(INNER_HALF_PERCENT, abs=1)
    assert segment.wall.transmurality.mean_percent == pytest.approx(50, abs=1.5)
    assert scar_percent(found)[2:] == pytest.approx(np.zeros(15), abs=1.5)


def test_chords_above_half_are_counted_by_segment():
    # The first half of the mid inferior segment has scar 80 % deep, the other half 20 %.
    sectors = Sector((120, 150), (0, 0.8), (3, 6)), Sector((150, 180), (0, 0.2), (3, 6))
    found = regional(HEART.labels(*sectors), HEART.geometry(), BOTH).segments[9]
    assert found.name == "mid inferior"
    # Three slices of 16 chords.
    assert found.wall.transmurality.chords == 48
    assert found.wall.transmurality.over_half_percent == pytest.approx(50, abs=7)
    assert found.wall.transmurality.mean_percent == pytest.approx(50, abs=3)


def test_edema_is_counted_without_the_scar_in_it():
    sectors = Sector((180, 240), (0, 1), (0, 3), 1220), Sector((180, 240), (0, 0.5), (0, 3))
    wall = regional(HEART.labels(*sectors), HEART.geometry(), BOTH).segments[4].wall
    assert wall.scar_percent == pytest.approx(INNER_HALF_PERCENT, abs=2.5)
    assert wall.edema_percent == pytest.approx(100 - INNER_HALF_PERCENT, abs=2.5)
    assert wall.scar_or_edema_percent == pytest.approx(100, abs=2.5)


def test_segments_and_slices_each_add_up_to_the_whole_wall():
    sectors = Sector((10, 200), (0.2, 0.9), value=1220), Sector((50, 100), (0, 0.6))
    labels = HEART.labels(*sectors)
    labels[3, 4:8, 4:8] = 2221  # a speck far from the heart is tissue, too
    found = regional(labels, HEART.geometry(), BOTH)
    for parts in (found.segments, found.slices):
        assert sum(part.wall.voxels for part in parts) == found.whole.voxels
        assert sum(part.wall.scar_g for part in parts) == pytest.approx(found.whole.scar_g)
        assert sum(part.wall.edema_g for part in parts) == pytest.approx(found.whole.edema_g)
    voxel_ml = 0.5 * 0.5 * 8 / 1000
    assert found.whole.scar_g == pytest.approx((labels == 2221).sum() * voxel_ml * 1.05)


@pytest.mark.parametrize("turned", [45.0, 170.0, 290.0])
def test_a_turned_grid_gives_the_same_segments(turned):
    sector = Sector((20, 130), (0, 0.6), (1, 6))
    straight = regional(HEART.labels(sector), HEART.geometry(), BOTH)
    heart = RingHeart(spacing_mm=(0.5, 0.5, 8.0), anterior_deg=120.0 - turned)
    found = regional(heart.labels(sector), heart.geometry(turned_deg=turned), BOTH)
    assert scar_percent(found) == pytest.approx(scar_percent(straight), abs=2.5)


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(False, True, False), (True, False, True)])
def test_flipped_and_permuted_files_give_the_same_segments(order, flips):
    labels, geometry = HEART.labels(Sector((20, 130), (0, 0.6))), HEART.geometry()
    straight = scar_percent(regional(labels, geometry, BOTH))
    # A file whose canonical form is this stack, its axes in another order and direction.
    stored = Geometry(
        tuple(geometry.size_xyz[k] for k in order),
        tuple(geometry.spacing_mm[k] for k in order),
        geometry.origin_mm,
        tuple((geometry.axes[list(order)] * np.where(flips, -1, 1)[:, None]).T.ravel().tolist()),
    )
    original = canonical_grid(stored)
    in_file = from_canonical(labels, original)
    found = regional(to_canonical(in_file, original), original.canonical_geometry, BOTH)
    assert in_file.shape == stored.array_shape
    assert np.array_equal(scar_percent(found), straight)


@pytest.mark.parametrize("mirrored", [False, True])
def test_apex_first_and_mirrored_without_directions_need_one_click_only(mirrored):
    sector = Sector((20, 130), (0, 0.6), (1, 6))
    straight = regional(HEART.labels(sector), HEART.geometry(), BOTH)
    heart = RingHeart(spacing_mm=(0.5, 0.5, 8.0), mirrored=mirrored, anterior_deg=33.0)
    labels = np.ascontiguousarray(heart.labels(sector)[::-1])
    asked = regional(labels, heart.without_directions(), BOTH)
    assert asked.ask == "anterior_insertion"
    assert asked.segments == ()
    index, row, column = heart.insertion_click()
    click = Landmark(heart.slices - 1 - index, row, column)
    found = regional(labels, heart.without_directions(), BOTH, landmarks=Landmarks(click))
    assert scar_percent(found) == pytest.approx(scar_percent(straight), abs=2.5)
    assert found.slices[0].level == "apex"


def test_what_is_asked_for_leaves_all_other_numbers():
    heart = RingHeart(septum=False)
    found = regional(heart.labels(Sector((0, 90))), heart.without_directions(), BOTH)
    assert found.segments_reason.startswith("no segments: the label map has no right ventricle")
    assert found.segments_reason.endswith("give the anterior RV insertion point")
    assert found.whole.scar_percent == pytest.approx(25, abs=1)
    assert found.surface.infarct_percent == pytest.approx(25, abs=1)
    assert found.whole.transmurality.over_half_percent == pytest.approx(25, abs=1)


def test_an_open_basal_ring_is_named_and_its_missing_segment_not_assessed():
    sectors = [Sector((100, 360), (0, 1), (0, 1), 0), Sector((295, 365), (0, 1), (0, 4), 500)]
    found = regional(HEART.labels(*sectors), HEART.geometry(), BOTH)
    assert any(warning.startswith("Slice 1: less than half a ring") for warning in found.warnings)
    anterior = found.segments[0]
    assert anterior.reason == "no myocardium in this part"
    assert (anterior.wall.scar_percent, anterior.wall.transmurality.mean_percent) == (None, None)


def test_an_empty_scar_is_zero_everywhere_and_not_missing():
    found = regional(HEART.labels(), HEART.geometry(), BOTH)
    assert (scar_percent(found) == 0).all()
    assert found.surface.infarct_cm2 == 0
    assert found.segments[1].wall.transmurality.mean_percent == 0
    assert found.segments[1].wall.transmurality.mean_where_scar_percent is None


def test_one_slice_has_depth_but_no_segments():
    heart = RingHeart(slices=1, solid=0, spacing_mm=(0.5, 0.5, 8.0))
    found = regional(heart.labels(Sector((0, 90), (0, 0.5))), heart.geometry(), BOTH)
    assert found.segments == ()
    assert found.segments_reason.startswith("no segments: fewer than three slices")
    assert found.ask is None
    assert found.slices[0].wall.transmurality.mean_percent == pytest.approx(12.5, abs=0.5)


@pytest.mark.parametrize("value", [0, 500, 600])
def test_a_label_map_without_myocardium_has_reasons_instead_of_numbers(value):
    labels = np.full(HEART.geometry().array_shape, value, np.uint16)
    found = regional(labels, HEART.geometry(), BOTH)
    assert found.segments_reason == "no segments: no myocardium was found"
    assert found.whole.scar_percent is None
    assert found.surface.infarct_percent is None
    assert found.salvage.reason == "no myocardium was found"


def test_what_the_images_cannot_show_is_none_not_zero():
    labels = HEART.labels(Sector((0, 90), value=1220))
    found = regional(labels, HEART.geometry(), frozenset({"edema"}))
    wall = found.segments[1].wall
    assert (wall.scar_percent, wall.scar_g, wall.transmurality) == (None, None, None)
    assert wall.edema_percent == pytest.approx(100, abs=2.5)
    assert found.surface.reason == "not assessed: there is no LGE image"
    assert found.slices[2].infarct_endocardium_mm is None


@pytest.mark.parametrize(("too_far_deg", "answer"), [(0, ""), (40, "warned"), (80, "asked")])
def test_anteroseptal_scar_is_never_given_to_another_wall_without_a_word(too_far_deg, answer):
    heart = RingHeart(right_deg=(-too_far_deg, 120))
    found = regional(heart.labels(Sector((0, 60))), heart.geometry(), BOTH)
    warned = any("across the septum" in words for words in found.warnings)
    assert warned == (answer == "warned")
    if answer == "asked":
        assert found.segments == () and found.ask == "anterior_insertion"
        return
    rows = {
        row["quantity"]: row
        for row in regional_tables.rows(found, "case")
        if row["structure"] == "segments"
    }
    assert rows["septum_deg"]["value"] == pytest.approx(120 + too_far_deg, abs=4)
    assert regional_tables.plain(found)["orientation"]["septum_deg"] == rows["septum_deg"]["value"]
    if not too_far_deg:
        scarred = [one.number for one in found.segments if one.wall.scar_percent > 90]
        assert {2, 8} <= set(scarred)


def test_unknown_spacing_gives_shares_but_no_grams_and_no_area():
    found = regional(HEART.labels(Sector((0, 90))), HEART.geometry(), BOTH, spacing_known=False)
    assert (found.whole.mass_g, found.whole.scar_g, found.surface.total_cm2) == (None, None, None)
    assert {one.endocardium_mm for one in found.slices} == {None}
    assert {one.infarct_endocardium_mm for one in found.slices} == {None}
    rows = [row for row in regional_tables.rows(found, "case") if row["unit"] in ("mm", "g", "cm2")]
    assert rows and all(row["value"] is None for row in rows)
    assert all("spacing" in row["note"] for row in rows), rows
    assert found.whole.scar_percent == pytest.approx(25, abs=1)


def test_labels_of_another_grid_are_refused():
    with pytest.raises(ValueError, match="expected labels of"):
        regional(HEART.labels()[:, 1:], HEART.geometry(), BOTH)


def test_a_stack_that_stops_before_the_apex_is_named():
    heart = RingHeart(solid=0, narrowing=0.1)
    found = regional(heart.labels(), heart.geometry(), BOTH)
    assert any("may not reach" in warning for warning in found.warnings)


def test_every_number_is_a_row_and_json_holds_the_same():
    found = regional(HEART.labels(Sector((0, 90))), HEART.geometry(), BOTH)
    rows = regional_tables.rows(found, "case 7")
    assert {tuple(row) for row in rows} == {COLUMNS}
    values = {(row["slice"], row["structure"], row["quantity"]): row["value"] for row in rows}
    assert len(values) == len(rows)
    name = "segment_02_basal_anteroseptal"
    assert values["all", name, "scar_percent"] == found.segments[1].wall.scar_percent
    assert values["3", "endocardium", "infarct_mm"] == found.slices[2].infarct_endocardium_mm
    assert any(row["note"].startswith("A 2019") for row in rows if row["quantity"] == "index")
    plain = json.loads(json.dumps(regional_tables.plain(found), allow_nan=False))
    assert plain["segments"][1]["wall"]["scar_percent"] == found.segments[1].wall.scar_percent
    assert len(plain["slices"]) == HEART.slices
    csv.DictWriter(io.StringIO(), COLUMNS).writerows(rows)


@pytest.mark.parametrize("seed", range(8))
def test_any_label_map_keeps_the_rules(seed):
    rng = np.random.default_rng(seed)
    heart = RingHeart(spacing_mm=(2.0, 2.5, 8.0), septum=bool(seed % 2))
    labels = heart.labels(Sector((0, 200), (0, 0.7)))
    # Label noise over the heart, slices left out, and in the last seeds nothing but noise.
    values = np.array([0, 200, 500, 600, 1220, 2221, 2222], np.uint16)
    noise = rng.choice(values, labels.shape)
    labels = np.where(rng.random(labels.shape) < (0.2 if seed < 6 else 1.0), noise, labels)
    labels[rng.random(len(labels)) < 0.3] = 0
    click = Landmarks(Landmark(*heart.insertion_click()), Landmark(*heart.insertion_click(120.0)))
    known = click if np.isin(labels[2], (200, 500)).any() else None
    found = regional(labels, heart.geometry(), BOTH, landmarks=known)
    scar = np.isin(labels, (2221, 2222)).sum()
    assert found.whole.scar_g == pytest.approx(scar * 2.0 * 2.5 * 8 / 1000 * 1.05)
    for parts in (found.segments, found.slices):
        if parts:
            assert sum(part.wall.voxels for part in parts) == found.whole.voxels
    for part in (*found.segments, *found.slices):
        wall = part.wall
        shares = [wall.scar_percent, wall.edema_percent, wall.scar_or_edema_percent]
        shares += [wall.transmurality.mean_percent, wall.transmurality.over_half_percent]
        assert all(share is None or 0 <= share <= 100 for share in shares)
    assert 0 <= found.surface.infarct_cm2 <= found.surface.total_cm2


# Phantom patients

UPRIGHT = PhantomConfig(dropout=False, view="heart", upright=True)
TURNED = PhantomConfig(dropout=False, view="heart")


@pytest.fixture
def phantom(monkeypatch):
    """Give phantom patients without their images, which take long and are not looked at."""
    monkeypatch.setattr(patients, "_images", lambda *_: {})
    return patients.generate_patient


def stored(patient):
    """Labels on the canonical grid, and that grid, as a file of this patient gives them."""
    depth, height, width = patient.labels.shape
    direction = short_axis_direction(
        np.random.default_rng([patient.seed, 21]), patient.description["apex_first"] is True
    )
    size = (width, height, depth)
    original = canonical_grid(Geometry(size, patient.spacing_mm, (0.0, 0.0, 0.0), direction))
    return to_canonical(patient.labels, original), original.canonical_geometry


def turned_insertion(seed, anterior_deg, labels, index):
    """Row and column of an upright heart's anterior insertion on the same seed's turned heart."""
    rng = np.random.default_rng([seed, 20])
    injury = patients._draw_injury(rng, TURNED)
    stack = patients._sample_stack(rng, sample_heart(rng, injury), TURNED)
    rows, columns = np.nonzero(np.isin(labels[index], (200, 500, 1220, 2221)))
    reach, angle = np.sqrt(rows.size / np.pi), np.radians(anterior_deg)
    x, y = stack.mirror * reach * np.cos(angle), -reach * np.sin(angle)
    cos, sin = np.cos(stack.turn), np.sin(stack.turn)
    return rows.mean() + sin * x + cos * y, columns.mean() + cos * x - sin * y


# Mirrored and turned by 11, turned by 335, mirrored and turned by 285 degrees. These scars hardly
# fray: the noise that frays others lies still in the image while the heart turns.
@pytest.mark.slow
@pytest.mark.parametrize("seed", [900028, 900057, 900058])
def test_one_phantom_heart_upright_and_turned_has_the_same_segments(phantom, seed):
    found = regional(*stored(phantom(seed, UPRIGHT)), BOTH)
    labels, geometry = stored(phantom(seed, TURNED))
    index = next(k for k, one in enumerate(found.slices) if one.level == "mid")
    place = turned_insertion(seed, found.orientation.anterior_deg, labels, index)
    again = regional(labels, geometry, BOTH, landmarks=Landmarks(Landmark(index, *place)))
    straight, turned = scar_percent(found)[:16], scar_percent(again)[:16]
    assert straight.max() > 30
    assert turned == pytest.approx(straight, abs=5)
    assert again.surface.infarct_percent == pytest.approx(found.surface.infarct_percent, abs=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "territory"), [(900007, {3, 4, 9, 10, 15}), (900023, {1, 2, 7, 8, 13, 14})]
)
def test_a_phantom_infarct_lies_in_the_segments_of_its_artery(phantom, seed, territory):
    # Cerqueira et al. 2002: right coronary artery and left anterior descending artery.
    patient = phantom(seed, UPRIGHT)
    artery = patient.description["infarcts"][0]["territory"]
    assert artery == {900007: "RCA", 900023: "LAD"}[seed]
    worst = int(np.argmax(scar_percent(regional(*stored(patient), BOTH))[:16])) + 1
    assert worst in territory
