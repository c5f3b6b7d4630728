"""Splits: exact sizes, any order, copies together."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgen.errors import InputError
from voxgen.splits import assign_splits, split_sizes

SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}


def distinct(n: int) -> dict[str, str]:
    return {f"a-{i:06d}": f"digest{i}" for i in range(n)}


@pytest.mark.parametrize(
    ("n", "expected"),
    [(10, (6, 1, 3)), (1286, (772, 128, 386)), (3, (1, 1, 1)), (4, (2, 1, 1)), (7, (4, 1, 2))],
)
def test_sizes_are_exact(n: int, expected: tuple[int, int, int]) -> None:
    assert tuple(split_sizes(n, SHARES).values()) == expected
    assert Counter(assign_splits(distinct(n), SHARES, seed=0).values()) == dict(
        zip(SHARES, expected, strict=True)
    )


@given(st.permutations(range(30)), st.integers(0, 5))
def test_order_does_not_matter(order: list[int], seed: int) -> None:
    clouds = distinct(30)
    ids = list(clouds)
    shuffled = {ids[i]: clouds[ids[i]] for i in order}
    assert assign_splits(shuffled, SHARES, seed) == assign_splits(clouds, SHARES, seed)


def test_the_seed_and_the_digests_decide_not_the_names() -> None:
    clouds = distinct(40)
    renamed = {f"b-{key}": digest for key, digest in clouds.items()}
    assert list(assign_splits(clouds, SHARES, 0).values()) == list(assign_splits(renamed, SHARES, 0).values())
    assert assign_splits(clouds, SHARES, 0) != assign_splits(clouds, SHARES, 1)


@given(st.lists(st.integers(1, 4), min_size=3, max_size=25), st.integers(0, 3))
def test_copies_share_a_split_and_every_split_has_a_cloud(copies: list[int], seed: int) -> None:
    clouds = {f"{i}-{j}": f"digest{i}" for i, n in enumerate(copies) for j in range(n)}
    assigned = assign_splits(clouds, SHARES, seed)
    for i in range(len(copies)):
        assert len({split for cloud, split in assigned.items() if cloud.startswith(f"{i}-")}) == 1
    assert set(assigned.values()) == set(SHARES)
    if copies.count(1) >= 12:
        assert Counter(assigned.values()) == split_sizes(len(clouds), SHARES)


def test_a_share_of_zero_stays_empty_and_too_few_clouds_are_refused() -> None:
    assert set(assign_splits(distinct(5), {"train": 1.0, "val": 0.0, "test": 0.0}, 0).values()) == {"train"}
    with pytest.raises(
        InputError, match="2 different usable clouds, expected at least one for each of train, val"
    ):
        assign_splits(distinct(2), SHARES, 0)
    with pytest.raises(InputError, match="1 different"):
        assign_splits({f"a-{i}": "same" for i in range(9)}, SHARES, 0)
