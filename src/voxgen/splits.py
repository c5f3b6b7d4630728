"""Seeded splits of exact sizes that do not depend on the order of files and rows."""

import hashlib
from collections import Counter
from collections.abc import Mapping

from voxgen.errors import InputError


def split_sizes(n: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Clouds in each split by the largest remainder; every non-zero share gets at least one.

    Raises:
        InputError: fewer clouds than non-zero shares.
    """
    wanted = [name for name, share in shares.items() if share > 0]
    if n < len(wanted):
        raise InputError(
            f"{n} different usable clouds, expected at least one for each of {', '.join(wanted)}; "
            "add clouds, or set a share of data.split to 0"
        )
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


def assign_splits(digests: Mapping[str, str], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """Split of each cloud, from {id: digest of its coordinates} and {split: share}.

    Clouds with equal digests share a split. Distinct clouds, largest set of copies first and then by the
    hash of (seed, digest), draw a split in proportion to the places left, so sizes are exact unless a
    set of copies is larger than the places.

    Raises:
        InputError: fewer different clouds than non-zero shares.
    """
    copies = Counter(digests.values())
    split_sizes(len(copies), shares)
    places = split_sizes(len(digests), shares)
    empty = {name for name, share in shares.items() if share > 0}
    draws = {digest: _draw(seed, digest) for digest in copies}
    chosen: dict[str, str] = {}
    for digest in sorted(copies, key=lambda digest: (-copies[digest], draws[digest], digest)):
        must_fill = len(copies) - len(chosen) <= len(empty)
        open_to = {name: places[name] for name in places if not must_fill or name in empty}
        fits = {name: left for name, left in open_to.items() if left >= copies[digest]}
        name = _pick(fits, draws[digest]) if fits else max(open_to, key=lambda name: open_to[name])
        chosen[digest] = name
        places[name] -= copies[digest]
        empty.discard(name)
    return {cloud: chosen[digest] for cloud, digest in digests.items()}


def _draw(seed: int, digest: str) -> tuple[int, int]:
    """Two independent 64-bit integers of an address: one orders, one picks."""
    raw = hashlib.blake2b(f"{seed}/{digest}".encode(), digest_size=16).digest()
    return int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "big")


def _pick(places: Mapping[str, int], draw: tuple[int, int]) -> str:
    """A split, in proportion to its places."""
    ticket = draw[1] * sum(places.values()) >> 64
    for name, left in places.items():
        if ticket < left:
            return name
        ticket -= left
    raise AssertionError("a ticket lies below the sum of the places")
