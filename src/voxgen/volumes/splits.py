"""Seeded splits of exact sizes that do not depend on the names and the order of clouds.

Shapes: S strata, K splits.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError

Table = NDArray[np.float64]
OUTSIDE = 1e6  # cost of each place by which a count is not its quota rounded up or down


@dataclass(frozen=True)
class Candidate:
    """A cloud to be put into a split.

    Attributes:
        id: its name, which decides nothing.
        digest: that of its coordinates; clouds with equal ones are copies.
        group: clouds of equal groups share a split; None: of no group.
        stratum: each stratum is spread over the splits by their shares; None is a stratum too.
    """

    id: str
    digest: str
    group: str | None = None
    stratum: str | None = None


@dataclass(frozen=True)
class _Set:
    """Clouds that must stay together: their smallest digest, its draws, and clouds by number of stratum."""

    digest: str
    draw: tuple[int, int]
    strata: Mapping[int, int]
    size: int


def split_sizes(
    n: int, shares: Mapping[str, float], what: str = "different usable clouds", remedy: str = "add clouds"
) -> dict[str, int]:
    """Clouds in each split by the largest remainder; every non-zero share gets at least one.

    Raises:
        InputError: fewer than non-zero shares; the message calls them `what` and names the `remedy`.
    """
    wanted = [name for name, share in shares.items() if share > 0]
    if n < len(wanted):
        raise InputError(f"{n} {what}, expected at least one for each of {', '.join(wanted)}; {remedy}")
    quotas = {name: round(n * share, 9) for name, share in shares.items()}
    sizes = {name: int(quota) for name, quota in quotas.items()}
    by_remainder = sorted(wanted, key=lambda name: sizes[name] - quotas[name])
    for name in by_remainder[: n - sum(sizes.values())]:
        sizes[name] += 1
    for name in wanted:
        if sizes[name] == 0:
            sizes[max(sizes, key=lambda other: sizes[other])] -= 1
            sizes[name] = 1
    return sizes


def assign_splits(clouds: Sequence[Candidate], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """Split of each cloud by id, from {split: share}; the shares sum to 1.

    Clouds that are copies or of one group, directly or through others, share a split. Such sets, the largest
    first and then by the hash of (seed, digest), draw a split in proportion to the places left in it, so
    sizes are exact unless a set is larger than the places. Every non-zero share gets at least one set. In a
    stratum of single clouds each split's count is its quota, rounded up or down.

    Raises:
        InputError: fewer sets than non-zero shares.
    """
    strata = sorted({cloud.stratum for cloud in clouds}, key=lambda one: (one is not None, one or ""))
    numbers = {stratum: number for number, stratum in enumerate(strata)}
    roots = _roots(clouds)
    sets = _sets(clouds, roots, numbers, seed)
    if any(cloud.group is not None for cloud in clouds):
        what = f"groups of clouds ({len(clouds)} clouds, by data.split.group and equal coordinates)"
        split_sizes(len(sets), shares, what, "take a data.split.group of more values, or null")
    split_sizes(len(sets), shares)
    order = sorted(sets, key=lambda root: (-sets[root].size, sets[root].draw, sets[root].digest))
    room = _Room(Counter(numbers[cloud.stratum] for cloud in clouds), shares)
    chosen: dict[str, str] = {}
    for several in (True, False):
        room.divide(sets[root].strata for root in order[len(chosen) :])
        for root in (root for root in order if (sets[root].size > 1) is several):
            chosen[root] = room.take(sets[root], len(order) - len(chosen))
    return {cloud.id: chosen[root] for cloud, root in zip(clouds, roots, strict=True)}


class _Room:
    """Places left in each split, in all and in each stratum."""

    def __init__(self, members: Mapping[int, int], shares: Mapping[str, float]) -> None:
        self.names, self.shares = list(shares), list(shares.values())
        self.wanted = [k for k, share in enumerate(self.shares) if share > 0]
        self.empty = set(self.wanted)
        self.left = list(split_sizes(sum(members.values()), shares).values())
        self.rows: list[list[int]] = []
        quotas = [[round(members[number] * share, 9) for share in self.shares] for number in sorted(members)]
        self.quotas: Table = np.array(quotas, float)

    def divide(self, sets: Iterable[Mapping[int, int]]) -> None:
        """Divide the places left among the strata of the `sets` to come, close to the quotas left."""
        if len(self.quotas) == 1:
            self.rows = [self.left.copy()]
            return
        sizes = [0] * len(self.quotas)
        for strata in sets:
            for number, n in strata.items():
                sizes[number] += n
        columns = [max(0, left) for left in self.left]
        for _ in range(sum(columns) - sum(sizes)):  # an overfull split took places of the others
            columns[max(self.wanted, key=lambda k: columns[k] / self.shares[k])] -= 1
        self.rows = _rounded(self.quotas, sizes, columns).tolist()

    def take(self, one: _Set, to_come: int) -> str:
        """Choose a split for a set, the first of `to_come`, and take its places there."""
        must_fill = to_come <= len(self.empty)
        free = [k for k in range(len(self.names)) if not must_fill or k in self.empty]
        rows = [(self.rows[number], n) for number, n in one.strata.items()]
        fits = {k: min(row[k] for row, _ in rows) for k in free if all(row[k] >= n for row, n in rows)}
        roomy = [k for k in free if self.left[k] >= one.size]
        if fits:
            k = _pick(fits, one.draw)
        elif roomy:
            k = max(roomy, key=lambda k: sum(row[k] * n for row, n in rows))
        else:
            k = max(free, key=lambda k: self.left[k])
        self.left[k] -= one.size
        for number, n in one.strata.items():
            self.rows[number][k] -= n
            self.quotas[number, k] -= n
        self.empty.discard(k)
        return self.names[k]


def _roots(clouds: Sequence[Candidate]) -> list[str]:
    """One name for all clouds that must stay together, for each cloud (union-find)."""
    parents: dict[str, str] = {}

    def root(one: str) -> str:
        parents.setdefault(one, one)
        while parents[one] != one:
            parents[one] = one = parents[parents[one]]
        return one

    for cloud in clouds:
        digest = root(f"digest {cloud.digest}")
        if cloud.group is not None:
            parents[digest] = root(f"group {cloud.group}")
    return [root(f"digest {cloud.digest}") for cloud in clouds]


def _sets(
    clouds: Sequence[Candidate], roots: Sequence[str], numbers: Mapping[str | None, int], seed: int
) -> dict[str, _Set]:
    """The sets of clouds that must stay together, by root."""
    digests: dict[str, str] = {}
    strata: dict[str, Counter[int]] = defaultdict(Counter)
    for cloud, root in zip(clouds, roots, strict=True):
        digests[root] = min(digests.get(root, cloud.digest), cloud.digest)
        strata[root][numbers[cloud.stratum]] += 1
    return {
        root: _Set(digest, _draw(seed, digest), strata[root], strata[root].total())
        for root, digest in digests.items()
    }


def _draw(seed: int, digest: str) -> tuple[int, int]:
    """Two independent 64-bit integers of an address: one orders, one picks."""
    raw = hashlib.blake2b(f"{seed}/{digest}".encode(), digest_size=16).digest()
    return int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "big")


def _pick(places: Mapping[int, int], draw: tuple[int, int]) -> int:
    """A split, in proportion to its places."""
    ticket = draw[1] * sum(places.values()) >> 64
    for k, left in places.items():
        if ticket < left:
            return k
        ticket -= left
    raise AssertionError("a ticket lies below the sum of the places")


def _rounded(quotas: Table, rows: Sequence[int], columns: Sequence[int]) -> NDArray[np.int64]:
    """Whole numbers (S, K) >= 0 close to `quotas` with the sums `rows` (S,) and `columns` (K,).

    Controlled rounding: rows are rounded one by one, each making up for those before it; then single places
    move between splits, by the cheapest paths, until the columns are right. These are augmenting paths of a
    transport network (Ford and Fulkerson 1956): with up to three splits, quotas >= 0 and sums that are theirs
    rounded up or down, every number is its quota rounded up or down.
    """
    counts = np.zeros(quotas.shape, np.int64)
    owed = np.zeros(len(columns))
    for number, (quota, n) in enumerate(zip(quotas, rows, strict=True)):
        counts[number] = _rounded_row(quota.tolist(), owed.tolist(), n)
        owed += quota - counts[number]
    while (surplus := counts.sum(axis=0) - np.asarray(columns)).any():
        for row, source, sink in _path(counts, quotas, int(surplus.argmax()), np.flatnonzero(surplus < 0)):
            counts[row, source] -= 1
            counts[row, sink] += 1
    return counts


def _rounded_row(quota: Sequence[float], owed: Sequence[float], n: int) -> list[int]:
    """`n` places for one stratum: whole parts of its quota (K,), then one each where most is owed (K,)."""
    counts = [max(0, int(q // 1)) for q in quota]
    while sum(counts) > n:
        k = max(range(len(quota)), key=lambda k: (counts[k] > 0, counts[k] - quota[k] - owed[k]))
        counts[k] -= 1
    while sum(counts) < n:
        k = min(range(len(quota)), key=lambda k: (counts[k] >= quota[k], counts[k] - quota[k] - owed[k]))
        counts[k] += 1
    return counts


def _path(
    counts: NDArray[np.int64], quotas: Table, source: int, sinks: NDArray[np.intp]
) -> list[tuple[int, int, int]]:
    """The cheapest one or two moves (row, from, to) that bring a place from split `source` to a sink."""
    now = _cost(counts, quotas)
    less = np.where(counts > 0, _cost(counts - 1, quotas) - now, np.inf)
    more = _cost(counts + 1, quotas) - now
    moves = less[:, :, None] + more[:, None, :]
    rows, costs = moves.argmin(axis=0), moves.min(axis=0)
    np.fill_diagonal(costs, 0)
    through = costs[source, :, None] + costs[:, sinks]
    middle, end = np.unravel_index(int(through.argmin()), through.shape)
    stops = (source, int(middle), int(sinks[end]))
    return [(int(rows[a, b]), a, b) for a, b in pairwise(stops) if a != b]


def _cost(counts: NDArray[np.int64], quotas: Table) -> Table:
    """Squared distance from the quotas, and far more where a count is not one of them rounded up or down."""
    beyond = np.maximum(counts - np.ceil(quotas), np.floor(quotas) - counts)
    return np.square(counts - quotas) + OUTSIDE * np.maximum(beyond, 0)
