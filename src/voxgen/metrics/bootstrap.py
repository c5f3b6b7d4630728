"""Percentile bootstrap intervals (Efron 1979; Efron & Tibshirani 1993, chapter 13).

Shapes: N items of one set, M items of another; an item may be a number or an array.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from voxgen.randomness import generator

Statistic = Callable[[NDArray[Any], NDArray[Any]], float]


@dataclass(frozen=True)
class Estimate:
    """A value, its interval and the number of items that it rests on (of each set, the smaller)."""

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, float | int]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(**content)

    def overlaps(self, other: "Estimate") -> bool:
        """Whether the two intervals share a value."""
        return self.low <= other.high and other.low <= self.high

    def text(self, unit: str = "") -> str:
        """The value and its interval in words: `63 % [55, 70]`; unit `%` takes shares to per cent."""
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

    def mean(self, values_N: NDArray[Any], purpose: str) -> Estimate:
        """The mean of one number an item.

        `purpose` addresses the resampling: the same purpose draws the same items, which pairs
        estimates that are compared.

        Raises:
            ValueError: there is no item, or a value is not finite.
        """
        values = _checked(values_N, purpose)
        rng = generator(self.seed, f"bootstrap {purpose}")
        n = len(values)
        draws = [float(values[rng.integers(n, size=n)].mean()) for _ in range(self.resamples)]
        return self._estimate(float(values.mean()), draws, n)

    def pair(self, statistic: Statistic, a_N: NDArray[Any], b_M: NDArray[Any], purpose: str) -> Estimate:
        """A statistic of two sets of items, each resampled by itself along its first axis.

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

    def _estimate(self, value: float, draws: list[float], n: int) -> Estimate:
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(draws, [tail, 1 - tail])
        return Estimate(value, float(low), float(high), n)


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
