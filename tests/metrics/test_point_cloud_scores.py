"""1-NNA, coverage and minimum matching distance: their definitions, known values, what they see."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from voxgen.metrics.cloud_distances import chamfer_matrix, earth_movers_matrix
from voxgen.metrics.point_clouds import (
    coverage,
    minimum_matching,
    mutual_neighbours,
    nearest_neighbour_correct,
)

Distances = Callable[..., np.ndarray]
BOTH = pytest.mark.parametrize("distances", [chamfer_matrix, earth_movers_matrix])


def clouds(n: int, seed: int, shift: float = 0.0, blur: float = 0.0) -> np.ndarray:
    """Spheres of different radii, far from the origin, in nm."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(n, 48, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    radius = rng.uniform(500, 1500, (n, 1, 1))
    return 20_000 + shift + radius * directions + blur * rng.normal(size=directions.shape)


def on_a_line(*places: float) -> np.ndarray:
    """Clouds of one point each, whose earth mover's distances are the differences of their places."""
    return np.array(places, dtype=float).reshape(-1, 1, 1)


def accuracy(distances: Distances, a: np.ndarray, b: np.ndarray) -> float:
    return float(nearest_neighbour_correct(distances(a), distances(b), distances(a, b)).mean())


def slow_accuracy(aa: np.ndarray, bb: np.ndarray, ab: np.ndarray) -> float:
    """PointFlow's equation for 1-NNA, cloud by cloud in the union of both sets; ties count half."""
    union = np.block([[aa, ab], [ab.T, bb]])
    own_set = np.repeat([0, 1], [len(aa), len(bb)])
    correct = 0.0
    for i, distances in enumerate(union):
        others = [j for j in range(len(union)) if j != i]
        least = min(distances[j] for j in others)
        sets = {own_set[j] for j in others if distances[j] == least}
        correct += 0.5 if len(sets) == 2 else sets == {own_set[i]}
    return correct / len(union)


@pytest.mark.parametrize("seed", range(8))
def test_scores_are_their_definitions(seed: int) -> None:
    """Distances of few values, so that ties occur; `slow_accuracy` counts ties in the same way."""
    rng = np.random.default_rng(seed)
    aa, bb = (np.triu(rng.integers(1, 5, (n, n)), 1).astype(float) for n in (6, 8))
    aa, bb = aa + aa.T, bb + bb.T
    ab = rng.integers(1, 5, (6, 8)).astype(float)
    assert nearest_neighbour_correct(aa, bb, ab).mean() == pytest.approx(slow_accuracy(aa, bb, ab))
    nearest = {min(range(8), key=lambda j: ab[i, j]) for i in range(6)}
    assert coverage(ab).mean() == len(nearest) / 8
    assert minimum_matching(ab).mean() == np.mean([min(ab[i, j] for i in range(6)) for j in range(8)])


def test_scores_of_a_matrix_by_hand() -> None:
    ab = np.array([[1.0, 2.0, 9.0], [2.0, 3.0, 8.0]])
    np.testing.assert_array_equal(coverage(ab), [1, 0, 0])
    np.testing.assert_array_equal(minimum_matching(ab), [1, 2, 8])
    aa, bb = np.array([[0, 1.0], [1.0, 0]]), np.array([[0, 5.0, 5], [5, 0, 1], [5, 1, 0.0]])
    np.testing.assert_array_equal(nearest_neighbour_correct(aa, bb, ab), [0.5, 1, 0, 1, 1])


def test_ties_count_half_in_accuracy_and_once_in_coverage() -> None:
    middle, ends = on_a_line(0, 100), on_a_line(-1, 1, 99, 101)
    aa, bb, ab = earth_movers_matrix(middle), earth_movers_matrix(ends), earth_movers_matrix(middle, ends)
    np.testing.assert_array_equal(nearest_neighbour_correct(aa, bb, ab), np.zeros(6))
    np.testing.assert_array_equal(coverage(ab), [1, 0, 1, 0])
    pairs = on_a_line(0, 1), on_a_line(-1, 2)  # each end is 1 from one of its own and of the others
    tied = nearest_neighbour_correct(*map(earth_movers_matrix, pairs), earth_movers_matrix(*pairs))
    np.testing.assert_array_equal(tied, [0.5, 0.5, 0, 0])


@BOTH
def test_one_distribution_gives_half_and_sets_apart_give_one(distances: Distances) -> None:
    a, b, far = clouds(40, 0), clouds(40, 1), clouds(40, 2, shift=5000)
    assert 0.35 < accuracy(distances, a, b) < 0.65
    assert accuracy(distances, a, far) == 1


def test_copies_are_below_half() -> None:
    """A set of copies is all wrong; where half are copies, those and what they copy are wrong."""
    a, b = clouds(30, 0), clouds(30, 1)
    assert accuracy(earth_movers_matrix, a, a[::-1]) == 0
    copied = np.concatenate([b[:15], a[15:]])
    correct = nearest_neighbour_correct(
        earth_movers_matrix(copied), earth_movers_matrix(b), earth_movers_matrix(copied, b)
    )
    assert correct[:15].max() == 0
    assert correct[30:45].max() == 0
    itself = earth_movers_matrix(a)
    assert coverage(itself).mean() == 1
    assert minimum_matching(itself).mean() == 0


def test_collapse_to_one_cloud_by_hand() -> None:
    """The collapsed clouds are right, and two of the references: the others are nearest to collapsed ones."""
    collapsed, references = on_a_line(1.0, 1.1, 1.2, 1.3), on_a_line(0, 10, 20, 30)
    matrix = earth_movers_matrix(collapsed, references)
    assert accuracy(earth_movers_matrix, collapsed, references) == 6 / 8
    assert coverage(matrix).mean() == 1 / 4
    assert minimum_matching(matrix).mean() == pytest.approx((1 + 8.7 + 18.7 + 28.7) / 4)


@BOTH
def test_collapse_to_one_shape_is_seen(distances: Distances) -> None:
    collapsed = np.repeat(clouds(1, 3), 20, axis=0) + np.random.default_rng(0).normal(0, 1, (20, 48, 3))
    assert coverage(distances(collapsed, clouds(20, 4))).mean() <= 0.1
    assert accuracy(distances, collapsed, clouds(20, 4)) > 0.7


@BOTH
def test_a_blur_as_wide_as_the_spheres_is_seen_and_a_tenth_of_it_is_not(distances: Distances) -> None:
    """With so few points 1-NNA does not see a small blur: sharpness stands beside it for that."""
    sharp, other = clouds(40, 0), clouds(40, 1)
    slightly, widely = clouds(40, 1, blur=100), clouds(40, 1, blur=1000)
    floor = accuracy(distances, other, sharp)
    assert abs(accuracy(distances, slightly, sharp) - floor) < 0.15
    assert accuracy(distances, widely, sharp) > floor + 0.3
    nearest = [minimum_matching(distances(one, sharp)).mean() for one in (other, slightly, widely)]
    assert nearest[0] < nearest[1] < nearest[2] / 2


def test_a_shift_is_the_distance_to_what_was_shifted() -> None:
    a = clouds(20, 0)
    shifted = a + np.array([3.0, 0, 4.0])
    np.testing.assert_allclose(minimum_matching(earth_movers_matrix(shifted, a)), 5, rtol=1e-9)


def test_mutual_neighbours_share_a_number() -> None:
    a, b = np.array([[0.0], [0.1], [5.0]]), np.array([[5.2], [9.0]])
    parts = (cdist(a, a), cdist(b, b), cdist(a, b))
    assert mutual_neighbours(*parts).tolist() == [
        0,
        0,
        1,
        1,
        2,
    ]  # 9 is nearest to 5.2, which has a nearer one
