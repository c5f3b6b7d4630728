"""Splits: exact sizes, any order and names, sets together, strata spread evenly."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from voxgen.errors import InputError
from voxgen.volumes.splits import Candidate, _rounded, assign_splits, split_sizes

SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}
SEEDS = st.integers(0, 5)
NAMES = st.sampled_from(["a", "b", "c", None])


def distinct(n: int) -> list[Candidate]:
    return [Candidate(f"a-{i:06d}", f"digest{i}") for i in range(n)]


def table(clouds: Sequence[Candidate], assigned: Mapping[str, str]) -> Counter[tuple[str | None, str]]:
    return Counter((cloud.stratum, assigned[cloud.id]) for cloud in clouds)


@st.composite
def shares(draw: st.DrawFn) -> dict[str, float]:
    parts = draw(st.tuples(*[st.integers(0, 20)] * 3).filter(any))
    return {name: part / sum(parts) for name, part in zip(SHARES, parts, strict=True)}


@st.composite
def tangled(draw: st.DrawFn) -> list[Candidate]:
    """Clouds with copies, groups and strata in any mixture."""
    one = st.tuples(st.integers(0, 30), st.none() | st.integers(0, 12), NAMES)
    kinds = draw(st.lists(one, min_size=1, max_size=60))
    return [
        Candidate(str(i), f"digest{digest}", group if group is None else f"group{group}", stratum)
        for i, (digest, group, stratum) in enumerate(kinds)
    ]


@pytest.mark.parametrize(
    ("n", "expected"),
    [(10, (6, 1, 3)), (1286, (772, 128, 386)), (3, (1, 1, 1)), (4, (2, 1, 1)), (7, (4, 1, 2))],
)
def test_sizes_are_exact(n: int, expected: tuple[int, int, int]) -> None:
    assert tuple(split_sizes(n, SHARES).values()) == expected
    assert Counter(assign_splits(distinct(n), SHARES, seed=0).values()) == dict(
        zip(SHARES, expected, strict=True)
    )


def test_a_seed_keeps_its_splits() -> None:
    """The splits of the first release, where clouds have neither groups nor strata."""
    assigned = assign_splits(distinct(20), SHARES, 0)
    assert "".join(split[1] for split in assigned.values()) == "rrerererrrrerrreraae"


@given(tangled(), st.randoms(use_true_random=False), SEEDS)
def test_order_and_names_do_not_matter(clouds: list[Candidate], random: Random, seed: int) -> None:
    try:
        assigned = assign_splits(clouds, SHARES, seed)
    except InputError:
        assume(False)
    places = random.sample(range(len(clouds)), len(clouds))
    names = {cloud.id: f"b{place}" for cloud, place in zip(clouds, places, strict=True)}
    renamed = [replace(cloud, id=names[cloud.id]) for cloud in random.sample(clouds, len(clouds))]
    expected = {names[cloud]: split for cloud, split in assigned.items()}
    assert assign_splits(renamed, SHARES, seed) == expected


def test_the_seed_matters() -> None:
    strata = [replace(cloud, stratum=str(i % 3)) for i, cloud in enumerate(distinct(40))]
    groups = [replace(cloud, group=str(i % 20)) for i, cloud in enumerate(distinct(40))]
    for clouds in (distinct(40), strata, groups):
        assert len({tuple(assign_splits(clouds, SHARES, seed).values()) for seed in range(5)}) == 5


def test_each_cloud_is_as_likely_in_a_split_as_its_share_says() -> None:
    clouds = [replace(cloud, stratum="ab"[i % 2]) for i, cloud in enumerate(distinct(10))]
    trained = Counter(
        cloud
        for seed in range(400)
        for cloud, split in assign_splits(clouds, SHARES, seed).items()
        if split == "train"
    )
    assert all(abs(trained[cloud.id] / 400 - 0.6) < 0.1 for cloud in clouds)


@given(st.lists(st.integers(1, 4), min_size=3, max_size=25), SEEDS)
def test_every_split_has_a_cloud_and_copies_fill_the_exact_sizes(copies: list[int], seed: int) -> None:
    clouds = [Candidate(f"{i}-{j}", f"digest{i}") for i, n in enumerate(copies) for j in range(n)]
    assigned = assign_splits(clouds, SHARES, seed)
    assert set(assigned.values()) == set(SHARES)
    if copies.count(1) >= 12:
        assert Counter(assigned.values()) == split_sizes(len(clouds), SHARES)


@given(tangled(), shares(), SEEDS)
def test_no_set_is_torn_and_no_split_is_empty(
    clouds: list[Candidate], parts: dict[str, float], seed: int
) -> None:
    try:
        assigned = assign_splits(clouds, parts, seed)
    except InputError:
        assume(False)
    together = defaultdict(set)
    for cloud in clouds:
        together[cloud.digest].add(assigned[cloud.id])
        if cloud.group is not None:
            together[cloud.group].add(assigned[cloud.id])
    assert {len(splits) for splits in together.values()} == {1}
    assert set(assigned) == {cloud.id for cloud in clouds}
    assert set(assigned.values()) == {name for name, share in parts.items() if share > 0}


def test_a_chain_of_copies_and_groups_stays_together() -> None:
    links = [("d0", "a"), ("d0", "b"), ("d1", "b"), ("d1", None), ("d2", "c"), ("d1", "c")]
    chain = [Candidate(f"chain{i}", digest, group) for i, (digest, group) in enumerate(links)]
    for seed in range(20):
        assigned = assign_splits([*distinct(30), *chain], SHARES, seed)
        assert len({assigned[cloud.id] for cloud in chain}) == 1
        assert Counter(assigned.values()) == split_sizes(36, SHARES)


def test_a_group_may_be_called_like_a_digest() -> None:
    clouds = [Candidate("one", "same"), Candidate("two", "other", group="same"), *distinct(8)]
    assert len({tuple(assign_splits(clouds, SHARES, seed).values())[:2] for seed in range(30)}) > 3


@given(st.lists(NAMES, min_size=3, max_size=80), shares(), SEEDS)
def test_strata_of_single_clouds_keep_their_shares(
    strata: list[str | None], parts: dict[str, float], seed: int
) -> None:
    assume(len(strata) >= sum(share > 0 for share in parts.values()))
    clouds = [replace(cloud, stratum=one) for cloud, one in zip(distinct(len(strata)), strata, strict=True)]
    sizes = split_sizes(len(clouds), parts)
    assume(all(abs(sizes[name] - len(clouds) * share) < 1 for name, share in parts.items()))
    assigned = assign_splits(clouds, parts, seed)
    assert Counter(assigned.values()) == Counter(sizes)
    counts = table(clouds, assigned)
    for stratum, n in Counter(strata).items():
        for name, share in parts.items():
            quota = Fraction(share).limit_denominator(100) * n
            assert abs(counts[stratum, name] - quota) < 1


@settings(max_examples=40)
@given(st.lists(st.integers(1, 9), min_size=30, max_size=60), SEEDS)
def test_many_small_strata_keep_their_shares(sizes: list[int], seed: int) -> None:
    strata = [f"s{i}" for i, n in enumerate(sizes) for _ in range(n)]
    clouds = [replace(cloud, stratum=one) for cloud, one in zip(distinct(len(strata)), strata, strict=True)]
    assigned = assign_splits(clouds, SHARES, seed)
    assert Counter(assigned.values()) == split_sizes(len(clouds), SHARES)
    counts = table(clouds, assigned)
    quotas = {(f"s{i}", name): n * SHARES[name] for i, n in enumerate(sizes) for name in SHARES}
    assert max(abs(counts[key] - quota) for key, quota in quotas.items()) < 1


@given(SEEDS)
def test_groups_of_one_stratum_keep_its_shares_as_far_as_their_size_allows(seed: int) -> None:
    clouds = [
        replace(cloud, group=f"patient{i // 5}", stratum="abcd"[i // 5 % 4])
        for i, cloud in enumerate(distinct(400))
    ]
    assigned = assign_splits(clouds, SHARES, seed)
    assert Counter(assigned.values()) == {"train": 240, "val": 40, "test": 120}
    counts = table(clouds, assigned)
    assert all(abs(counts[one, name] - 100 * share) <= 5 for one in "abcd" for name, share in SHARES.items())


@given(SEEDS)
def test_single_clouds_make_up_for_groups_of_several_strata(seed: int) -> None:
    groups = [Candidate(f"g{i}", f"g{i}", f"group{i // 4}", "ab"[i % 2]) for i in range(20)]
    singles = [replace(cloud, stratum="ab"[i % 2]) for i, cloud in enumerate(distinct(80))]
    assigned = assign_splits([*groups, *singles], SHARES, seed)
    assert table([*groups, *singles], assigned) == {
        (one, name): 50 * share for one in "ab" for name, share in SHARES.items()
    }


@given(SEEDS)
def test_sizes_are_exact_where_no_group_fits_the_places_of_its_stratum(seed: int) -> None:
    groups = [Candidate(f"g{i}", f"g{i}", f"group{i // 3}", f"s{i // 3}") for i in range(30)]
    singles = [replace(cloud, stratum=f"s{i // 2}") for i, cloud in enumerate(distinct(20))]
    parts = {"train": 0.4, "val": 0.3, "test": 0.3}
    assigned = assign_splits([*groups, *singles], parts, seed)
    assert Counter(assigned.values()) == {"train": 20, "val": 15, "test": 15}
    counts = table([*groups, *singles], assigned)
    assert all(counts[f"s{i}", name] <= 3 for i in range(10) for name in parts)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=12), st.data())
def test_controlled_rounding_rounds_every_quota_up_or_down(
    twelfths: list[tuple[int, int]], data: st.DataObject
) -> None:
    quotas = np.array([(a, b, -(a + b) % 12 + 12) for a, b in twelfths]) / 12
    totals = quotas.sum(axis=0).round(9)
    up = round(totals.sum()) - int(np.floor(totals).sum())
    raised = data.draw(st.permutations(np.flatnonzero(totals % 1).tolist()))[:up]
    columns = [int(total) + (k in raised) for k, total in enumerate(totals)]
    rows = [round(n) for n in quotas.sum(axis=1)]
    counts = _rounded(quotas.round(9), rows, columns)
    assert counts.sum(axis=0).tolist() == columns
    assert counts.sum(axis=1).tolist() == rows
    assert np.abs(counts - quotas).max() < 1


def test_a_set_larger_than_the_places_leaves_the_others_their_shares() -> None:
    giant = [Candidate(f"g{i}", f"g{i}", "giant", "ab"[i % 2]) for i in range(80)]
    clouds = [*giant, *(replace(cloud, stratum="ab"[i % 2]) for i, cloud in enumerate(distinct(20)))]
    assert Counter(assign_splits(clouds, SHARES, 0).values()) == {"train": 80, "val": 5, "test": 15}


def test_a_share_of_zero_stays_empty_and_too_few_clouds_are_refused() -> None:
    assert set(assign_splits(distinct(5), {"train": 1.0, "val": 0.0, "test": 0.0}, 0).values()) == {"train"}
    with pytest.raises(
        InputError, match="2 different usable clouds, expected at least one for each of train, val"
    ):
        assign_splits(distinct(2), SHARES, 0)
    with pytest.raises(InputError, match="1 different"):
        assign_splits([Candidate(f"a-{i}", "same") for i in range(9)], SHARES, 0)
    two = [replace(cloud, group="ab"[i % 2]) for i, cloud in enumerate(distinct(9))]
    with pytest.raises(InputError, match=r"2 groups of clouds \(9 clouds.*data\.split\.group of more values"):
        assign_splits(two, SHARES, 0)
