"""Percentile bootstrap intervals (Efron 1979; Efron & Tibshirani 1993, chapter 13), and the jackknife's.

Repeated items bias a statistic of pairs of items, or of covariances: `counted` lets the statistic leave out
pairs of an item and its copy, and `jackknife` repeats none.

Shapes: N items of one set, M items of another; an item may be a number or an array. G groups of items.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from scipy.stats import binomtest

from voxgen.randomness import generator

Statistic = Callable[[NDArray[Any], NDArray[Any]], float]

GROUPS = 20  # of a jackknife, in each set: the standard error of two sets is then known to about 12 %


@dataclass(frozen=True)
class Estimate:
    """A value, its interval, and the number of items that it rests on (those of the smaller set)."""

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, float | int]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(**content)

    def at_least(self, bound: float) -> Self:
        """The same with an interval that ends at a bound of the statistic."""
        return replace(self, low=max(self.low, bound))

    def overlaps(self, other: "Estimate") -> bool:
        """Whether the two intervals share a value."""
        return self.low <= other.high and other.low <= self.high

    def text(self, unit: str = "") -> str:
        """The value and its interval in words: `63 % [55, 70]`; unit `%` turns shares into per cent."""
        scale = 100.0 if unit == "%" else 1.0
        digits = _digits(scale * abs(self.value), scale * abs(self.high - self.low))
        digits = min(digits, 2) if unit == "%" else digits
        value, low, high = (_shown(scale * v, digits) for v in (self.value, self.low, self.high))
        return f"{value}{f' {unit}' if unit else ''} [{low}, {high}]"


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made: resamples, their coverage (0 to 1), and the seed of the resampling."""

    resamples: int
    confidence: float
    seed: int

    def mean(
        self, values_N: NDArray[Any], purpose: str, together_N: NDArray[np.integer] | None = None
    ) -> Estimate:
        """The mean of one number per item.

        The same `purpose` draws the same items, which pairs estimates that are compared. Items of one number
        in `together_N` (0, 1, ...) depend on each other and are drawn together.

        Raises:
            ValueError: there is no item, or a value is not finite.
        """
        values = _checked(values_N, purpose)
        together = np.arange(len(values)) if together_N is None else together_N
        sums_G, sizes_G = np.bincount(together, values), np.bincount(together)
        rng = generator(self.seed, f"bootstrap {purpose}")
        drawn = (rng.integers(len(sums_G), size=len(sums_G)) for _ in range(self.resamples))
        draws = [float(sums_G[some].sum() / sizes_G[some].sum()) for some in drawn]
        return self._estimate(float(values.mean()), draws, len(values))

    def pair(self, statistic: Statistic, a_N: NDArray[Any], b_M: NDArray[Any], purpose: str) -> Estimate:
        """A statistic of two sets of items, each resampled on its own along the first axis.

        Raises:
            ValueError: a set has no item, or a value is not finite.
        """
        a, b = _checked(a_N, purpose), _checked(b_M, purpose)
        rng = generator(self.seed, f"bootstrap {purpose}")
        draws = [
            statistic(a[rng.integers(len(a), size=len(a))], b[rng.integers(len(b), size=len(b))])
            for _ in range(self.resamples)
        ]
        return self._estimate(statistic(a, b), draws, min(len(a), len(b)))

    def counted(self, statistic: Statistic, n: int, m: int, purpose: str) -> Estimate:
        """A statistic of the multiplicities (N,) and (M,): how often each of n and of m items was drawn.

        Its value is that of every item once. It draws the same items as `pair`, except that a draw of a
        single item, which leaves no pair of different items, is repeated.

        Raises:
            ValueError: a set has fewer than two items.
        """
        if min(n, m) < 2:
            raise ValueError(f"{purpose}: {n} and {m} items, expected two or more in each set")
        rng = generator(self.seed, f"bootstrap {purpose}")
        draws = [statistic(_multiplicities(n, rng), _multiplicities(m, rng)) for _ in range(self.resamples)]
        ones_N, ones_M = np.ones(n, dtype=np.intp), np.ones(m, dtype=np.intp)
        return self._estimate(statistic(ones_N, ones_M), draws, min(n, m))

    def jackknife(self, statistic: Statistic, a_N: NDArray[Any], b_M: NDArray[Any], purpose: str) -> Estimate:
        """A statistic of two sets, and Student's interval around it with the jackknife's error.

        In each set at most 20 groups of items, drawn by `purpose`, are left out in turn, and the variances
        of both sets are added (delete-m_j jackknife: Busing, Meijer & van der Leeden 1999,
        doi 10.1023/A:1008800423698). The interval says how much another draw of as many items would change
        the statistic; it leaves the bias of few items as it is.

        Raises:
            ValueError: a set has fewer than three items, or a value is not finite.
        """
        a, b = _checked(a_N, purpose), _checked(b_M, purpose)
        if min(len(a), len(b)) < 3:
            raise ValueError(f"{purpose}: {len(a)} and {len(b)} items, expected three or more in each set")
        rng = generator(self.seed, f"jackknife {purpose}")
        groups_a, groups_b = _groups(len(a), rng), _groups(len(b), rng)
        value = statistic(a, b)
        without_a = [statistic(np.delete(a, group, 0), b) for group in groups_a]
        without_b = [statistic(a, np.delete(b, group, 0)) for group in groups_b]
        variance = _variance(value, without_a, groups_a) + _variance(value, without_b, groups_b)
        freedom = len(groups_a) + len(groups_b) - 2
        half = float(stdtrit(freedom, (1 + self.confidence) / 2) * np.sqrt(variance))
        return Estimate(value, value - half, value + half, min(len(a), len(b)))

    def across(
        self, items: Callable[[NDArray[Any]], NDArray[Any]], values_NM: NDArray[Any], purpose: str
    ) -> Estimate:
        """The mean of `items` of the values between two sets, each of which leaves out groups in turn.

        A bootstrap of the items alone would take one of the sets as known.

        Raises:
            ValueError: as `jackknife`.
        """
        n, m = values_NM.shape

        def mean(rows: NDArray[Any], columns: NDArray[Any]) -> float:
            some = np.ix_(rows.astype(np.intp), columns.astype(np.intp))
            return float(items(values_NM[some]).mean())

        return self.jackknife(mean, np.arange(n), np.arange(m), purpose)

    def _estimate(self, value: float, draws: list[float], n: int) -> Estimate:
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(draws, [tail, 1 - tail])
        return Estimate(value, float(low), float(high), n)


def proportion(inside_N: NDArray[Any], confidence: float) -> Estimate:
    """The share of items that are 1 and not 0, with the exact interval of Clopper & Pearson (1934).

    Where none are (or all are), all resamples agree, and a bootstrap would claim certainty.

    Raises:
        ValueError: there is no item, or a value is neither 0 nor 1.
    """
    inside = _checked(inside_N, "share")
    if not np.isin(inside, (0, 1)).all():
        raise ValueError("share: values that are neither 0 nor 1")
    found = binomtest(int(inside.sum()), len(inside))
    interval = found.proportion_ci(confidence, method="exact")
    return Estimate(float(inside.mean()), float(interval.low), float(interval.high), len(inside))


def _multiplicities(n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """How often each of n items occurs among n draws, at least two of which differ."""
    while True:
        counts = np.bincount(rng.integers(n, size=n), minlength=n)
        if counts.max() < n:
            return counts


def _groups(n: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    return np.array_split(rng.permutation(n), min(GROUPS, n))


def _variance(value: float, without_G: list[float], groups: list[NDArray[np.intp]]) -> float:
    """The jackknife's variance of a statistic from its values without each of G groups."""
    sizes_G = np.array([len(group) for group in groups])
    n = sizes_G.sum()
    h_G = n / sizes_G
    mean = len(groups) * value - ((1 - 1 / h_G) * without_G).sum()
    pseudo_G = h_G * value - (h_G - 1) * without_G
    return float(((pseudo_G - mean) ** 2 / (h_G - 1)).mean())


def _checked(values: NDArray[Any], purpose: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        raise ValueError(f"{purpose}: no items to resample")
    if not np.isfinite(array).all():
        raise ValueError(f"{purpose}: values that are not finite")
    return array


def _digits(value: float, width: float) -> int:
    """Decimals that show two digits of the interval's width, or three of the value if it has none."""
    scale = width / 10 if width > 0 else value / 100
    return int(np.clip(np.ceil(-np.log10(scale)), 0, 6)) if scale > 0 else 2


def _shown(value: float, digits: int) -> str:
    if abs(value) >= 1e6 or (digits > 4 and 0 < abs(value) < 1e-3):
        return f"{value:.2e}"
    return f"{round(value, digits) + 0.0:.{digits}f}"
