"""Pieces, skeletons and holes of shapes whose structure is known."""

import numpy as np
import pytest

from voxgen.batches.views import views
from voxgen.metrics.structure import cl_dice, relative_length, skeleton, skeleton_lengths, structure

UNIT = (1.0, 1.0, 1.0)


def rod(length: int, width: int = 3, shape: tuple[int, int, int] = (48, 16, 8)) -> np.ndarray:
    """A straight rod along x, `width` voxels wide, in the middle of y and z."""
    mask = np.zeros(shape, bool)
    y, z = (shape[1] - width) // 2, (shape[2] - width) // 2
    mask[4 : 4 + length, y : y + width, z : z + width] = True
    return mask


def ball(radius: float, size: int) -> np.ndarray:
    return np.asarray(np.sum((np.indices((size,) * 3) - (size - 1) / 2) ** 2, 0) <= radius**2)


def ring(size: int = 24, radius: float = 8, width: float = 2) -> np.ndarray:
    """A torus around z."""
    x, y, z = (
        np.indices((size, size, 8)) - np.array([(size - 1) / 2, (size - 1) / 2, 3.5])[:, None, None, None]
    )
    return np.asarray((np.hypot(x, y) - radius) ** 2 + z**2 <= width**2)


def test_a_rod_is_one_piece_of_its_length_and_thickness() -> None:
    found = structure(rod(36), UNIT)
    assert (found.pieces, found.specks, found.loops, found.cavities) == (1, 0, 0, 0)
    assert (
        found.length == found.longest == pytest.approx(36, abs=2.5)
    )  # thinning may eat half a width per end
    assert found.thickness == pytest.approx(2 * 3 / np.sqrt(np.pi), rel=0.05)


def test_lengths_and_thickness_are_in_units() -> None:
    mask = rod(36)
    found, stretched = structure(mask, UNIT), structure(mask, (2.0, 0.5, 0.5))
    assert stretched.length == pytest.approx(2 * found.length, abs=1.1)
    assert stretched.thickness == pytest.approx(found.thickness / 2, rel=0.05)
    assert structure(mask, (3.0, 3.0, 3.0)).longest == pytest.approx(3 * found.longest)


def test_cutting_halves_the_longest_and_keeps_the_length() -> None:
    cut = rod(40)
    cut[23:25] = False
    whole, halves = structure(rod(40), UNIT), structure(cut, UNIT)
    assert halves.pieces == 2
    assert halves.longest == pytest.approx(whole.longest / 2, abs=2)
    assert halves.length == pytest.approx(whole.length - 2, abs=3)


def test_specks_count_apart_and_touch_nothing_else() -> None:
    mask = rod(36)
    clean = structure(mask, UNIT)
    for x in range(0, 48, 6):
        mask[x, 0, 0] = True
    mask[0:7, 15, 7] = True
    assert structure(mask, UNIT) == clean._replace(specks=9)
    mask[0:8, 15, 7] = True
    assert structure(mask, UNIT).pieces == 2


def test_lines_of_known_length() -> None:
    straight, diagonal = np.zeros((12, 12, 12), bool), np.zeros((12, 12, 12), bool)
    straight[1:11, 5, 5] = True
    diagonal[np.arange(1, 11), np.arange(1, 11), np.arange(1, 11)] = True
    assert skeleton_lengths(straight, UNIT) == pytest.approx((10, 10))
    assert skeleton_lengths(diagonal, UNIT) == pytest.approx((9 * np.sqrt(3) + 1,) * 2)
    assert skeleton_lengths(diagonal, (1, 2, 3)) == pytest.approx((9 * np.sqrt(14) + 2,) * 2)


def test_a_cross_is_as_long_as_both_lines_and_its_longest_way_is_one_of_them() -> None:
    cross = np.zeros((21, 15, 3), bool)
    cross[:, 7, 1] = True
    cross[10, :, 1] = True
    length, longest = skeleton_lengths(cross, UNIT)
    assert longest == pytest.approx(21)
    assert length == pytest.approx(21 + 14)


def test_a_bend_is_no_longer_for_its_triangle() -> None:
    bend = np.zeros((6, 6, 1), bool)
    bend[0, :, 0] = True
    bend[:, 0, 0] = True
    assert skeleton_lengths(bend, UNIT)[0] == pytest.approx(8 + np.sqrt(2) + 1, abs=0.6)


@pytest.mark.parametrize(
    ("shape", "betti"),
    [
        (ball(5, 16), (1, 0, 0)),
        (ball(6, 16) & ~ball(3, 16), (1, 0, 1)),
        (ring(), (1, 1, 0)),
        (np.concatenate([ring(), ring()]), (2, 2, 0)),
        (np.ones((6, 6, 6), bool), (1, 0, 0)),
        (np.ones((20, 9, 1), bool), (1, 0, 0)),
        (np.zeros((6, 6, 6), bool), (0, 0, 0)),
    ],
    ids=["ball", "hollow", "ring", "two rings", "full", "flat", "empty"],
)
def test_betti_numbers(shape: np.ndarray, betti: tuple[int, int, int]) -> None:
    found = structure(shape, UNIT)
    assert (found.pieces, found.loops, found.cavities) == betti


def test_a_ring_is_as_long_as_its_circle() -> None:
    found = structure(ring(), UNIT)
    assert found.length == pytest.approx(2 * np.pi * 8, rel=0.12)  # a chain of voxels is up to 8 % longer
    assert found.thickness == pytest.approx(4, rel=0.15)


def test_nothing_and_a_dot() -> None:
    empty = np.zeros((8, 8, 4), bool)
    found = structure(empty, UNIT)
    assert np.isnan(found.thickness)
    assert not any(found._replace(thickness=0))
    assert skeleton_lengths(empty, UNIT) == (0, 0)
    dot = ball(2, 8)
    assert skeleton(dot).sum() == structure(dot, UNIT).length == 1
    assert not skeleton(empty).any()


def test_mirrored_and_turned_volumes_have_the_same_counts() -> None:
    rng = np.random.default_rng(0)
    mask = rod(30) | np.asarray(rng.random((48, 16, 8)) > 0.995)
    found = structure(mask, UNIT)
    for view in views("xyz", []):
        seen = structure(view(mask), UNIT)
        assert (seen.pieces, seen.specks, seen.loops) == (found.pieces, found.specks, found.loops)
        assert seen.length == pytest.approx(found.length, rel=0.1)


def test_cl_dice() -> None:
    x = rod(36).astype(np.float32)
    shifted, thick = np.roll(x, 8, 1), rod(36, 5).astype(np.float32)
    half = x.copy()
    half[22:] = 0
    assert cl_dice(x, x) == cl_dice(0 * x, 0 * x) == 1
    assert cl_dice(x, shifted) == cl_dice(x, 0 * x) == 0
    assert cl_dice(x, thick) > 0.95  # the centre line is the same
    assert cl_dice(x, half) == pytest.approx(2 / 3, abs=0.05)  # precision 1, sensitivity 1/2


def test_relative_length() -> None:
    x = rod(36).astype(np.float32)
    half = x.copy()
    half[22:] = 0
    assert relative_length(x, x, UNIT) == relative_length(0 * x, 0 * x, UNIT) == 0
    assert relative_length(x, half, UNIT) == pytest.approx(-0.5, abs=0.05)
    assert relative_length(x, 0 * x, UNIT) == -1
    assert relative_length(0 * x, x, UNIT) == 1
