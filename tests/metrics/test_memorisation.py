"""Copies of training volumes: planted ones are found, chance gives the quantile, all against brute force."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from voxgen.batches.views import View, views
from voxgen.metrics import memorisation
from voxgen.metrics.memorisation import Nearest, Pair, closest, memorised, nearest, pooled, threshold

ALL = views("xyz", ["xy", "xz", "yz"])  # the 48 orientations of a cube


def volumes(n: int, seed: int) -> np.ndarray:
    """Smooth random volumes of 8^3 voxels."""
    noise = np.random.default_rng(seed).normal(size=(n, 8, 8, 8))
    return np.stack([gaussian_filter(one, 1) for one in noise]).astype(np.float32)


def seen(x_NXYZ: np.ndarray, orientations: list[View] = ALL) -> np.ndarray:
    """Features (V, N, F) of volumes in each orientation."""
    return np.stack([[view(x).ravel() for x in x_NXYZ] for view in orientations])


def flat(x_NXYZ: np.ndarray) -> np.ndarray:
    return x_NXYZ.reshape(len(x_NXYZ), -1)


def slow_nearest(a_VNF: np.ndarray, b_MF: np.ndarray) -> list[tuple[float, int, int]]:
    """(distance, view, index) of each item, pair by pair."""
    return [
        min(
            (float(np.linalg.norm(a.astype(float) - b)), view, index)
            for view, a in enumerate(a_VNF[:, item])
            for index, b in enumerate(b_MF)
        )
        for item in range(a_VNF.shape[1])
    ]


def assert_brute_force(a_VNF: np.ndarray, b_MF: np.ndarray) -> None:
    found, expected = nearest(a_VNF, b_MF), slow_nearest(a_VNF, b_MF)
    np.testing.assert_allclose(found.distance, [one[0] for one in expected], rtol=1e-12)
    np.testing.assert_array_equal(found.view, [one[1] for one in expected])
    np.testing.assert_array_equal(found.index, [one[2] for one in expected])


@pytest.mark.parametrize(("block", "side"), [(1, 1), (40, 2), (2**22, 2**11)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_equals_brute_force_in_blocks_of_any_size(
    block: int, side: int, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memorisation, "BLOCK", block)
    monkeypatch.setattr(memorisation, "SIDE", side)
    rng = np.random.default_rng(0)
    assert_brute_force(
        (100 * rng.normal(size=(4, 7, 6))).astype(dtype), (100 * rng.normal(size=(9, 6))).astype(dtype)
    )


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
def test_small_differences_on_a_large_background_keep_their_digits(offset: float) -> None:
    """Expanded squares of 1e8 have no digit left for differences of 1e-3: the differences decide."""
    rng = np.random.default_rng(1)
    b = offset * rng.uniform(1, 2, 30) + rng.normal(0, 1e-3, (12, 30))
    b = np.concatenate([offset * np.ones((1, 30)), b])
    a = b[[5, 3, 5, 12]] + [[0.0], [1e-6], [1e-5], [0.0]]
    assert_brute_force(a[None], b)
    assert nearest(a[None], b).distance[[0, 3]].max() == 0


@pytest.mark.parametrize("side", [2, 2**11])
def test_of_equal_distances_the_first_counts(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memorisation, "BLOCK", side**2)
    monkeypatch.setattr(memorisation, "SIDE", side)
    same = np.ones((3, 5, 4))
    found = nearest(same, np.ones((6, 4)))
    assert not found.distance.any()
    assert not found.index.any()
    assert not found.view.any()
    apart = nearest(3 * same, np.ones((6, 4)))
    assert apart.distance.tolist() == [4.0] * 5
    assert not apart.index.any()
    assert not apart.view.any()
    later = nearest(np.stack([2 * np.ones((1, 4)), np.ones((1, 4))]), np.array([[3.0] * 4, [1.0] * 4]))
    assert (later.distance[0], later.index[0], later.view[0]) == (0, 1, 1)


def noisy(x: np.ndarray) -> np.ndarray:
    return x + np.random.default_rng(5).normal(0, 0.01, x.shape).astype(np.float32)


@pytest.mark.parametrize(
    ("changed", "exact"),
    [
        (lambda x: x, True),
        (lambda x: x[:, ::-1], True),
        (lambda x: np.rot90(x, axes=(0, 2)), True),
        (lambda x: noisy(np.rot90(x[::-1], 3, axes=(1, 2))), False),
    ],
    ids=["copied", "mirrored", "turned", "mirrored, turned, with noise"],
)
def test_planted_copies_are_found_and_counted(
    changed: Callable[[np.ndarray], np.ndarray], exact: bool
) -> None:
    train, test, samples = volumes(40, 0), volumes(30, 1), volumes(20, 2)
    planted = {3: 11, 4: 0, 17: 39}
    for sample, source in planted.items():
        samples[sample] = changed(train[source])
    found = nearest(seen(samples), flat(train))
    of_test = nearest(seen(test), flat(train))
    expected = np.isin(np.arange(20), list(planted)).astype(float)
    # a fifth nearer than any test volume: so that none of the other samples is by chance
    np.testing.assert_array_equal(memorised(found.distance, 0.8 * of_test.distance, 0.01), expected)
    for sample, source in planted.items():
        assert found.index[sample] == source
        back = ALL[found.view[sample]](samples[sample])
        np.testing.assert_allclose(back, train[source], atol=0 if exact else 0.06)
        assert (found.distance[sample] == 0) == exact
    pairs = closest(found, 3)
    assert {pair.sample: pair.train for pair in pairs} == planted


def test_mirrored_copies_are_missed_without_views() -> None:
    train, samples = volumes(40, 0), volumes(40, 0)[:, ::-1]
    alone = nearest(seen(samples, ALL[:1]), flat(train))
    assert alone.distance.min() > 0
    assert nearest(seen(samples), flat(train)).distance.max() == 0


@pytest.mark.parametrize(
    ("tests", "quantile", "chance"),
    [(199, 0.05, 0.05), (499, 0.01, 0.01), (64, 0.01, 1 / 65), (9, 0.01, 1 / 10)],
)
def test_chance_gives_the_quantile_or_what_few_test_items_resolve(
    tests: int, quantile: float, chance: float
) -> None:
    rng = np.random.default_rng(0)
    shares = [
        memorised(rng.gamma(5, size=300), rng.gamma(5, size=tests), quantile).mean() for _ in range(3000)
    ]
    assert np.mean(shares) == pytest.approx(chance, rel=0.08)


def test_independent_volumes_are_counted_about_as_often_as_chance() -> None:
    train = flat(volumes(60, 0))
    found, of_test = (nearest(seen(volumes(199, seed), ALL[:1]), train).distance for seed in (1, 2))
    assert memorised(found, of_test, 0.1).mean() == pytest.approx(0.1, abs=0.07)


def test_threshold_is_between_the_sorted_distances_or_the_smallest() -> None:
    distances = np.array([5.0, 1.0, 4.0, 2.0])
    assert threshold(distances, 0.01) == 1
    assert threshold(distances, 1 / 5) == 1
    assert threshold(distances, 1.5 / 5) == pytest.approx(1.5)
    assert threshold(distances, 2 / 5) == pytest.approx(2)


def test_at_the_threshold_is_not_memorised() -> None:
    np.testing.assert_array_equal(memorised(np.array([1.0, 2.0, 3.0]), np.array([2.0, 5.0]), 0.01), [1, 0, 0])
    np.testing.assert_array_equal(memorised(np.zeros(2), np.zeros(4), 0.5), [0, 0])


def test_the_mean_of_the_data_counts_too() -> None:
    """The limit of distances in voxel space: independent noise is 1.4 times farther than its mean."""
    rng = np.random.default_rng(3)
    train, test = rng.normal(size=(50, 4000)), rng.normal(size=(1, 50, 4000))
    smooth, sharp = nearest(np.zeros((1, 1, 4000)), train), nearest(test, train)
    assert sharp.distance.mean() / smooth.distance[0] == pytest.approx(np.sqrt(2), rel=0.03)
    assert memorised(smooth.distance, sharp.distance, 0.01).mean() == 1


def test_closest_pairs_in_order_each_sample_once() -> None:
    found = Nearest(np.array([3.0, 1.0, 2.0, 1.0]), np.array([7, 8, 8, 9]), np.array([0, 1, 0, 2]))
    pairs = [Pair(1, 8, 1, 1.0), Pair(3, 9, 2, 1.0), Pair(2, 8, 0, 2.0), Pair(0, 7, 0, 3.0)]
    assert closest(found, 3) == pairs[:3]
    assert closest(found, 99) == pairs


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
        (np.ones((2, 3)), np.ones((2, 3))),
        (np.ones((1, 2, 3)), np.ones((2, 4))),
        (np.ones((1, 0, 3)), np.ones((2, 3))),
        (np.ones((1, 2, 3)), np.full((2, 3), np.nan)),
        (np.full((1, 2, 3), np.inf), np.ones((2, 3))),
    ],
)
def test_nearest_refuses(a: np.ndarray, b: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected|not finite"):
        nearest(a, b)


def test_other_refusals() -> None:
    with pytest.raises(ValueError, match="pooled to 0"):
        pooled(np.ones((2, 2, 2)), 0)
    for sample, test in ([], [1.0]), ([1.0], []), ([np.nan], [1.0]):
        with pytest.raises(ValueError, match="distances"):
            memorised(np.array(sample), np.array(test), 0.01)
