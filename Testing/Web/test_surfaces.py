"""The 3D view's surfaces: where they lie, how large they are, and when they are computed."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("slicer", reason='pip install "myops-segmenter[web]"')

from web_server import waitUntil

from myops.geometry.grid import Geometry
from myops_web.heart3d import Heart3D
from myops_web.surfaces import surface_of
from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork

STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
MIRRORED = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
TURNED = (0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0)
SIZE, SPACING = (80, 76, 12), (1.4, 1.6, 8.0)


def grid(direction=STRAIGHT):
    return Geometry(SIZE, SPACING, (10.0, -20.0, 5.0), direction)


def distances(geometry, index_xyz=(40.0, 37.0, 5.5)):
    """Millimeters of every voxel from a place."""
    z, y, x = np.indices(geometry.array_shape)
    center = geometry.position_mm(np.array(index_xyz))
    return np.linalg.norm(geometry.position_mm(np.stack([x, y, z], -1)) - center, axis=-1), center


def volume_ml(surface):
    """By the divergence theorem: negative where triangles are seen from inside."""
    a, b, c = (surface.points[surface.triangles[:, k]] for k in range(3))
    return np.einsum("ij,ij->", a, np.cross(b, c)) / 6 / 1000


@pytest.mark.parametrize("direction", [STRAIGHT, MIRRORED, TURNED])
def test_a_ball_is_a_ball_in_the_patient_whatever_the_slices_direction(direction):
    geometry = grid(direction)
    far, center = distances(geometry)
    surface = surface_of(far < 30, geometry)
    # 4/3 pi 3 cm^3 = 113.1 mL; seen from outside, so positive.
    assert volume_ml(surface) == pytest.approx(113.1, rel=0.05)
    right_anterior_superior = center * [-1, -1, 1]
    assert np.allclose(surface.points.mean(0), right_anterior_superior, atol=0.5)
    from_middle = np.linalg.norm(surface.points - right_anterior_superior, axis=1)
    # No staircase: of voxels 8 mm high, the corners of a ball's surface lie up to 4 mm off.
    assert from_middle.min() > 26 and from_middle.max() < 33


def test_a_shell_has_an_outside_and_an_inside():
    far, _ = distances(grid())
    surface = surface_of((far < 30) & (far > 18), grid())
    # 113.1 - 24.4 mL.
    assert volume_ml(surface) == pytest.approx(88.7, rel=0.06)


def test_what_touches_the_border_of_the_images_is_closed():
    mask = np.zeros(grid().array_shape, bool)
    mask[:, :20, :20] = True
    # 12 slices of 8 mm, 20 pixels of 1.6 mm and 20 of 1.4 mm.
    assert volume_ml(surface_of(mask, grid())) == pytest.approx(9.6 * 3.2 * 2.8, rel=0.06)


def test_nothing_has_no_surface():
    assert surface_of(np.zeros(grid().array_shape, bool), grid()) is None


@pytest.fixture
def heart():
    """Give a view that follows a reader's labels, and what stands for the logic."""
    far, _ = distances(grid())
    labels = np.zeros(grid().array_shape, np.uint16)
    labels[far < 30] = 200
    labels[far < 20] = 500
    work = BackgroundWork()
    correction = SimpleNamespace(labels=labels, case=SimpleNamespace(geometry=grid()))
    made = Heart3D(SimpleNamespace(correction=correction, work=work))
    made.correction = correction

    def turn():
        work.poll()
        made.follow()
        return made.news()

    made.turn = turn
    yield made
    work.close()


def test_nothing_is_computed_while_nobody_looks(heart):
    assert heart.turn() == [] and heart.wait_s is None
    heart.watch(True)
    assert heart.turn() == [] and 0 < heart.wait_s <= 0.4
    heart.watch(False)
    assert heart.turn() == [] and heart.wait_s is None


def test_only_surfaces_that_have_changed_are_told_again(heart):
    heart.watch(True)
    [news] = waitUntil(heart.turn)
    assert news["all"] and set(news["surfaces"]) == {"scar", "blood_pool", "myocardium"}
    assert news["surfaces"]["scar"] is None
    sent = np.frombuffer(base64.b64decode(news["surfaces"]["blood_pool"]["points"]), "<i2")
    # Hundredths of a millimeter around the middle of the left ventricle.
    assert np.linalg.norm(sent.reshape(-1, 3), axis=1).mean() == pytest.approx(2000, rel=0.05)
    assert heart.turn() == [] and heart.wait_s is None

    changed = heart.correction.labels.copy()
    changed[5, 34:41, 56:60] = 2221
    heart.correction.labels = changed
    [news] = waitUntil(heart.turn)
    # Scar lies in the muscle, whose border has not moved.
    assert not news["all"] and set(news["surfaces"]) == {"scar"}


def test_the_heart_of_the_last_patient_is_gone_at_once(heart):
    heart.watch(True)
    waitUntil(heart.turn)
    heart.correction.case = heart.correction.labels = None
    assert heart.turn() == [{"surfaces": {}, "all": True}]
