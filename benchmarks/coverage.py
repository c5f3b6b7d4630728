"""How often the intervals of the evaluation hold the true value: 95 % is what they say.

    python benchmarks/coverage.py > benchmarks/results/coverage.md

Sets are drawn from distributions whose answer is known. Where a score is biased at finite n, the truth is
its expectation over sets of that size, from 2,000 further draws: an interval says how much another draw would
change the score, not how far it is from what infinitely many volumes would give.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from voxgen.metrics.bootstrap import Bootstrap, Estimate, proportion
from voxgen.metrics.distributions import KernelDistance, frechet_distance, gap_of_pairs
from voxgen.metrics.point_clouds import (
    coverage,
    jensen_shannon,
    minimum_matching,
    mutual_neighbours,
    nearest_neighbour_correct,
)
from voxgen.metrics.volume_statistics import histogram_distance, relative_difference, spectrum_distance

Array = NDArray[np.float64]
Sets = Callable[[int, np.random.Generator], tuple[Array, Array]]

FEATURES, CELLS, SHELLS, BINS = 8, 60, 24, 64
SIZES = (64, 300)
EXPECTED = 2000  # draws behind a true value that no formula gives


@dataclass(frozen=True)
class Case:
    """An interval: its kind, what it is of, how sets are drawn, its function, the true value if known."""

    kind: str
    name: str
    draw: Sets
    value: Callable[[Array, Array], float]
    interval: Callable[[Bootstrap, Array, Array, str], Estimate]
    truth: float | None = None


def gamma(scale: float, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Skewed numbers, one per volume, such as lengths: standard deviation half the mean."""
    return scale * rng.gamma(4, 0.25, n), rng.gamma(4, 0.25, n)


def vectors(shift: float, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Features of both sets; the variances fall as 1 / k."""
    std = (1 + np.arange(FEATURES)) ** -0.5
    return rng.normal(shift, 1, (n, FEATURES)) * std, rng.normal(0, 1, (n, FEATURES)) * std


def histograms(shift: float, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Counts in bins whose place varies from volume to volume."""

    def draw(by: float) -> Array:
        centre = rng.normal(BINS / 3 + by, 4, (n, 1))
        return rng.poisson(20 * np.exp(-(((np.arange(BINS) - centre) / 8) ** 2) / 2)).astype(float)

    return draw(shift), draw(0)


def cells(share: float, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """200 points of each cloud in cells of its own preference; some lie in the first half of them."""

    def draw(more: float) -> Array:
        weights = rng.gamma(0.5, 1, (n, CELLS)) * np.where(np.arange(CELLS) < CELLS / 2, 1 + more, 1)
        return rng.multinomial(200, weights / weights.sum(1, keepdims=True)).astype(float)

    return draw(share), draw(0)


def spectra(factor: float, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Power per shell, falling, with a common factor of each volume."""

    def draw(steeper: float) -> Array:
        mean = np.exp(-np.arange(SHELLS) * (0.2 + steeper))
        return mean * rng.gamma(4, 0.25, (n, 1)) * rng.gamma(8, 1 / 8, (n, SHELLS))

    return draw(factor), draw(0)


def ones(function: Callable[[Array, Array], Callable[..., float]], a: Array, b: Array) -> float:
    """The score with every item once."""
    return function(a, b)(np.ones(len(a), int), np.ones(len(b), int))


def similar(a: Array, b: Array) -> Callable[..., float]:
    """The gap of mean similarities within the sets."""
    within = [np.exp(-(cdist(x, x) ** 2) / 4) - np.eye(len(x)) for x in (a, b)]
    return gap_of_pairs(*within)


def neighbours(a: Array, b: Array) -> Array:
    """1-NNA, item by item."""
    return nearest_neighbour_correct(cdist(a, a), cdist(b, b), cdist(a, b))


def mutual(a: Array, b: Array) -> NDArray[np.int64]:
    """Which clouds are each other's nearest."""
    return mutual_neighbours(cdist(a, a), cdist(b, b), cdist(a, b))


def cases() -> Iterator[Case]:
    """Every kind of interval that the evaluation shows, without and with a difference."""
    yield Case(
        "mean",
        "mean of a skewed number",
        partial(gamma, 1.0),
        lambda a, _: float(a.mean()),
        lambda bootstrap, a, _, purpose: bootstrap.mean(a, purpose),
        1.0,
    )
    for words, shift in (("no", 0.0), ("a", 0.5)):
        for name, score in (
            ("1-NNA", neighbours),
            ("coverage", lambda a, b: coverage(cdist(a, b))),
        ):
            yield Case(
                "mean",
                f"{name}, {words} shift",
                partial(vectors, shift),
                lambda a, b, score=score: float(score(a, b).mean()),
                lambda bootstrap, a, b, purpose, score=score: bootstrap.mean(
                    score(a, b), purpose, mutual(a, b) if score is neighbours else None
                ),
            )
        yield Case(
            "across",
            f"minimum matching, {words} shift",
            partial(vectors, shift),
            lambda a, b: float(minimum_matching(cdist(a, b)).mean()),
            lambda bootstrap, a, b, purpose: bootstrap.across(minimum_matching, cdist(a, b), purpose),
        )
    for words, scale in (("equal", 1.0), ("15 % less", 0.85)):
        yield Case(
            "pair",
            f"relative difference of means, {words}",
            partial(gamma, scale),
            relative_difference,
            lambda bootstrap, a, b, purpose: bootstrap.pair(relative_difference, a, b, purpose),
            scale - 1,
        )
    for name, sets, statistic, different in (
        ("histograms", histograms, histogram_distance, 2.0),
        ("spectra", spectra, spectrum_distance, 0.1),
        ("Fréchet distance", vectors, frechet_distance, 0.5),
        ("Jensen-Shannon divergence", cells, jensen_shannon, 0.5),
    ):
        for words, shift in (("no", 0.0), ("a", different)):
            yield Case(
                "jackknife",
                f"{name}, {words} difference",
                partial(sets, shift),
                statistic,
                lambda bootstrap, a, b, purpose, statistic=statistic: bootstrap.jackknife(
                    statistic, a, b, purpose
                ).at_least(0),
            )
    for name, function in (("kernel distance", KernelDistance), ("gap of pairs", similar)):
        for words, shift in (("no", 0.0), ("a", 0.5)):
            equal = 0.0 if not shift else None
            yield Case(
                "counted",
                f"{name}, {words} shift",
                partial(vectors, shift if name == "kernel distance" else 0.0)
                if name == "kernel distance"
                else partial(narrowed, 1 - shift / 2),
                partial(ones, function),
                lambda bootstrap, a, b, purpose, function=function: bootstrap.counted(
                    function(a, b), len(a), len(b), purpose
                ),
                equal,
            )
    for share in (0.015, 0.05, 0.3):
        yield Case(
            "proportion",
            f"share of {100 * share:g} %",
            lambda n, rng, share=share: ((rng.random(n) < share).astype(float), np.zeros(n)),
            lambda a, _: float(a.mean()),
            lambda bootstrap, a, _, purpose: proportion(a, bootstrap.confidence),
            share,
        )


def narrowed(width: float, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Features of a set that varies less, and of one that does not."""
    a, b = vectors(0.0, n, rng)
    return width * a, b


def measure(case: Case, n: int, trials: int, bootstrap: Bootstrap) -> tuple[float, float, float]:
    """Share of the trials whose interval holds the true value; shares of those below it and above it."""
    truth = case.truth
    if truth is None:
        rng = np.random.default_rng([n, 1])
        truth = float(np.mean([case.value(*case.draw(n, rng)) for _ in range(EXPECTED)]))
    rng = np.random.default_rng([n, 2])
    found = [case.interval(bootstrap, *case.draw(n, rng), f"{case.name} {i}") for i in range(trials)]
    below = float(np.mean([one.high < truth for one in found]))
    above = float(np.mean([one.low > truth for one in found]))
    return 1 - below - above, below, above


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=1000)
    given = parser.parse_args()
    bootstrap = Bootstrap(given.resamples, 0.95, seed=0)
    print("# Coverage of the intervals\n")
    print(f"`python benchmarks/coverage.py`: {given.trials} trials, {given.resamples} resamples.")
    print("A share of 95 % has a standard error of", f"{100 * np.sqrt(0.95 * 0.05 / given.trials):.1f} %.\n")
    print("| interval | of | " + " | ".join(f"n = {n} | too low, too high" for n in SIZES) + " |")
    print("|---|---|" + "---:|---:|" * len(SIZES))
    for case in cases():
        columns = []
        for n in SIZES:
            held, below, above = measure(case, n, given.trials, bootstrap)
            columns += [f"{100 * held:.1f} %", f"{100 * below:.1f}, {100 * above:.1f}"]
        print(f"| {case.kind} | {case.name} | " + " | ".join(columns) + " |", flush=True)


if __name__ == "__main__":
    main()
