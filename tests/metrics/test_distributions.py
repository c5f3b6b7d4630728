"""Frechet and kernel distance against closed forms, slow direct computations and their statistics."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.linalg import sqrtm

from voxgen.metrics.bootstrap import Bootstrap
from voxgen.metrics.distributions import KernelDistance, frechet_distance


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The distance of two sets as they are."""
    return KernelDistance(a, b)(np.ones(len(a), int), np.ones(len(b), int))


def direct_frechet(a: np.ndarray, b: np.ndarray) -> float:
    gap, cov_a, cov_b = a.mean(0) - b.mean(0), np.cov(a.T), np.cov(b.T)
    return float(gap @ gap + np.trace(cov_a + cov_b - 2 * np.real(sqrtm(cov_a @ cov_b))))


def slow_kernel(a: np.ndarray, b: np.ndarray) -> float:
    def mean(left: np.ndarray, right: np.ndarray, same: bool) -> float:
        values = [
            (x @ y / len(x) + 1) ** 3
            for i, x in enumerate(left)
            for j, y in enumerate(right)
            if not (same and i == j)
        ]
        return float(np.mean(values))

    return mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False)


def correlated(n: int, features: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, features)) @ rng.normal(size=(features, features)) + rng.normal(size=features)


def exact(rng: np.random.Generator, mean: np.ndarray, covariance: np.ndarray, n: int) -> np.ndarray:
    """Points (n, features) with exactly this mean and this covariance over n - 1."""
    noise = rng.normal(size=(n, len(mean)))
    noise -= noise.mean(0)
    white = noise @ np.linalg.inv(np.linalg.cholesky(np.cov(noise.T))).T
    return mean + white @ np.linalg.cholesky(covariance).T


@pytest.mark.parametrize(("n", "m"), [(40, 60), (200, 15), (12, 13)])
def test_frechet_equals_the_root_of_the_covariances_where_that_is_sound(n: int, m: int) -> None:
    a, b = correlated(n, 8, 0), correlated(m, 8, 1)
    assert frechet_distance(a, b) == pytest.approx(direct_frechet(a, b), rel=1e-8)


def test_frechet_of_gaussians_in_closed_form() -> None:
    """Covariances that commute: the sum over axes of the squared gaps of mean and of standard deviation."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    std_a, std_b, shift = np.array([1, 2, 3, 0.5]), np.array([2, 2, 1, 1.5]), np.array([3, 0, 0, 4.0])
    a = exact(rng, shift, turn * std_a**2 @ turn.T, 50)
    b = exact(rng, 0 * shift, turn * std_b**2 @ turn.T, 30)
    assert frechet_distance(a, b) == pytest.approx(25 + ((std_a - std_b) ** 2).sum())
    assert frechet_distance(a, a + shift) == pytest.approx(25)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-12)


def test_frechet_of_fewer_items_than_features() -> None:
    """Sets in subspaces at right angles share nothing; in one line they do as in one dimension."""
    a, b = np.zeros((5, 300)), np.zeros((7, 300))
    a[:, 3], b[:, 200] = np.arange(5), np.arange(7)
    apart = a.var(0, ddof=1).sum() + b.var(0, ddof=1).sum() + 2**2 + 3**2
    assert frechet_distance(a, b) == pytest.approx(apart)
    b = np.roll(b, 3 - 200, axis=1)
    deviations = a[:, 3].std(ddof=1), b[:, 3].std(ddof=1)
    assert frechet_distance(a, b) == pytest.approx(1 + (deviations[0] - deviations[1]) ** 2)
    np.testing.assert_allclose(frechet_distance(7 + a, 7 + a), 0, atol=1e-9)


def test_frechet_is_biased_upwards_and_less_so_with_more_items() -> None:
    rng = np.random.default_rng(0)
    few, many = (
        np.mean([frechet_distance(*rng.normal(size=(2, n, 6))) for _ in range(40)]) for n in (30, 300)
    )
    assert few == pytest.approx(10 * many, rel=0.15)
    assert many > 0.02
    share = 1 / np.arange(1, 513)
    share /= share.sum()
    for n, bias in ((64, 0.79), (400, 0.26)):
        assert frechet_distance(*rng.normal(0, np.sqrt(share), (2, n, 512))) == pytest.approx(bias, abs=0.03)


def test_a_bootstrap_doubles_the_bias_of_frechet_and_a_jackknife_does_not() -> None:
    """The interval is one of the distance of as many items: it holds the mean over many draws of sets."""
    rng = np.random.default_rng(1)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(size=(40, 6)), 1.5 * rng.normal(size=(40, 6)) + 0.3

    expected = np.mean([frechet_distance(*draw()) for _ in range(400)])
    bootstrap = Bootstrap(50, 0.9, 0)
    sets = [draw() for _ in range(80)]
    estimates = [bootstrap.jackknife(frechet_distance, *pair, f"{i}") for i, pair in enumerate(sets)]
    covered = np.mean([e.low <= expected <= e.high for e in estimates])
    assert 0.8 <= covered <= 1
    assert np.mean([e.value for e in estimates]) == pytest.approx(expected, rel=0.1)
    half = np.mean([(e.high - e.low) / 2 for e in estimates]) / 1.69
    assert half == pytest.approx(np.std([e.value for e in estimates]), rel=0.25)
    same = [(a, b / 1.5 - 0.2) for a, b in sets[:15]]
    repeated = [bootstrap.pair(frechet_distance, *pair, f"{i}") for i, pair in enumerate(same)]
    assert all(e.low > e.value for e in repeated[:3])
    assert np.mean([(e.low + e.high) / 2 / e.value for e in repeated]) > 1.7


@pytest.mark.parametrize(("n", "m"), [(2, 5), (9, 4)])
def test_kernel_equals_a_double_loop(n: int, m: int) -> None:
    a, b = correlated(n, 7, 2), correlated(m, 7, 3)
    assert kernel_distance(a, b) == pytest.approx(slow_kernel(a, b), rel=1e-10)


def test_kernel_is_zero_in_the_mean_for_one_distribution() -> None:
    rng = np.random.default_rng(0)
    values = [kernel_distance(*rng.gamma(2, 1, (2, 15, 4))) for _ in range(800)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(800)
    assert min(values) < 0


def test_kernel_sees_a_variance_that_a_linear_kernel_does_not() -> None:
    """For x of N(0, s^2) in one dimension E (xy + 1)^3 = 1 + 3 s^2 s'^2, so MMD^2 = 3 (s^2 - s'^2)^2."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(1500, 1)), 1.5 * rng.normal(size=(1500, 1))
    assert (a.mean() - b.mean()) ** 2 < 0.01
    assert kernel_distance(a, b) == pytest.approx(3 * (1 - 2.25) ** 2, rel=0.3)


def test_kernel_of_multiplicities_is_that_of_the_repeated_items_without_pairs_of_copies() -> None:
    a, b = correlated(5, 3, 4), correlated(4, 3, 5)
    c, d = np.array([2, 0, 1, 1, 1]), np.array([0, 1, 3, 0])

    def within(items: np.ndarray, counts: np.ndarray) -> float:
        index = np.repeat(np.arange(len(items)), counts)
        values = [(items[i] @ items[j] / 3 + 1) ** 3 for i in index for j in index if i != j]
        return float(np.mean(values))

    across = ((np.repeat(a, c, 0) @ np.repeat(b, d, 0).T / 3 + 1) ** 3).mean()
    assert KernelDistance(a, b)(c, d) == pytest.approx(within(a, c) + within(b, d) - 2 * across)


@pytest.mark.parametrize(("shift", "least"), [(0.0, 0.9), (0.3, 0.83)])
def test_intervals_of_the_kernel_distance_hold_the_truth(shift: float, least: float) -> None:
    """In one dimension the kernel compares moments: 3 gap(x)^2 + 3 gap(x^2)^2 + gap(x^3)^2."""
    truth = 3 * shift**2 + 3 * shift**4 + (shift**3 + 3 * shift / 4) ** 2
    rng = np.random.default_rng(2)
    bootstrap = Bootstrap(150, 0.9, 0)
    estimates = []
    for i in range(200):
        a, b = rng.normal(shift, 0.5, (50, 1)), rng.normal(0, 0.5, (50, 1))
        estimates.append(bootstrap.counted(KernelDistance(a, b), 50, 50, f"{i}"))
    assert least <= np.mean([e.low <= truth <= e.high for e in estimates]) <= 1
    error = np.std([e.value for e in estimates]) / np.sqrt(200)
    assert np.mean([e.value for e in estimates]) == pytest.approx(truth, abs=3 * error)


def test_resamples_of_the_kernel_distance_centre_on_it_but_those_with_copies_do_not() -> None:
    a, b = np.random.default_rng(5).normal(size=(2, 60, 8))
    bootstrap = Bootstrap(400, 0.5, 0)
    counted = bootstrap.counted(KernelDistance(a, b), 60, 60, "kernel")
    copies = bootstrap.pair(kernel_distance, a, b, "kernel")
    assert counted.value == copies.value
    assert counted.low < counted.value < counted.high
    assert copies.low > copies.value


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((1, 3)), np.zeros((4, 3)), "2 or more"),
        (np.zeros((4, 3)), np.zeros((4, 2)), "2 or more"),
        (np.full((4, 3), np.nan), np.zeros((4, 3)), "not finite"),
    ],
)
def test_refusals(
    distance: Callable[[np.ndarray, np.ndarray], float], a: np.ndarray, b: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        distance(a, b)
