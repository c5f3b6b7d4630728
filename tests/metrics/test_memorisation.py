"""Copies of training volumes: planted ones are found, chance gives the quantile, all against brute force."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from voxgen.batches.views import View, views
from voxgen.metrics import memorisation
from voxgen.metrics.memorisation import NEIGHBOURS, closeness, copies_test, nearest, pooled
from voxgen.metrics.permutation import p_value, permuted

ALL = views("xyz", ["xy", "xz", "yz"])  # the 48 orientations of a cube


def volumes(n: int, seed: int) -> np.ndarray:
    """Smooth random volumes of 8^3 voxels."""
    noise = np.random.default_rng(seed).normal(size=(n, 8, 8, 8))
    return np.stack([gaussian_filter(one, 1) for one in noise]).astype(np.float32)


def seen(x_NXYZ: np.ndarray, orientations: list[View] = ALL) -> tuple[np.ndarray, np.ndarray]:
    """Features (M, F) of volumes in each orientation, and the number of each one's volume."""
    found = [view(x).ravel() for view in orientations for x in x_NXYZ]
    return np.stack(found), np.tile(np.arange(len(x_NXYZ)), len(orientations))


def flat(x_NXYZ: np.ndarray) -> np.ndarray:
    return x_NXYZ.reshape(len(x_NXYZ), -1)


def slow_nearest(
    a: np.ndarray, b: np.ndarray, volume: np.ndarray, own: int | None
) -> list[tuple[float, int]]:
    """(distance, index) of the nearest view of each volume, pair by pair."""
    best: dict[int, tuple[float, int]] = {}
    for index, (one, name) in enumerate(zip(b, volume, strict=True)):
        if name != own:
            found = (float(np.linalg.norm(a.astype(float) - one)), index)
            best[name] = min(found, best.get(name, found))
    return sorted(best.values())[:NEIGHBOURS]


@pytest.mark.parametrize("block", [1, 40, 2**22])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("itself", [True, False])
def test_equals_brute_force_in_blocks_of_any_size(
    block: int, dtype: type, itself: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memorisation, "BLOCK", block)
    rng = np.random.default_rng(0)
    a, b = (100 * rng.normal(size=(7, 6))).astype(dtype), (100 * rng.normal(size=(45, 6))).astype(dtype)
    volume = rng.permutation(np.tile(np.arange(15), 3))
    own = volume[:7] if itself else None
    found = nearest(a, b, volume, own)
    for i in range(7):
        expected = slow_nearest(a[i], b, volume, volume[i] if itself else None)
        np.testing.assert_allclose(found.distance[i], [one[0] for one in expected], rtol=1e-12)
        np.testing.assert_array_equal(found.index[i], [one[1] for one in expected])


def test_few_volumes_have_few_neighbours() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5)), rng.normal(size=(6, 5))
    assert nearest(a, b, np.repeat([0, 1, 2], 2)).distance.shape == (2, 3)
    assert nearest(b, b, np.repeat([0, 1, 2], 2), np.repeat([0, 1, 2], 2)).distance.shape == (6, 2)
    with pytest.raises(ValueError, match="one training volume alone"):
        nearest(a, b, np.zeros(6), np.zeros(2))


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
def test_copies_on_a_large_background_are_at_distance_0(offset: float) -> None:
    """Expanded squares of 1e8 have no digit left for differences of 1e-3: the differences decide."""
    rng = np.random.default_rng(1)
    b = offset * rng.uniform(1, 2, 30) + rng.normal(0, 1e-3, (8, 30))
    found = nearest(b[[5, 3]], b, np.arange(8))
    assert not found.distance[:, 0].any()
    assert found.index[:, 0].tolist() == [5, 3]


def noisy(x: np.ndarray) -> np.ndarray:
    return x + np.random.default_rng(5).normal(0, 0.01, x.shape).astype(np.float32)


def found_copies(samples: np.ndarray, real: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, float]:
    """Closeness of samples, and the p-value beside real volumes and train volumes held against the others."""
    b, volume = seen(train)
    near = closeness(nearest(flat(samples), b, volume).distance)
    tested = closeness(nearest(flat(real), b, volume).distance)
    own = closeness(nearest(flat(train), b, volume, np.arange(len(train))).distance)
    test = copies_test(np.concatenate([near, tested, own]))
    return near, p_value(permuted(test, len(near), len(tested) + len(own), 999, 0))


@pytest.mark.parametrize(
    ("changed", "closest"),
    [
        (lambda x: x, 0),
        (lambda x: x[:, ::-1], 0),
        (lambda x: np.rot90(x, axes=(0, 2)), 0),
        (lambda x: noisy(np.rot90(x[::-1], 3, axes=(1, 2))), 0.1),
        (lambda x: 0.8 * x, 0.3),
        (lambda x: gaussian_filter(x, 0.4), 0.4),
    ],
    ids=["copied", "mirrored", "turned", "with noise", "dimmer", "blurred"],
)
def test_three_planted_copies_are_found(changed: Callable[[np.ndarray], np.ndarray], closest: float) -> None:
    train, test, samples = volumes(60, 0), volumes(30, 1), volumes(20, 2)
    for sample, source in {3: 11, 4: 0, 17: 39}.items():
        samples[sample] = changed(train[source])
    near, p = found_copies(samples, test, train)
    assert set(np.argsort(near)[:3]) == {3, 4, 17}
    assert near[[3, 4, 17]].max() <= closest
    assert p <= 0.05


@pytest.mark.parametrize("width", [0, 0.7, 1.5, 4])
def test_new_samples_are_no_copies_however_smooth(width: float) -> None:
    samples = np.stack([gaussian_filter(one, width) if width else one for one in volumes(20, 2)])
    near, p = found_copies(samples, volumes(30, 1), volumes(60, 0))
    assert near.min() > 0.5
    assert p > 0.05


def test_closeness() -> None:
    distance = np.array([[1.0, 2.0, 2.0, 4.0], [0.0, 1.0, 1.0, 1.0], [3.0, 3.0, 3.0, 3.0], [0.0] * 4])
    np.testing.assert_allclose(closeness(distance), [0.5, 0, 1, 0])
    np.testing.assert_allclose(closeness(np.array([[2.0], [0.0]])), [1, 0])


def test_false_alarms_of_copies_are_as_rare_as_they_say() -> None:
    rng = np.random.default_rng(0)
    found = [p_value(permuted(copies_test(rng.random(40)), 10, 30, 99, i)) for i in range(200)]
    assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.08, abs=0.05)


def test_copies_among_real_volumes_are_no_finding() -> None:
    """Three real volumes that are in the data twice excuse three samples."""
    real = np.random.default_rng(0).uniform(0.5, 1, 100)
    real[:6] = 0
    samples = np.random.default_rng(1).uniform(0.5, 1, 64)
    samples[:3] = 0
    assert p_value(permuted(copies_test(np.append(samples, real)), 64, 100, 999, 0)) > 0.1
    assert p_value(permuted(copies_test(np.append(samples, real[6:])), 64, 94, 999, 0)) < 0.1


def test_pooled_are_the_means_of_blocks() -> None:
    x = np.random.default_rng(0).normal(size=(8, 4, 12))
    blocks = x.reshape(4, 2, 2, 2, 6, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(pooled(x, 6), blocks, rtol=1e-6)
    np.testing.assert_array_equal(pooled(x, 12), x.astype(np.float32))
    np.testing.assert_array_equal(pooled(x, 99), x.astype(np.float32))
    np.testing.assert_allclose(pooled(x, 1), x.mean().reshape(1, 1, 1), rtol=1e-6)


def test_pooled_shares_the_voxels_that_edges_cut() -> None:
    x = np.array([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    np.testing.assert_allclose(pooled(x, 2).ravel(), [(1 + 0.5 * 2) / 1.5, (0.5 * 2 + 3) / 1.5], rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "longest", "expected"),
    [((100, 60, 30), 16, (16, 10, 5)), ((7, 5, 1), 4, (4, 3, 1)), ((1, 1, 9), 2, (1, 1, 2))],
)
def test_pooled_of_any_shape(shape: tuple[int, ...], longest: int, expected: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).uniform(size=shape)
    result = pooled(x, longest)
    assert result.shape == expected
    assert result.mean() == pytest.approx(x.mean(), rel=1e-5)
    np.testing.assert_allclose(pooled(x[::-1, :, ::-1], longest), result[::-1, :, ::-1], rtol=1e-5)
    np.testing.assert_allclose(pooled(x.transpose(2, 0, 1), longest), result.transpose(2, 0, 1), rtol=1e-5)
    np.testing.assert_allclose(pooled(np.full(shape, 3, np.uint8), longest), 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.ones((1, 2, 3)), np.ones((2, 3))),
        (np.ones((2, 3)), np.ones((2, 4))),
        (np.ones((0, 3)), np.ones((2, 3))),
        (np.ones((2, 3)), np.full((2, 3), np.nan)),
        (np.full((2, 3), np.inf), np.ones((2, 3))),
    ],
)
def test_nearest_refuses(a: np.ndarray, b: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected|not finite"):
        nearest(a, b, np.arange(len(b)))


def test_pooling_refuses() -> None:
    with pytest.raises(ValueError, match="pooled to 0"):
        pooled(np.ones((2, 2, 2)), 0)
