"""The classifier two-sample test: sets that differ are told apart, equal ones as often as chance says."""

import numpy as np
import pytest

from voxgen.metrics.classifier import Told, classifier_test, told_apart
from voxgen.metrics.permutation import p_value, permuted


def features(n: int, shift: float, seed: int, count: int = 20) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, count))
    x[:, 0] += shift
    return x


def test_separate_sets_are_told_apart_and_one_feature_among_many_is_enough() -> None:
    a, b = features(64, 8, 0), features(64, 0, 1)
    assert told_apart(a, b).mean() > 0.98
    pooled = Told(a, b).pooled
    assert pooled.shape == (128, 20)
    assert p_value(permuted(classifier_test(pooled), 64, 64, 199, 0)) == 1 / 200


def test_accuracy_is_that_of_items_that_were_not_seen() -> None:
    """More features than items: a training score would be 1 for any labels."""
    values = [told_apart(features(30, 0, i, 200), features(30, 0, 100 + i, 200)).mean() for i in range(20)]
    assert np.mean(values) == pytest.approx(0.5, abs=0.05)


def test_the_accuracy_of_a_shift_is_that_of_the_best_boundary() -> None:
    """Two normal distributions 2 standard deviations apart: 84 % lie on their own side of the middle."""
    found = told_apart(features(2000, 2, 0, 2), features(2000, 0, 1, 2))
    assert found.mean() == pytest.approx(0.841, abs=0.02)


def test_false_alarms_are_as_rare_as_they_say() -> None:
    rng = np.random.default_rng(0)
    found = [p_value(permuted(classifier_test(rng.normal(size=(24, 5))), 12, 12, 19, i)) for i in range(60)]
    assert np.mean(np.array(found) <= 0.1) <= 0.2


def test_undecided_and_refused() -> None:
    np.testing.assert_array_equal(told_apart(np.zeros((4, 2)), np.zeros((4, 2))), 0.5)
    with pytest.raises(ValueError, match="not finite"):
        told_apart(np.full((4, 2), np.nan), np.zeros((4, 2)))
