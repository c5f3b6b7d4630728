"""Permutation tests of two sets: how often chance alone makes them as different as they are.

If both sets were drawn from one distribution, the labels "of set a" and "of set b" say nothing, and the
observed difference is one draw among those of all labellings (Fisher 1935; Phipson & Smyth 2010,
arXiv 1603.05766, for p-values that are never 0). That holds for any statistic and any n, so every score is
tested alike: as a `Statistic` of labellings. The adapters below turn what a score compares into one.

Shapes: P labellings, the first of them the observed one; L = n + m pooled items, set a first; K bins.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, xlogy

from voxgen.randomness import generator

Array = NDArray[np.float64]
Labels = NDArray[np.bool_]  # (P, L): True where an item is of set a
Statistic = Callable[[Labels], Array]  # of labellings (P, L): values (P,), large where the sets differ

BLOCK = 256  # labellings at once
DIGITS = 9  # of a statistic that count: equal labellings in another order differ by rounding


def permuted(statistic: Statistic, n: int, m: int, permutations: int, seed: int) -> Array:
    """The statistic's values (1 + P,): of the observed labelling, then of P drawn ones.

    Sets of the same sizes get the same labellings, so that the statistics of several scores can be held
    against each other by `corrected`.

    Raises:
        ValueError: a set has no item, or a value is not finite.
    """
    if min(n, m) < 1:
        raise ValueError(f"{n} and {m} items: expected one or more in each set")
    labels = _draw(n, m, permutations, seed)
    blocks = [statistic(labels[start : start + BLOCK]) for start in range(0, len(labels), BLOCK)]
    values = np.concatenate(blocks).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a statistic that is not finite has no p-value")
    scale = np.abs(values).max() or 1.0
    return np.round(values / scale, DIGITS) * scale


def p_value(values_P: Array) -> float:
    """The share of labellings, the observed one among them, that differ at least as much as that one."""
    return float((values_P >= values_P[0]).mean())


def corrected(tests: Mapping[str, Array]) -> dict[str, float]:
    """p-values of several tests for their number: one false alarm in any of them is as rare as the p says.

    Each labelling's smallest p among all tests is what chance makes of the smallest of so many (step-down
    minP: Westfall & Young 1993; as in Ge, Dudoit & Speed 2003, doi 10.1007/BF02595811). Tests that see the
    same thing count once, where Holm's correction would count each. Tests of sets of other sizes have
    labellings of their own and enter as if they were independent, which asks for more, not for less.

    Raises:
        ValueError: the tests have different numbers of labellings.
    """
    if not tests:
        return {}
    if len({len(values) for values in tests.values()}) > 1:
        raise ValueError("tests of different numbers of labellings cannot be corrected together")
    p_KP = np.stack([_shares(values) for values in tests.values()])
    order = np.argsort(p_KP[:, 0], kind="stable")
    least_KP = np.minimum.accumulate(p_KP[order[::-1]])[::-1]  # of a test and of all with a larger p
    found_K = (least_KP <= p_KP[order, :1]).mean(axis=1)
    names = list(tests)
    return {names[i]: float(p) for i, p in zip(order, np.maximum.accumulate(found_K), strict=True)}


def word_p(p: float) -> str:
    """A p-value in words, with what its number of labellings can tell."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3g}"


def of_scalars(values_L: NDArray[Any]) -> Statistic:
    """Whether one number per item is distributed alike: middle, spread and both tails.

    At each value, how much likelier the sets' own shares below it are than a common share F; then the average
    of these likelihood ratios with weights 1 / (F (1 - F)), which let the tails speak (Chan & Walther 2013,
    arXiv 1107.4344: as good as the largest ratio where few items differ, and better where many do).
    """
    values, order = np.sort(values_L, kind="stable"), np.argsort(values_L, kind="stable")
    steps = np.append(values[1:] > values[:-1], True)
    below_K = np.flatnonzero(steps) + 1.0
    share_K = below_K[:-1] / len(values)
    around_K = (below_K[1:] - np.append(0, below_K[:-2])) / 2  # items that a value stands for
    weight_K = around_K / (share_K * (1 - share_K)) / len(values)

    def statistic(labels: Labels) -> Array:
        n = labels.sum(axis=1, keepdims=True)
        a_PK = np.cumsum(labels[:, order], axis=1)[:, steps][:, :-1].astype(np.float64)
        b_PK = below_K[:-1] - a_PK
        ratio = _likelihood(a_PK, n, share_K) + _likelihood(b_PK, len(values) - n, share_K)
        return np.asarray(logsumexp(ratio, axis=1, b=weight_K)) if len(weight_K) else np.zeros(len(labels))

    return statistic


def of_means(items_LK: NDArray[Any], distance: Callable[[Array, Array], Array]) -> Statistic:
    """A `distance` (P,) between the means (P, K) of both sets' items, such as histograms or spectra."""
    items = items_LK.astype(np.float64)

    def statistic(labels: Labels) -> Array:
        sets = (labels.astype(np.float64), (~labels).astype(np.float64))
        a_PK, b_PK = (some @ items / some.sum(axis=1, keepdims=True) for some in sets)
        return distance(a_PK, b_PK)

    return statistic


def of_kernel(kernel_LL: Array) -> Statistic:
    """The squared maximum mean discrepancy, unbiased, from the values of a kernel."""

    def statistic(labels: Labels) -> Array:
        aa, bb, ab = _means_of_pairs(kernel_LL, labels)
        return aa + bb - 2 * ab

    return statistic


def of_gap(values_LL: Array) -> Statistic:
    """How far the mean value of pairs in one set is from that in the other, up or down."""

    def statistic(labels: Labels) -> Array:
        aa, bb, _ = _means_of_pairs(values_LL, labels)
        return np.abs(aa - bb)

    return statistic


def of_neighbours(distances_LL: Array) -> Statistic:
    """The share of items whose nearest other item is of their own set, a tie between both sets by half.

    Only a large share is a difference: sets that were drawn independently do not avoid each other.
    """
    others = distances_LL.copy()
    np.fill_diagonal(others, np.inf)
    nearest_LL = (others == others.min(axis=1, keepdims=True)).astype(np.float64)
    number_L = nearest_LL.sum(axis=1)

    def statistic(labels: Labels) -> Array:
        in_a_PL = labels.astype(np.float64) @ nearest_LL.T
        own_PL = np.where(labels, in_a_PL, number_L - in_a_PL)
        return np.asarray(np.where(own_PL == number_L, 1.0, np.where(own_PL > 0, 0.5, 0.0)).mean(axis=1))

    return statistic


def of_across(distances_LL: Array, statistic: Callable[[Array], float]) -> Statistic:
    """A statistic of the distances between the sets (rows a, columns b), one labelling after the other."""
    return lambda labels: np.array([statistic(distances_LL[np.ix_(one, ~one)]) for one in labels])


def of_items(items_L: NDArray[Any], statistic: Callable[[NDArray[Any], NDArray[Any]], float]) -> Statistic:
    """Any statistic of the items of both sets, one labelling after the other."""
    return lambda labels: np.array([statistic(items_L[one], items_L[~one]) for one in labels])


def _draw(n: int, m: int, permutations: int, seed: int) -> Labels:
    """The observed labelling and `permutations` others (P, L), drawn with replacement."""
    observed = np.arange(n + m) < n
    rng = generator(seed, "labellings", n, m)
    drawn = rng.permuted(np.tile(observed, (permutations, 1)), axis=1)
    return np.concatenate([observed[None], drawn])


def _shares(values_P: Array) -> Array:
    """The p-value that each labelling would have, were it the observed one."""
    return 1 - np.searchsorted(np.sort(values_P), values_P, side="left") / len(values_P)


def _likelihood(below_PK: Array, n_P: NDArray[Any], share_K: Array) -> Array:
    """How much likelier `below` of n items are with their own share than with a common one (logarithm)."""
    above_PK, expected_PK = n_P - below_PK, n_P * share_K
    return np.asarray(
        xlogy(below_PK, below_PK / expected_PK) + xlogy(above_PK, above_PK / (n_P - expected_PK))
    )


def _means_of_pairs(values_LL: Array, labels: Labels) -> tuple[Array, Array, Array]:
    """Mean values (P,) over pairs of different items of a, of b, and over pairs of both."""
    values = values_LL - np.diag(np.diag(values_LL))
    a = labels.astype(np.float64)
    n = a.sum(axis=1)
    m = a.shape[1] - n
    to_a = a @ values
    aa, ab = (to_a * a).sum(axis=1), (to_a * (1 - a)).sum(axis=1)
    bb = values.sum() - aa - 2 * ab
    return aa / (n * (n - 1)), bb / (m * (m - 1)), ab / (n * m)
