"""Volumes at another resolution: counts are kept, positions too."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgen.volumes.grid import fixed_grid, rasterize, scan_grid
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
    grid = scan_grid((8, 8, 8), (1.0, 1.0, 2.0), "mm")
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None], (8, 8, 8))
    half = resized(ramp, (4, 8, 8), "intensity")
    assert half.dtype == np.float32
    np.testing.assert_allclose(half[:, 0, 0], [0.5, 2.5, 4.5, 6.5], atol=1e-6)
    double = resized(ramp, (16, 8, 8), "intensity")
    np.testing.assert_allclose(double[1:-1, 3, 3], np.arange(14) / 2 + 0.25, atol=1e-6)
    assert resized_grid(grid, (4, 8, 16)).spacing == (2.0, 1.0, 1.0)


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
