"""Chamfer and earth mover's distances against slow direct computations and known values."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
import torch

from voxgen.metrics import cloud_distances
from voxgen.metrics.cloud_distances import chamfer_matrix, earth_movers_matrix

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
]


def slow_chamfer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    matrix = np.zeros((len(a), len(b)))
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            squared = ((left[:, None] - right[None]) ** 2).sum(-1)
            matrix[i, j] = squared.min(1).mean() + squared.min(0).mean()
    return matrix


def slow_earth_movers(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The least mean distance over all matchings, each of them tried."""
    orders = [list(order) for order in permutations(range(a.shape[1]))]
    return np.array(
        [[min(np.linalg.norm(x - y[order], axis=1).mean() for order in orders) for y in b] for x in a]
    )


def clouds(n: int, seed: int, points: int = 48) -> np.ndarray:
    """Spheres of different radii, far from the origin, in nm."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(n, points, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    radius = rng.uniform(500, 1500, (n, 1, 1))
    return 20_000 + radius * directions


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("block", [1, 3 * 48 * 48, 2**20])
def test_chamfer_equals_the_direct_computation(
    block: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud_distances, "CPU_BLOCK", block)
    monkeypatch.setattr(cloud_distances, "GPU_BLOCK", block)
    a, b = clouds(7, 0), clouds(5, 1)[:, :30]
    np.testing.assert_allclose(chamfer_matrix(a, b, device), slow_chamfer(a, b), rtol=1e-4)
    itself = chamfer_matrix(a, device=device)
    np.testing.assert_allclose(itself, slow_chamfer(a, a), rtol=1e-4, atol=10)
    np.testing.assert_array_equal(itself, itself.T)


def test_known_chamfer_distance() -> None:
    a = np.zeros((1, 1, 3))
    b = np.array([[[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]]])
    assert chamfer_matrix(a, b)[0, 0] == pytest.approx(12.5)
    assert chamfer_matrix(a, a)[0, 0] == 0


def test_earth_movers_equals_the_best_of_all_matchings() -> None:
    a, b = clouds(4, 0, points=6), clouds(3, 1, points=6) + 300
    np.testing.assert_allclose(earth_movers_matrix(a, b), slow_earth_movers(a, b), rtol=1e-12)
    np.testing.assert_allclose(earth_movers_matrix(a), slow_earth_movers(a, a), rtol=1e-12)


def test_known_earth_movers_distances() -> None:
    a = np.array([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]])
    # the nearest points of all three are one point: a matching may use it once
    b = np.array([[[1.0, 0, 0], [1, 3, 0], [1, 0, 4]]])
    assert earth_movers_matrix(a, b)[0, 0] == pytest.approx((np.sqrt(10) + 0 + np.sqrt(17)) / 3)
    assert earth_movers_matrix(3 * a, 3 * b)[0, 0] == pytest.approx(np.sqrt(10) + np.sqrt(17))


def test_a_shift_moves_every_point_by_itself() -> None:
    """No matching is better than the shift's own: the mean of the differences is the shift."""
    a = clouds(3, 0)
    shifted = a[:, ::-1] + np.array([30.0, 0, 40])
    np.testing.assert_allclose(np.diag(earth_movers_matrix(a, shifted)), 50, rtol=1e-9)


def test_earth_movers_distance_is_a_metric() -> None:
    a = clouds(8, 2, points=20)
    shuffled = a[:, np.random.default_rng(0).permutation(20)]
    matrix = earth_movers_matrix(a)
    np.testing.assert_array_equal(np.diag(earth_movers_matrix(a, shuffled)), 0)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_allclose(matrix, earth_movers_matrix(a, shuffled), rtol=1e-9)
    through = (matrix[:, :, None] + matrix[None]).min(axis=1)
    assert (matrix <= through + 1e-9).all()


def test_threads_change_nothing() -> None:
    a, b = clouds(9, 0), clouds(4, 1)
    np.testing.assert_array_equal(earth_movers_matrix(a, b), earth_movers_matrix(a, b, threads=3))
    np.testing.assert_array_equal(earth_movers_matrix(a), earth_movers_matrix(a, threads=3))


@pytest.mark.parametrize("bad", [np.zeros((2, 3)), np.zeros((0, 4, 3)), np.full((1, 4, 3), np.nan)])
@pytest.mark.parametrize("distances", [chamfer_matrix, earth_movers_matrix])
def test_refusals(bad: np.ndarray, distances: Callable[[np.ndarray], np.ndarray]) -> None:
    with pytest.raises(ValueError, match="clouds of shape"):
        distances(bad)


def test_earth_movers_refuses_clouds_of_different_sizes() -> None:
    with pytest.raises(ValueError, match=r"\(48, 3\) and \(30, 3\)"):
        earth_movers_matrix(clouds(2, 0), clouds(2, 1)[:, :30])
