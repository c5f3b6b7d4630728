"""What is held against what: samples against many real volumes, train volumes against the test split."""

import numpy as np

from voxgen.evaluation.set_items import Items, add_real, pool_items
from voxgen.evaluation.volume_sets import SCALARS


def test_numbers_of_samples_are_held_against_test_and_further_train_volumes() -> None:
    one = {"samples": np.zeros(2), "test": np.ones(3), "train": np.full(2, 2.0)}
    items: Items = {item: dict(one) for item in SCALARS}
    add_real(items, {item: np.array([5.0, np.nan, 6.0]) for item in SCALARS})
    for item in SCALARS:
        pooled, n = pool_items(items[item], "samples")
        assert (pooled.tolist(), n) == ([0, 0, 1, 1, 1, 5, 6], 2)
        pooled, n = pool_items(items[item], "train")
        assert (pooled.tolist(), n) == ([2, 2, 1, 1, 1], 2)


def test_without_further_volumes_the_test_split_stands_alone() -> None:
    pooled, n = pool_items({"samples": np.zeros((2, 4)), "test": np.ones((3, 4))}, "samples")
    assert (pooled.shape, n) == ((5, 4), 2)
