"""Permutation tests against exact enumeration, slow formulas, and the false alarms that they promise."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from voxgen.metrics.distributions import KernelDistance, gap_of_pairs, kernel_test
from voxgen.metrics.permutation import (
    Statistic,
    corrected,
    of_across,
    of_gap,
    of_items,
    of_means,
    of_neighbours,
    of_scalars,
    p_value,
    permuted,
    word_p,
)
from voxgen.metrics.point_clouds import (
    coverage_test,
    divergence_test,
    jensen_shannon,
    matching_test,
    minimum_matching,
    nearest_neighbour_correct,
)
from voxgen.metrics.volume_statistics import (
    counted_shells,
    histogram_distance,
    histogram_test,
    spectrum_distance,
    spectrum_test,
)

RNG = np.random.default_rng(0)
LABELS = np.array([np.isin(np.arange(12), some) for some in list(combinations(range(12), 5))[::40]])
SOME = pytest.mark.parametrize("seed", range(3))


def test_p_of_a_difference_of_means_is_that_of_all_labellings() -> None:
    values = np.array([3.0, 4.0, 6.0, 1.0, 2.0, 2.5, 0.5])

    def gap(a_N: NDArray[np.float64], b_M: NDArray[np.float64]) -> float:
        return float(a_N.mean() - b_M.mean())

    every = [np.isin(np.arange(7), some) for some in combinations(range(7), 3)]
    exact = np.mean([gap(values[one], values[~one]) >= gap(values[:3], values[3:]) - 1e-9 for one in every])
    found = permuted(of_items(values, gap), 3, 4, 9999, seed=0)
    assert len(found) == 10_000
    assert found[0] == pytest.approx(gap(values[:3], values[3:]))
    assert p_value(found) == pytest.approx(exact, abs=0.004)


def test_the_observed_labelling_is_one_of_them_and_draws_are_addressed() -> None:
    values = np.arange(40.0)
    statistic = of_scalars(values)
    first, again = (permuted(statistic, 20, 20, 999, seed=0) for _ in range(2))
    assert p_value(first) == 1 / 1000  # separate sets: no labelling but the observed one
    np.testing.assert_array_equal(first, again)
    assert (first != permuted(statistic, 20, 20, 999, seed=1)).any()
    with pytest.raises(ValueError, match="one or more"):
        permuted(statistic, 40, 0, 999, seed=0)
    with pytest.raises(ValueError, match="not finite"):
        permuted(lambda labels: np.full(len(labels), np.nan), 20, 20, 999, seed=0)


def slow_likelihood(values: NDArray[np.float64], label: NDArray[np.bool_]) -> float:
    """The logarithm of the average likelihood ratio of two samples, value by value."""
    total, size = 0.0, len(values)
    kinds = np.unique(values)
    for i, value in enumerate(kinds[:-1]):
        share = (values <= value).mean()
        stands_for = ((values <= kinds[i + 1]).sum() - (values < value).sum()) / 2
        ratio = 1.0
        for group in (values[label], values[~label]):
            below = (group <= value).mean()
            for part, common in ((below, share), (1 - below, 1 - share)):
                ratio *= (part / common) ** (len(group) * part)
        total += ratio * stands_for / size / (share * (1 - share))
    return float(np.log(total))


@SOME
def test_scalars_with_ties_and_without(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for values in (rng.normal(size=12), rng.integers(0, 4, 12).astype(float)):
        expected = [slow_likelihood(values, label) for label in LABELS]
        np.testing.assert_allclose(of_scalars(values)(LABELS), expected, rtol=1e-9)
        np.testing.assert_allclose(of_scalars(-3 * values)(LABELS), expected, rtol=1e-9)
    assert not of_scalars(np.ones(12))(LABELS).any()


@pytest.mark.parametrize("damage", ["shifted", "truncated", "wider"])
def test_scalars_find_what_a_mean_does_not(damage: str) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=400)
    damaged = {
        "shifted": values + 1,
        "truncated": values[values < np.quantile(values, 0.8)],
        "wider": 2.5 * values,
    }
    found = [
        p_value(permuted(of_scalars(np.append(damaged[damage][:64], rng.normal(size=64))), 64, 64, 999, i))
        for i in range(5)
    ]
    assert max(found) <= 0.01


def test_false_alarms_are_as_rare_as_they_say() -> None:
    rng = np.random.default_rng(1)
    p = [p_value(permuted(of_scalars(rng.normal(size=30)), 15, 15, 199, i)) for i in range(400)]
    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.085
    assert 0.4 < np.mean(np.array(p) <= 0.5) < 0.6


def by_items(statistic: Statistic, slow: list[float]) -> None:
    np.testing.assert_allclose(statistic(LABELS), slow, rtol=1e-9, atol=1e-12)


def test_means_of_histograms_spectra_and_cells() -> None:
    histograms = RNG.integers(0, 9, (12, 256))
    by_items(histogram_test(histograms), [histogram_distance(histograms[x], histograms[~x]) for x in LABELS])
    by_items(divergence_test(histograms), [jensen_shannon(histograms[x], histograms[~x]) for x in LABELS])
    spectra = RNG.gamma(2, 1, (12, 9))
    assert counted_shells(spectra).all()
    by_items(spectrum_test(spectra), [spectrum_distance(spectra[x], spectra[~x]) for x in LABELS])
    sizes = of_means(np.arange(12.0)[:, None], lambda a, b: (a - b)[:, 0])
    by_items(sizes, [np.arange(12)[x].mean() - np.arange(12)[~x].mean() for x in LABELS])


def test_kernel_distance_and_gap_are_those_of_the_scores() -> None:
    features = RNG.normal(size=(12, 4))
    ones = (np.ones(5, int), np.ones(7, int))
    by_items(kernel_test(features), [KernelDistance(features[x], features[~x])(*ones) for x in LABELS])
    pairs = cdist(features, features)
    slow = [abs(gap_of_pairs(pairs[np.ix_(x, x)], pairs[np.ix_(~x, ~x)])(*ones)) for x in LABELS]
    by_items(of_gap(pairs), slow)


def test_neighbours_coverage_and_matching_are_those_of_the_scores() -> None:
    distances = cdist(*[RNG.integers(0, 3, (12, 2)).astype(float)] * 2)  # with many ties
    parts = [[distances[np.ix_(*some)] for some in ((x, x), (~x, ~x), (x, ~x))] for x in LABELS]
    by_items(of_neighbours(distances), [nearest_neighbour_correct(*three).mean() for three in parts])
    by_items(matching_test(distances), [minimum_matching(three[2]).mean() for three in parts])
    apart = cdist(*[RNG.normal(size=(12, 2))] * 2)
    by_items(coverage_test(apart), [1 - len(set(apart[x][:, ~x].argmin(1))) / 7 for x in LABELS])
    by_items(of_across(apart, np.max), [apart[x][:, ~x].max() for x in LABELS])


def test_mixing_too_well_is_no_difference() -> None:
    """Where every item's nearest neighbour is of the other set, 1-NNA is 0: no difference, and no copy."""
    points = np.repeat(np.arange(20.0), 2)
    a, b = points[::2], points[1::2] + 0.1
    pooled = np.append(a, b)[:, None]
    assert p_value(permuted(of_neighbours(cdist(pooled, pooled)), 20, 20, 999, 0)) == 1


def test_corrected_is_exact_for_one_and_for_equal_tests_and_grows_with_their_number() -> None:
    values = np.random.default_rng(2).normal(size=(6, 1000))
    values[:, 0] = np.quantile(values[0], 0.99)
    one = p_value(values[0])
    assert corrected({"a": values[0]}) == {"a": one}
    same = corrected({"a": values[0], "b": 2 * values[0], "c": values[0] + 1})
    assert set(same.values()) == {one}  # Holm's would be 3 times as large
    values[1:, 0] = np.quantile(values[1:], 0.3, axis=1)
    many = corrected({str(i): row for i, row in enumerate(values)})
    assert many["0"] == pytest.approx(1 - (1 - one) ** 6, abs=0.01)
    assert all(many[str(i)] >= p_value(row) for i, row in enumerate(values))
    assert corrected({}) == {}
    with pytest.raises(ValueError, match="different numbers"):
        corrected({"a": values[0], "b": values[0][:9]})


def test_a_false_alarm_in_any_of_many_tests_is_as_rare_as_one() -> None:
    rng = np.random.default_rng(4)
    alarms = 0
    for trial in range(200):
        items = rng.normal(size=(40, 8))
        items[:, 1] = items[:, 0] + 0.1 * items[:, 1]
        tests = {str(k): permuted(of_scalars(items[:, k]), 20, 20, 199, trial) for k in range(8)}
        alarms += min(corrected(tests).values()) <= 0.05
    assert 3 <= alarms <= 20


def test_p_in_words() -> None:
    assert [word_p(p) for p in (0.0005, 0.0495, 0.5)] == ["p < 0.001", "p = 0.0495", "p = 0.5"]
