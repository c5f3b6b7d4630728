"""Volumes at another resolution: counts are kept, positions too."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxgen.volumes.grid import Grid, Method, fixed_grid, occupied_above, rasterize, scan_grid
from voxgen.volumes.resolution import resized, resized_grid

BOUNDS = ((0.0, 800.0), (-400.0, 400.0), (1000.0, 1400.0))


@given(st.integers(0, 2**32 - 1))
def test_block_sums_are_the_counts_of_the_coarser_grid(seed: int) -> None:
    fine = fixed_grid((8, 12, 4), BOUNDS, "nm", "density", 1.0)
    coarse = resized_grid(fine, (4, 4, 4))
    assert coarse.bounds == fine.bounds
    low, high = np.array(BOUNDS).T
    points = low + np.random.default_rng(seed).random((50, 3)) * (high - low) * 1.1
    expected, outside = rasterize(points, coarse)
    counts = resized(rasterize(points, fine)[0], coarse.shape, "density")
    np.testing.assert_array_equal(counts, expected)
    assert counts.sum() == 50 - outside


def test_intensities_are_interpolated_at_the_new_centres() -> None:
    grid = scan_grid((24, 8, 8), (1.0, 1.0, 2.0), "mm")
    ramp = np.broadcast_to(np.arange(24, dtype=np.float32)[:, None, None], (24, 8, 8))
    for factor in (2, 3, 4):
        smaller = resized(ramp, (24 // factor, 8, 8), "intensity")[2:-2]
        assert smaller.dtype == np.float32
        centres = factor * (np.arange(24 // factor) + 0.5) - 0.5
        np.testing.assert_allclose(smaller[:, 0, 0], centres[2:-2], atol=1e-4)
    double = resized(ramp, (48, 8, 8), "intensity")
    np.testing.assert_allclose(double[1:-1, 3, 3], np.arange(46) / 2 + 0.25, atol=1e-5)
    np.testing.assert_array_equal(resized(ramp, (24, 8, 8), "intensity"), ramp)
    assert resized_grid(grid, (12, 8, 16)).spacing == (2.0, 1.0, 1.0)


@pytest.mark.parametrize("shape", [(5, 5, 5), (7, 7, 7), (4, 9, 15), (30, 15, 5)])
def test_a_constant_stays_and_a_checkerboard_becomes_its_mean(shape: tuple[int, int, int]) -> None:
    whole = np.full((15, 15, 15), 0.7, np.float32)
    np.testing.assert_allclose(resized(whole, shape, "intensity"), 0.7, atol=1e-6)
    board = (np.indices((15, 15, 15)).sum(0) % 2).astype(np.float32)
    smaller = resized(board, shape, "intensity")
    assert np.abs(smaller - 0.5)[tuple(slice(n // 5, n - n // 5) for n in shape)].max() < 0.05


@pytest.mark.parametrize(("factor", "cycles"), [(2, 0.4), (3, 0.4), (3, 0.25), (4, 0.25), (4, 0.2), (8, 0.1)])
def test_waves_that_the_coarser_grid_cannot_hold_vanish(factor: int, cycles: float) -> None:
    """Above half a cycle per voxel they would come back as others; a slow one, far below, stays."""
    x = np.arange(24 * factor)[:, None, None] * np.ones((1, 2, 2))
    fast, slow = (np.cos(2 * np.pi * each * x + 0.3).astype(np.float32) for each in (cycles, 0.05 / factor))
    aliased, kept = (resized(wave, (24, 2, 2), "intensity")[3:-3] for wave in (fast, slow))
    assert np.abs(aliased).max() < 0.2
    assert kept.max() > 0.95


def test_a_block_is_occupied_where_one_of_its_voxels_is() -> None:
    fine = fixed_grid((4, 4, 4), BOUNDS, "nm", "occupancy", 1.0)
    volume = np.zeros((4, 4, 4), np.float32)
    volume[:2, :2, :2] = 1
    coarse = resized(volume, (2, 2, 2), "occupancy")
    assert coarse[0, 0, 0] == coarse.sum() == 1
    assert resized_grid(fine, (2, 2, 2)).dtype == "uint8"


def test_a_gaussian_keeps_its_width_in_the_units_of_the_data() -> None:
    grid = fixed_grid((8, 8, 8), BOUNDS, "nm", "gaussian", 2.0)
    assert resized_grid(grid, (4, 4, 4)).sigma == pytest.approx(1.0)
    assert resized_grid(grid, (8, 8, 8)) == grid


def peaks(blocks: tuple[int, int, int], sigma: float, method: Method) -> tuple[Grid, NDArray[np.float64]]:
    """A grid of summed blocks, and the largest voxel of a single localisation at each place in a block."""
    shape = tuple(8 * n for n in blocks)
    fine = fixed_grid(shape, [(0, n) for n in shape], "nm", method, sigma)
    coarse = resized_grid(fine, (8, 8, 8))
    places = product(*(range(4 * n, 5 * n) for n in blocks))
    volumes = (rasterize(np.array([place]) + 0.5, fine)[0] for place in places)
    return coarse, np.array([resized(volume, coarse.shape, method).max() for volume in volumes])


@pytest.mark.parametrize("sigma", [0.7, 1.0, 2.0])
@pytest.mark.parametrize("blocks", [(1, 1, 1), (2, 2, 2), (4, 4, 4), (3, 3, 3), (1, 1, 8), (4, 2, 1)])
def test_a_localisation_occupies_a_block_from_half_its_mean_peak_on(
    blocks: tuple[int, int, int], sigma: float
) -> None:
    coarse, found = peaks(blocks, sigma, "gaussian")
    assert occupied_above(coarse) == pytest.approx(found.mean() / 2, rel=1e-5)
    assert found.min() > occupied_above(coarse)  # wherever it lies, at least one voxel is occupied
    again = Grid.from_json(coarse.to_json())
    assert (again, again.blocks) == (coarse, blocks)


@pytest.mark.parametrize("method", ["density", "occupancy"])
def test_a_single_point_occupies_a_block(method: Method) -> None:
    coarse, found = peaks((2, 3, 1), 1.0, method)
    assert set(found) == {1}
    assert occupied_above(coarse) == 0.5


def test_scans_are_not_summed() -> None:
    scans = resized_grid(scan_grid((8, 8, 8), (1.0, 1.0, 2.0), "mm"), (4, 8, 6))
    assert (scans.blocks, occupied_above(scans)) == ((1, 1, 1), 0.1)


def test_blocks_of_blocks_are_larger_blocks() -> None:
    fine = fixed_grid((16, 8, 8), BOUNDS, "nm", "gaussian", 1.0)
    twice = resized_grid(resized_grid(fine, (8, 8, 4)), (4, 8, 4))
    assert twice.blocks == (4, 1, 2) == resized_grid(fine, (4, 8, 4)).blocks
    assert occupied_above(twice) == pytest.approx(occupied_above(resized_grid(fine, (4, 8, 4))))
