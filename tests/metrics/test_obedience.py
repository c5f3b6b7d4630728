"""What models that learnt real items take others for: known answers, balanced over classes."""

import numpy as np
import pytest

from voxgen.metrics.obedience import (
    agreement,
    class_guesses,
    correlation,
    number_guesses,
    root_mean_square_error,
    standardised,
)


def items(n: int, seed: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Features of two classes, one item in five of the second, which lies `shift` aside in one of them."""
    rng = np.random.default_rng(seed)
    label = (np.arange(n) % 5 == 0).astype(np.int64)
    x = rng.normal(size=(n, 12))
    x[:, 3] += shift * label
    return 7 + 0.1 * x, label


def test_classes_that_lie_apart_are_recognised_and_swapped_labels_are_not() -> None:
    learnt, others = items(300, 0, 8.0), items(100, 1, 8.0)
    guessed = class_guesses(*learnt, others[0])
    assert agreement(np.stack([others[1], guessed], 1)) > 0.98
    assert agreement(np.stack([1 - others[1], guessed], 1)) < 0.02


def test_where_nothing_tells_classes_apart_agreement_is_chance() -> None:
    found = []
    for seed in range(10):
        learnt, others = items(200, seed, 0.0), items(200, 100 + seed, 0.0)
        found.append(agreement(np.stack([others[1], class_guesses(*learnt, others[0])], 1)))
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)


def test_agreement_counts_classes_alike() -> None:
    asked = np.array([0] * 8 + [1] * 2)
    assert agreement(np.stack([asked, np.zeros(10, np.int64)], 1)) == 0.5
    assert agreement(np.stack([asked, asked], 1)) == 1
    guessed = np.array([0] * 8 + [1, 0])
    assert agreement(np.stack([asked, guessed], 1)) == 0.75


def test_numbers_are_guessed_up_to_what_noise_hides() -> None:
    """Of y = x + n with equal variances the best guess correlates with y by sqrt(1/2) and errs by 1."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 6))
    y = 50 + x[:, 2] + rng.normal(size=4000)
    pairs = np.stack([y[2000:], number_guesses(x[:2000], y[:2000], x[2000:])], 1)
    assert correlation(pairs) == pytest.approx(0.5**0.5, abs=0.03)
    assert root_mean_square_error(pairs) == pytest.approx(1, abs=0.05)


def test_correlation_by_hand() -> None:
    assert correlation(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])) == pytest.approx(1)
    assert correlation(np.array([[1.0, 6.0], [2.0, 4.0], [3.0, 2.0]])) == pytest.approx(-1)
    assert correlation(np.array([[1.0, 5.0], [2.0, 5.0]])) == 0
    assert root_mean_square_error(np.array([[1.0, 4.0], [2.0, 2.0]])) == pytest.approx(4.5**0.5)


def test_features_that_do_not_vary_are_left_out() -> None:
    learnt = np.array([[1.0, 5.0], [3.0, 5.0]])
    a, b = standardised(learnt, np.array([[5.0, 9.0]]))
    assert (a.tolist(), b.tolist()) == ([[-1], [1]], [[3]])
