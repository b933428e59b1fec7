"""Shortest ways by sweeps: by hand, and beside Dijkstra's algorithm of SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from myops.refine.geodesic import geodesic_distances

SIZE = 48


def by_dijkstra(costs: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """The same distances with a queue: every step costs the mean of its two pixels."""
    rows, columns = costs.shape
    index = np.arange(rows * columns).reshape(rows, columns)
    starts, ends, lengths = [], [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one = index[: rows - down, max(0, -right) : columns - max(0, right)].ravel()
        other = index[down:, max(0, right) : columns + min(0, right)].ravel()
        starts.append(one)
        ends.append(other)
        mean = (costs.ravel()[one] + costs.ravel()[other]) / 2
        lengths.append(mean * np.hypot(down, right))
    graph = coo_matrix(
        (np.concatenate(lengths), (np.concatenate(starts), np.concatenate(ends))),
        shape=(index.size, index.size),
    )
    found = dijkstra(graph.tocsr(), directed=False, indices=index[place])
    return np.asarray(found).reshape(rows, columns)


def ring(inner: float = 12, outer: float = 17) -> np.ndarray:
    """A wall: cheap inside the ring, dear elsewhere."""
    rows, columns = np.indices((SIZE, SIZE))
    radius = np.hypot(rows - 23, columns - 24)
    return np.where((radius >= inner) & (radius <= outer), 1.0, 5.0)


def test_on_a_free_plane_it_is_straight_and_diagonal_steps():
    found = geodesic_distances(np.ones((1, 9, 9)), np.array([[4, 4]]))[0]
    assert found[4, 4] == 0
    assert found[4, 8] == pytest.approx(4)
    assert found[0, 0] == pytest.approx(4 * np.sqrt(2))
    assert found[5, 7] == pytest.approx(2 + np.sqrt(2))


def test_a_way_around_a_wall_is_cheaper_than_through_it():
    costs = np.ones((5, 7))
    costs[0:4, 3] = 100.0  # open at the bottom
    found = geodesic_distances(costs[None], np.array([[0, 2]]))[0]
    # Down beside the wall, below it, and up again; by hand 3 + 2 diagonals + 3.
    assert found[0, 4] == pytest.approx(6 + 2 * np.sqrt(2))


@pytest.mark.parametrize("place", [(23, 39), (8, 24), (36, 33), (23, 24), (2, 2)])
def test_ways_around_a_ring_are_those_of_dijkstra(place):
    found = geodesic_distances(ring()[None], np.array([place]))[0]
    np.testing.assert_allclose(found, by_dijkstra(ring(), place), atol=1e-3)


def test_in_a_noisy_slice_it_is_never_too_short_and_exact_near_the_place():
    costs = 1 + 3 * np.random.default_rng(0).random((SIZE, SIZE))
    found = geodesic_distances(costs[None], np.array([[20, 30]]))[0]
    true = by_dijkstra(costs, (20, 30))
    assert (found >= true - 1e-3).all()
    near = true < 10
    np.testing.assert_allclose(found[near], true[near], atol=0.2)


def test_several_slices_at_a_time_are_each_what_they_are_alone():
    costs = np.stack([ring(), np.ones((SIZE, SIZE)), ring(5, 9)])
    places = np.array([[23, 39], [3, 44], [30, 24]])
    together = geodesic_distances(costs, places)
    for k in range(3):
        alone = geodesic_distances(costs[k : k + 1], places[k : k + 1])[0]
        np.testing.assert_allclose(together[k], alone, atol=1e-3)
