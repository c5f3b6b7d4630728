"""Chamfer distances and the scores on them against a slow direct computation and known values."""

import numpy as np
import pytest

from voxgen.metrics import point_clouds
from voxgen.metrics.point_clouds import (
    chamfer_matrix,
    coverage,
    minimum_matching,
    nearest_neighbour_correct,
)


def slow_chamfer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    matrix = np.zeros((len(a), len(b)))
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            squared = ((left[:, None] - right[None]) ** 2).sum(-1)
            matrix[i, j] = squared.min(1).mean() + squared.min(0).mean()
    return matrix


def clouds(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Noisy spheres of different radii, far from the origin, in nm."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(n, 48, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    radius = rng.uniform(500, 1500, (n, 1, 1))
    return 20_000 + shift + radius * directions


@pytest.mark.parametrize("block", [1, 3 * 48 * 48, 2**20])
def test_matrices_equal_the_direct_computation(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_clouds, "CPU_BLOCK", block)
    a, b = clouds(7, 0), clouds(5, 1)[:, :30]
    np.testing.assert_allclose(chamfer_matrix(a, b), slow_chamfer(a, b), rtol=1e-4)
    itself = chamfer_matrix(a)
    np.testing.assert_allclose(itself, slow_chamfer(a, a), rtol=1e-4, atol=10)
    np.testing.assert_array_equal(itself, itself.T)


def test_known_distance() -> None:
    a = np.zeros((1, 1, 3))
    b = np.array([[[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]]])
    assert chamfer_matrix(a, b)[0, 0] == pytest.approx(12.5)
    assert chamfer_matrix(a, a)[0, 0] == 0


def test_one_distribution_gives_half_and_sets_apart_give_one() -> None:
    a, b, far = clouds(60, 0), clouds(60, 1), clouds(60, 2, shift=5000)
    aa, bb = chamfer_matrix(a), chamfer_matrix(b)
    same = nearest_neighbour_correct(aa, bb, chamfer_matrix(a, b))
    assert same.shape == (120,)
    assert 0.35 < same.mean() < 0.65
    assert nearest_neighbour_correct(aa, chamfer_matrix(far), chamfer_matrix(a, far)).mean() == 1


def test_a_copied_set_covers_itself_at_no_distance() -> None:
    a = clouds(20, 0)
    itself = chamfer_matrix(a)
    assert coverage(itself).mean() == 1
    assert minimum_matching(itself).mean() == pytest.approx(0, abs=10)
    assert nearest_neighbour_correct(itself, itself, itself).mean() == 0


def test_scores_of_a_matrix_by_hand() -> None:
    ab = np.array([[1.0, 2.0, 9.0], [2.0, 3.0, 8.0]])
    np.testing.assert_array_equal(coverage(ab), [1, 0, 0])
    np.testing.assert_array_equal(minimum_matching(ab), [1, 2, 8])
    aa, bb = np.array([[0, 1.0], [1.0, 0]]), np.array([[0, 5.0, 5], [5, 0, 1], [5, 1, 0.0]])
    np.testing.assert_array_equal(nearest_neighbour_correct(aa, bb, ab), [0.5, 1, 0, 1, 1])


def test_collapsed_set_is_seen() -> None:
    collapsed = np.repeat(clouds(1, 3), 20, axis=0) + np.random.default_rng(0).normal(0, 1, (20, 48, 3))
    ab = chamfer_matrix(collapsed, clouds(20, 4))
    assert coverage(ab).mean() <= 0.1


@pytest.mark.parametrize("bad", [np.zeros((2, 3)), np.zeros((0, 4, 3)), np.full((1, 4, 3), np.nan)])
def test_refusals(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="clouds of shape"):
        chamfer_matrix(bad)
