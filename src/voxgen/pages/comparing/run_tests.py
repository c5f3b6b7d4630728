"""Samples of two runs tested against each other, in the numbers that each volume has."""

import numpy as np
from numpy.typing import NDArray

from voxgen.metrics.permutation import corrected, of_scalars, permuted
from voxgen.pages.comparing.finished_runs import FinishedRun
from voxgen.pages.score_tables import Json

NONE_FOUND = "no difference found"
LEVEL = 0.05  # corrected p-value below which two runs differ
PERMUTATIONS = 1999
FEWEST = 4  # volumes of a set: fewer have too few labellings to tell anything
Array = NDArray[np.float64]


def tell_apart(first: FinishedRun, run: FinishedRun) -> dict[str, str]:
    """For each score with one number per volume: whether a run is better, worse, or not found to differ.

    The better one is nearer to its test volumes, by the statistic of the test. Scores that a run does not
    have, or that it has of too few volumes, are missing.
    """
    if run is first:
        return {}
    sets = [one.parts.get("samples", {}).get("volumes", {}) for one in (first, run)]
    if not all({"samples", "test"} <= one.keys() for one in sets):
        return {}
    shared = [name for name in sets[0]["samples"] if name != "ids" and name in sets[1]["samples"]]
    numbers = {
        name: [(_known(one["samples"], name), _known(one["test"], name)) for one in sets] for name in shared
    }
    enough = {
        name: two for name, two in numbers.items() if min(len(part) for one in two for part in one) >= FEWEST
    }
    p = corrected({name: _permute(old[0], new[0]) for name, (old, new) in enough.items()})
    return {
        name: NONE_FOUND if p[name] >= LEVEL else ("better" if _distance(*new) < _distance(*old) else "worse")
        for name, (old, new) in enough.items()
    }


def _known(of_set: Json, name: str) -> Array:
    return np.array([x for x in of_set[name] if x is not None], dtype=np.float64)


def _permute(a_N: Array, b_M: Array) -> Array:
    return permuted(of_scalars(np.append(a_N, b_M)), len(a_N), len(b_M), PERMUTATIONS, seed=0)


def _distance(samples_N: Array, test_M: Array) -> float:
    """How far a run's samples are from its test volumes."""
    observed = np.arange(len(samples_N) + len(test_M)) < len(samples_N)
    return float(of_scalars(np.append(samples_N, test_M))(observed[None])[0])
