"""The Jensen-Shannon divergence of where points lie: known values, slow computation, cells, intervals."""

from collections import Counter

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from voxgen.metrics.bootstrap import Bootstrap
from voxgen.metrics.point_clouds import Bounds, jensen_shannon, point_histograms

BOX = ((0.0, 28.0), (0.0, 14.0), (-1.0, 0.5))  # 28, 14 and 2 cells of edge 1


def uniform(n: int, seed: int, points: int = 200) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low, high = np.array(BOX).T
    return rng.uniform(low, high, (n, points, 3))


def divergence(a: np.ndarray, b: np.ndarray, bounds: Bounds) -> float:
    """Of the points of two sets of clouds, in the cells of a box."""
    return jensen_shannon(*point_histograms([a, b], bounds))


def slow_cells(cloud: np.ndarray) -> Counter[tuple[int, ...]]:
    return Counter((int(x), int(y), int(z >= 0)) for x, y, z in cloud)


def test_equals_the_slow_computation_in_a_box_of_unequal_sides() -> None:
    a, b = uniform(6, 0), uniform(5, 1) * [1, 0.5, 1]
    p, q = (sum((slow_cells(cloud) for cloud in one), Counter()) for one in (a, b))
    cells = sorted(p | q)
    expected = jensenshannon([p[c] for c in cells], [q[c] for c in cells], base=2) ** 2
    assert divergence(a, b, BOX) == pytest.approx(expected, rel=1e-9)
    assert 0.05 < expected < 0.95


def test_same_is_0_apart_is_1_and_half_is_between() -> None:
    a = uniform(4, 0)
    assert divergence(a, a[::-1, ::-1], BOX) == 0
    left = a * np.array([0.4, 1, 1])
    assert divergence(left, left + np.array([14, 0, 0]), BOX) == 1
    one, both = np.array([[4, 0]]), np.array([[1, 1], [2, 2]])
    by_hand = (np.log2(4 / 3) + 0.5 * np.log2(2 / 3) + 0.5) / 2
    assert jensen_shannon(one, both) == pytest.approx(by_hand)
    assert jensen_shannon(both, one) == pytest.approx(by_hand)


def test_nearly_equal_distributions_do_not_fall_below_0() -> None:
    histogram = np.random.default_rng(0).integers(1, 99, (1, 500))
    for factor in (3, 7, 49):
        assert 0 <= jensen_shannon(histogram, factor * histogram) < 1e-12


def test_histograms_hold_every_point_cloud_by_cloud() -> None:
    a, b = uniform(3, 0, points=50), uniform(2, 1, points=80)
    of_a, of_b = point_histograms([a, b], BOX)
    assert of_a.shape[1] == of_b.shape[1] <= 28 * 14 * 2
    np.testing.assert_array_equal(of_a.sum(1), [50] * 3)
    np.testing.assert_array_equal(of_b.sum(1), [80] * 2)
    assert ((of_a.sum(0) + of_b.sum(0)) > 0).all()
    for cloud, histogram in zip(a, of_a, strict=True):
        assert sorted(slow_cells(cloud).values()) == sorted(histogram[histogram > 0])


@pytest.mark.parametrize(("bins", "cells"), [(1, 1), (2, 2 * 1 * 1), (4, 4 * 2 * 1), (28, 28 * 14 * 2)])
def test_cells_are_cubes_with_bins_along_the_longest_side(bins: int, cells: int) -> None:
    assert point_histograms([uniform(20, 0, points=1000)], BOX, bins)[0].shape == (20, cells)


def test_faces_are_inside_and_all_outside_is_one_cell() -> None:
    corners = np.array([[[0.0, 0.0, -1.0], [28.0, 14.0, 0.5]]])
    outside = np.array([[[-0.1, 0.0, 0.0], [50.0, 50.0, 50.0]]])
    of_corners, of_outside = point_histograms([corners, outside], BOX)
    np.testing.assert_array_equal(of_corners, [[0, 1, 1]])
    np.testing.assert_array_equal(of_outside, [[2, 0, 0]])
    assert divergence(corners, outside, BOX) == 1


def test_a_flat_box_has_one_layer() -> None:
    flat = uniform(3, 0) * [1, 1, 0]
    assert divergence(flat, flat, ((0, 28), (0, 14), (0, 0))) == 0
    assert point_histograms([flat], ((0, 28), (0, 14), (0, 0)))[0].shape[1] <= 28 * 14


def test_intervals_over_clouds_tell_a_shift_from_the_floor() -> None:
    """Two draws of one distribution are above 0, and what differs is above that floor."""
    a, b = uniform(40, 0), uniform(40, 1)
    moved = np.where(uniform(40, 2) < 14, uniform(40, 3) * [0.5, 1, 1], uniform(40, 4))
    of_a, of_b, of_moved = point_histograms([a, b, moved], BOX)
    bootstrap = Bootstrap(50, 0.95, seed=0)
    floor = bootstrap.jackknife(jensen_shannon, of_a, of_b, "jsd")
    model = bootstrap.jackknife(jensen_shannon, of_moved, of_b, "jsd")
    assert floor.value == divergence(a, b, BOX) > 0
    assert floor.high < model.low
    again = divergence(uniform(40, 5), uniform(40, 6), BOX)
    assert floor.low < again < floor.high
    repeating = bootstrap.pair(jensen_shannon, of_a, of_b, "jsd")
    assert repeating.low > floor.value  # why it is not the bootstrap's interval


@pytest.mark.parametrize("spacing", [0.1, 0.3, 0.7])
@pytest.mark.parametrize("low", [0.0, 0.1, 12.3])
@pytest.mark.parametrize("along", [7, 14, 20])
def test_sides_of_whole_cells_have_as_many(spacing: float, low: float, along: int) -> None:
    """In a grid's bounds rounding makes 14.000000000000002 cells: still 14, with the top face in the last."""
    bounds = ((low, low + spacing * 28), (low, low + spacing * along))
    ends = np.array([[[bounds[0][0], bounds[1][1] - 0.5 * spacing], [bounds[0][0], bounds[1][1]]]])
    assert point_histograms([ends], bounds)[0].shape == (1, 1)


@pytest.mark.parametrize(
    ("bounds", "bins"),
    [(BOX[:2], 28), (((0, 1), (2, 1), (0, 1)), 28), (((1, 1),) * 3, 28), (BOX, 0)],
)
def test_refusals(bounds: tuple[tuple[float, float], ...], bins: int) -> None:
    with pytest.raises(ValueError, match="bounds"):
        point_histograms([uniform(2, 0)], bounds, bins)


def test_no_points_have_no_distribution() -> None:
    with pytest.raises(ValueError, match="without points"):
        jensen_shannon(np.zeros((2, 3)), np.ones((2, 3)))
