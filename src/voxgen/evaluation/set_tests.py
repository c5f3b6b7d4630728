"""Whether a set of volumes differs from the test split: a permutation test for every score that has one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voxgen.evaluation.metric import TESTED, Entry
from voxgen.evaluation.set_items import Items, pool_items
from voxgen.metrics.permutation import corrected, p_value, permuted

Tests = dict[str, dict[str, dict[str, float]]]  # of each entry's key and each set: p, corrected


def run_tests(entries: Sequence[Entry], items: Items, permutations: int, seed: int) -> Tests:
    """What `compare_set` says of samples and of train volumes, by entry and set."""
    found: Tests = {}
    for name in TESTED:
        for key, test in compare_set(entries, items, name, permutations, seed).items():
            found.setdefault(key, {})[name] = test
    return found


def compare_set(
    entries: Sequence[Entry], items: Items, name: str, permutations: int, seed: int
) -> dict[str, dict[str, float]]:
    """The p-value of each entry that has a test, of one set against the test split.

    Those with a gate are also corrected for their number; the others decide nothing. What too few volumes
    allow no test of is missing.
    """
    values = {
        entry.key: one
        for entry in entries
        if (one := _permute(entry, items, name, permutations, seed)) is not None
    }
    gated = corrected(
        {entry.key: values[entry.key] for entry in entries if entry.gate and entry.key in values}
    )
    return {
        key: {"p": p_value(one), **({"corrected": gated[key]} if key in gated else {})}
        for key, one in values.items()
    }


def _permute(
    entry: Entry, items: Items, name: str, permutations: int, seed: int
) -> NDArray[np.float64] | None:
    taken = items.get(entry.score.takes.split()[0].partition(".")[0])
    if entry.score.test is None or taken is None:
        return None
    pooled, n = pool_items(taken, name)
    m = len(pooled) - n
    return permuted(entry.score.test(pooled), n, m, permutations, seed) if min(n, m) > 1 else None
