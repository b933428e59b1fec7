import numpy as np
import pytest
from ring_heart import RingHeart

from myops.errors import InputError
from myops.geometry.grid import Geometry
from myops.quantify.regional.insertion import find_septum
from myops.quantify.regional.orientation import (
    Landmark,
    Landmarks,
    Orientation,
    Question,
    check_landmarks,
    find_apex,
    find_orientation,
    is_short_axis,
)
from myops.quantify.regional.polar import lv_centers, search_rays

HEART = RingHeart()


def septum_of(labels, spacing_mm):
    polar = search_rays(labels, lv_centers(labels, spacing_mm), spacing_mm)
    return find_septum(polar, np.ones(len(labels), bool))


def oriented(labels, geometry, landmarks=None):
    landmarks = landmarks or Landmarks()
    check_landmarks(landmarks, labels)
    centers = lv_centers(labels, geometry.spacing_mm)
    septum = septum_of(labels, geometry.spacing_mm)
    return find_orientation(septum, geometry, True, landmarks, labels, centers)


# The right ventricle's insertions


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 8.0), (0.8, 1.6, 8.0)])
@pytest.mark.parametrize("anterior", [0.0, 77.0, 120.0, 355.0])
def test_both_insertions_are_found_at_any_angle(spacing, anterior):
    heart = RingHeart(spacing_mm=spacing, anterior_deg=anterior)
    septum = septum_of(heart.labels(), spacing)
    assert abs((septum.start_deg - anterior + 180) % 360 - 180) < 4
    assert abs(septum.width_deg - 120) < 5
    assert septum.spread_deg < 4


def test_a_gap_between_a_coarse_right_ventricle_and_the_wall_does_not_matter():
    labels = HEART.labels()
    edge = HEART.labels()
    for shift, axis in ((1, 1), (-1, 1), (1, 2), (-1, 2)):
        touching = (labels == 600) & np.isin(np.roll(edge, shift, axis), (200, 500))
        labels[touching] = 0
    septum = septum_of(labels, HEART.spacing_mm)
    assert abs(septum.width_deg - 120) < 6


def test_trabeculae_between_right_ventricle_and_wall_do_not_end_the_septum():
    heart = RingHeart(anterior_deg=90.0)
    labels = heart.labels()
    middle = labels.shape[1] // 2
    # 40 degrees of the septum without RV, around 150 degrees as displayed.
    labels[:, middle - 25 : middle - 5, : middle - 10][
        labels[:, middle - 25 : middle - 5, : middle - 10] == 600
    ] = 0
    septum = septum_of(labels, heart.spacing_mm)
    assert abs(septum.width_deg - 120) < 5


def test_no_right_ventricle_has_no_septum():
    assert septum_of(RingHeart(septum=False).labels(), HEART.spacing_mm) is None


def test_a_right_ventricle_all_around_has_no_septum():
    labels = HEART.labels()
    labels[labels == 0] = 600
    assert septum_of(labels, HEART.spacing_mm) is None


def test_insertions_elsewhere_in_every_slice_are_not_averaged():
    angles = (0.0, 90.0, 180.0, 270.0)
    planes = [RingHeart(anterior_deg=a, narrowing=0.0).labels()[0] for a in angles]
    assert septum_of(np.stack(planes), HEART.spacing_mm) is None


# A right ventricle that reaches too far, or not far enough


@pytest.mark.parametrize(
    ("right_deg", "width"),
    [((0, 120), 120), ((-20, 120), 140), ((0, 146), 146), ((28, 120), 92)],
)
def test_a_septum_of_about_120_degrees_is_named_and_raises_no_warning(right_deg, width):
    heart = RingHeart(right_deg=right_deg)
    found = oriented(heart.labels(), heart.geometry())
    assert found.septum_deg == pytest.approx(width, abs=4)
    assert f"{found.septum_deg:.0f} degrees of septum" in found.source
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("right_deg", "width"),
    [((-40, 120), 160), ((0, 165), 165), ((-25, 140), 165), ((45, 120), 75)],
)
def test_a_contact_that_is_half_a_segment_too_long_or_short_is_doubted(right_deg, width):
    heart = RingHeart(right_deg=right_deg)
    found = oriented(heart.labels(), heart.geometry())
    assert isinstance(found, Orientation)
    (words,) = (w for w in found.warnings if "across the septum" in w)
    assert f"{found.septum_deg:.0f} degrees apart" in words
    assert found.septum_deg == pytest.approx(width, abs=4)


@pytest.mark.parametrize("right_deg", [(-65, 120), (0, 186), (-35, 150), (65, 120)])
def test_a_contact_that_is_a_whole_segment_wrong_is_asked_about(right_deg):
    heart = RingHeart(right_deg=right_deg)
    question = oriented(heart.labels(), heart.geometry())
    assert isinstance(question, Question) and question.ask == "anterior_insertion"
    assert "a septum spans about 120" in question.reason
    click = Landmarks(Landmark(*heart.insertion_click()))
    told = oriented(heart.labels(), heart.geometry(), click)
    assert told.anterior_deg == pytest.approx(heart.anterior_deg, abs=2)
    assert not any("across the septum" in words for words in told.warnings)


def test_clicks_that_are_too_near_to_each_other_are_doubted():
    clicks = [Landmark(*HEART.insertion_click(angle)) for angle in (0.0, 40.0, 120.0)]
    near = oriented(HEART.labels(), HEART.geometry(), Landmarks(clicks[0], clicks[1]))
    assert any("clicked insertions are 40 degrees apart" in words for words in near.warnings)
    right = oriented(HEART.labels(), HEART.geometry(), Landmarks(clicks[0], clicks[2]))
    assert right.warnings == ()


# The apex


def test_short_axis_directions_are_told_from_lost_ones():
    assert is_short_axis(HEART.geometry())
    assert not is_short_axis(HEART.without_directions())


def test_the_header_tells_the_apex_where_the_shape_does_not():
    heart = RingHeart(narrowing=0.0, solid=0)
    assert find_apex(heart.labels(), heart.geometry(), None) is True


def test_without_directions_the_heart_tapers_to_the_apex():
    labels = HEART.labels()
    assert find_apex(labels, HEART.without_directions(), None) is True
    assert find_apex(labels[::-1], HEART.without_directions(), None) is False


def test_without_directions_and_taper_the_apex_is_asked_for_and_can_be_told():
    heart = RingHeart(narrowing=0.0, solid=0)
    question = find_apex(heart.labels(), heart.without_directions(), None)
    assert isinstance(question, Question)
    assert question.ask == "apex"
    assert find_apex(heart.labels(), heart.without_directions(), "first") is False


def test_a_heart_that_tapers_against_its_header_is_asked_about():
    question = find_apex(HEART.labels()[::-1], HEART.geometry(), None)
    assert isinstance(question, Question)
    assert "header calls the base" in question.reason


# Anterior and inferior


def test_directions_tell_the_anterior_from_the_inferior_insertion():
    found = oriented(HEART.labels(), HEART.geometry())
    assert found.anterior_deg == pytest.approx(120, abs=3)
    assert found.septum_turn == 1
    assert found.septum_deg == pytest.approx(120, abs=5)


@pytest.mark.parametrize("turned", [-100.0, 30.0, 180.0])
def test_a_picture_turned_with_its_directions_keeps_its_anterior_wall(turned):
    heart = RingHeart(anterior_deg=120.0 - turned)
    found = oriented(heart.labels(), heart.geometry(turned_deg=turned))
    assert abs((found.anterior_deg - heart.anterior_deg + 180) % 360 - 180) < 3
    assert found.septum_turn == 1


def mirrored_axis(geometry: Geometry) -> Geometry:
    """Rows that run from the patient's left to the right, with the header saying so."""
    axes = geometry.axes.copy()
    axes[0] *= -1
    direction = tuple(float(value) for value in axes.T.ravel())
    return Geometry(geometry.size_xyz, geometry.spacing_mm, geometry.origin_mm, direction)


def test_a_mirrored_picture_whose_header_says_so_has_its_septum_clockwise():
    labels = np.ascontiguousarray(HEART.labels()[:, :, ::-1])
    found = oriented(labels, mirrored_axis(HEART.geometry()))
    # 120 degrees, seen in a mirror, is 60 degrees.
    assert found.anterior_deg == pytest.approx(60, abs=3)
    assert found.septum_turn == -1


def test_a_mirrored_picture_whose_header_does_not_say_so_is_asked_about():
    labels = np.ascontiguousarray(HEART.labels()[:, :, ::-1])
    question = oriented(labels, HEART.geometry())
    assert isinstance(question, Question)
    assert question.ask == "anterior_insertion"
    assert "mirrored" in question.reason


def test_a_click_settles_a_mirrored_picture_and_says_what_is_wrong():
    heart = RingHeart(mirrored=True, anterior_deg=60.0)
    landmarks = Landmarks(Landmark(*heart.insertion_click()))
    found = oriented(heart.labels(), heart.geometry(), landmarks)
    assert found.anterior_deg == pytest.approx(60, abs=0.5)
    assert found.septum_turn == -1
    assert "mirrored" in found.warnings[0]


def test_without_directions_the_anterior_insertion_is_asked_for():
    question = oriented(HEART.labels(), HEART.without_directions())
    assert isinstance(question, Question)
    assert question.ask == "anterior_insertion"


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_click_and_the_right_ventricle_need_no_directions(mirrored):
    heart = RingHeart(mirrored=mirrored, anterior_deg=200.0)
    landmarks = Landmarks(Landmark(*heart.insertion_click()))
    found = oriented(heart.labels(), heart.without_directions(), landmarks)
    assert found.anterior_deg == pytest.approx(200, abs=0.5)
    assert found.septum_turn == (-1 if mirrored else 1)
    assert found.septum_deg == pytest.approx(120, abs=5)
    assert found.warnings == ()


def test_a_click_and_directions_need_no_right_ventricle():
    heart = RingHeart(septum=False)
    found = oriented(
        heart.labels(), heart.geometry(), Landmarks(Landmark(*heart.insertion_click()))
    )
    assert (found.septum_turn, found.septum_deg) == (1, None)


def test_without_right_ventricle_and_directions_a_second_click_is_asked_for():
    heart = RingHeart(septum=False, mirrored=True, anterior_deg=60.0)
    first = Landmark(*heart.insertion_click())
    question = oriented(heart.labels(), heart.without_directions(), Landmarks(first))
    assert isinstance(question, Question)
    assert question.ask == "inferior_insertion"
    both = Landmarks(first, Landmark(*heart.insertion_click(which_deg=120.0)))
    found = oriented(heart.labels(), heart.without_directions(), both)
    assert isinstance(found, Orientation)
    assert found.septum_turn == -1
    assert found.septum_deg == pytest.approx(120, abs=1)


def test_a_click_is_an_angle_in_millimeters():
    heart = RingHeart(spacing_mm=(0.8, 1.6, 8.0), anterior_deg=150.0)
    found = oriented(
        heart.labels(), heart.geometry(), Landmarks(Landmark(*heart.insertion_click()))
    )
    assert found.anterior_deg == pytest.approx(150, abs=0.5)


@pytest.mark.parametrize(
    ("click", "message"),
    [
        (Landmark(99, 55.0, 55.0), "click inside the image"),
        (Landmark(2, -3.0, 55.0), "click inside the image"),
        (Landmark(2, float("nan"), 55.0), "click inside the image"),
        (Landmark(0, 55.0, 30.0), "slice with left ventricle"),
        (Landmark(2, 54.0, 54.0), "click where the RV wall meets the LV"),
    ],
)
def test_a_click_that_gives_no_direction_is_refused(click, message):
    labels = HEART.labels()
    labels[0] = 0
    with pytest.raises(InputError, match=message):
        oriented(labels, HEART.geometry(), Landmarks(click))


def test_an_inferior_click_alone_is_refused():
    landmarks = Landmarks(inferior_insertion=Landmark(*HEART.insertion_click(120.0)))
    with pytest.raises(InputError, match="give the anterior insertion too"):
        oriented(HEART.labels(), HEART.geometry(), landmarks)
