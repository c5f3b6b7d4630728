"""Addressed randomness: a draw depends on its address, and on nothing else."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voxgen.randomness import generator, normal

ADDRESSES = st.tuples(
    st.integers(0, 2**40),
    st.sampled_from(["noise", "order", "flip"]),
    st.lists(st.integers(0, 200), max_size=3),
)


def first(seed: int, purpose: str, *index: int) -> int:
    return int(generator(seed, purpose, *index).bit_generator.random_raw())


@given(ADDRESSES, ADDRESSES)
def test_draws_agree_exactly_where_addresses_do(
    one: tuple[int, str, list[int]], other: tuple[int, str, list[int]]
) -> None:
    assert first(one[0], one[1], *one[2]) == first(one[0], one[1], *one[2])
    assert (first(one[0], one[1], *one[2]) == first(other[0], other[1], *other[2])) == (one == other)


def test_neighbouring_addresses_do_not_run_together() -> None:
    addresses = [
        (1, "a", 23),
        (12, "a", 3),
        (1, "a", 2, 3),
        (1, "a"),
        (1, "a", 0),
        (1, "a", 0, 0),
        (0, "a", 1),
    ]
    assert len({first(*address) for address in addresses}) == len(addresses)


def test_draws_do_not_depend_on_order_or_on_earlier_draws() -> None:
    forwards = [normal((4,), 0, "noise", i) for i in range(6)]
    np.random.default_rng(0).random(100)
    backwards = [normal((4,), 0, "noise", i) for i in reversed(range(6))]
    np.testing.assert_array_equal(forwards, backwards[::-1])


def test_numpy_integers_are_the_same_address() -> None:
    np.testing.assert_array_equal(normal((4,), 0, "noise", 2, 7), normal((4,), 0, "noise", *np.array([2, 7])))


def test_the_stream_of_an_address_is_pinned() -> None:
    """Results of another version must not change unseen."""
    drawn = generator(0, "noise", 1).bit_generator.random_raw(2).tolist()
    assert drawn == [7940601881856055862, 5733391536329813300]


def test_normal_is_standard_float32() -> None:
    noise = np.stack([normal((2, 5, 5, 4), 3, "noise", i) for i in range(100)])
    assert noise.dtype == np.float32
    assert noise.shape == (100, 2, 5, 5, 4)
    n = noise.size
    assert abs(noise.mean()) < 4 / np.sqrt(n)
    assert abs(noise.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 4 / np.sqrt(n)
