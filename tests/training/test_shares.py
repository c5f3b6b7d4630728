"""How a step's items are shared out: each to one process, with weights that make one batch of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgen.training.shares import shares

Part = tuple[np.ndarray, float]
SEVERAL = st.integers(1, 9)


def shared_out(n: int, processes: int, at_once: int | None) -> list[list[Part]]:
    """The shares of every process, of items that are not their own positions."""
    items = np.arange(n) * 7 + 3
    return [shares(items, rank, processes, at_once) for rank in range(processes)]


@given(n=st.integers(1, 40), processes=SEVERAL, at_once=st.none() | SEVERAL)
def test_every_item_has_the_same_weight_once(n: int, processes: int, at_once: int | None) -> None:
    parts = [part for taken in shared_out(n, processes, at_once) for part in taken]
    assert sum(weight for _, weight in parts) == pytest.approx(1)
    counted = [(items, weight) for items, weight in parts if weight]
    assert sorted(np.concatenate([items for items, _ in counted])) == list(np.arange(n) * 7 + 3)
    assert all(weight == pytest.approx(len(items) / n) for items, weight in counted)
    assert all(len(items) == 1 for items, weight in parts if not weight)


@given(n=st.integers(1, 40), processes=SEVERAL, at_once=st.none() | SEVERAL)
def test_every_process_takes_as_many_shares_of_bounded_size(
    n: int, processes: int, at_once: int | None
) -> None:
    taken = shared_out(n, processes, at_once)
    assert len({len(parts) for parts in taken}) == 1
    sizes = [len(items) for parts in taken for items, _ in parts]
    assert max(sizes) <= (at_once or -(-n // processes))
    loads = [sum(len(items) for items, weight in parts if weight) for parts in taken]
    assert max(loads) - min(loads) <= 1
    assert len(taken[0]) == (-(-max(loads) // at_once) if at_once else 1)


def test_one_process_takes_a_step_whole() -> None:
    ((items, weight),) = shares(np.array([4, 1, 6]), 0, 1, None)
    assert (items.tolist(), weight) == ([4, 1, 6], 1.0)


def test_a_process_without_items_takes_the_first_for_nothing() -> None:
    ((items, weight),) = shares(np.array([4]), 1, 2, 8)
    assert (items.tolist(), weight) == ([4], 0.0)
