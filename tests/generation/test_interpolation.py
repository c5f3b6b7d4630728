"""Arcs between latents, against angles that are known."""

import numpy as np
import pytest

from voxgen.generation.interpolation import spherical

X, Y = np.eye(2)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_a_quarter_turn_is_divided_evenly(share: float) -> None:
    angle = share * np.pi / 2
    np.testing.assert_allclose(spherical(X, Y, share), [np.cos(angle), np.sin(angle)], atol=1e-15)


def test_the_ends_are_the_latents_and_lengths_lie_between_theirs() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 3, 4, 4, 4)).astype(np.float32)
    b *= 2
    np.testing.assert_array_equal(spherical(a, b, 0.0), a)
    np.testing.assert_array_equal(spherical(a, b, 1.0), b)
    middle = spherical(a, b, 0.5)
    assert middle.dtype == np.float32
    straight = np.linalg.norm((a + b) / 2)
    assert straight < 1.25 * np.linalg.norm(a) < np.linalg.norm(middle) < np.linalg.norm(b)


@pytest.mark.parametrize("other", [3 * X, 0 * X, -X], ids=["parallel", "zero", "opposite"])
def test_where_there_is_no_arc_the_way_is_straight(other: np.ndarray) -> None:
    np.testing.assert_allclose(spherical(X, other, 0.25), 0.75 * X + 0.25 * other, atol=1e-12)
