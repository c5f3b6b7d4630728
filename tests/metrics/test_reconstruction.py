"""Reconstruction scores against known answers."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from voxgen.metrics.reconstruction import (
    count_error,
    dice,
    foreground_mask,
    iou,
    l1,
    mse,
    poisson_redraw,
    psnr,
    relative_sharpness,
)


def test_mask_grows_by_voxels() -> None:
    counts = np.zeros((9, 9, 9), np.float32)
    counts[4, 4, 4] = 1
    assert [int(foreground_mask(counts, 0.5, d).sum()) for d in (0, 1, 2)] == [1, 27, 125]


def test_errors_overlaps_and_count_error_of_known_volumes() -> None:
    x = np.zeros((4, 4, 4), np.float32)
    x[0] = 1
    assert psnr(x, x) == pytest.approx(100)
    assert psnr(x, x + np.float32(0.1)) == pytest.approx(20, abs=1e-4)
    assert psnr(x, 0 * x) == pytest.approx(10 * np.log10(4))
    assert l1(x, x - np.float32(0.1)) == pytest.approx(0.1)
    assert l1(x, 0 * x) == mse(x, 0 * x) == 0.25
    assert mse(x, 3 * x) == 1
    assert dice(x, x, 0.5) == 1
    assert dice(x, 0 * x, 0.5) == 0
    assert dice(0 * x, 0 * x, 0.5) == 1
    half = x.copy()
    half[0, :2] = 0
    assert dice(x, half, 0.5) == pytest.approx(2 / 3)
    assert iou(x, half, 0.5) == pytest.approx(1 / 2)
    assert iou(x, x, 0.5) == iou(0 * x, 0 * x, 0.5) == 1
    assert iou(x, 0 * x, 0.5) == 0
    assert count_error(x, half) == pytest.approx(0.5)
    assert count_error(x, 0 * x) == 1
    assert count_error(0 * x, 0 * x) == 0


def test_relative_sharpness_sees_a_blur_and_is_never_nan() -> None:
    rng = np.random.default_rng(0)
    x = gaussian_filter((rng.random((24, 24, 8)) > 0.98).astype(float), 1.0)
    foreground = x > 0.01
    assert relative_sharpness(x, 3 * x, foreground) == pytest.approx(0)
    blurred = [relative_sharpness(x, gaussian_filter(x, sigma), foreground) for sigma in (0.5, 1, 2)]
    assert 0 > blurred[0] > blurred[1] > blurred[2] > -1
    assert relative_sharpness(x, 0 * x, foreground) == -1
    assert relative_sharpness(x, x, foreground & False) == 0
    assert relative_sharpness(np.ones_like(x), x, foreground) == 0


def test_relative_sharpness_of_a_known_spot() -> None:
    """Gaussian spots: sum |grad x| / sum x is 2 sqrt(2 / pi) / sigma in 3D, so twice the width halves it."""
    spot = np.zeros((65, 65, 65))
    spot[32, 32, 32] = 1
    narrow, wide = gaussian_filter(spot, 3, truncate=6), gaussian_filter(spot, 6, truncate=6)
    everywhere = np.ones(spot.shape, bool)
    assert relative_sharpness(narrow, wide, everywhere) == pytest.approx(-0.5, abs=0.02)


def test_a_redraw_has_the_counts_for_mean_and_variance() -> None:
    counts = np.repeat(np.array([0.0, 0.5, 20.0], np.float32), 40_000).reshape(3, 200, 200)
    redraw = poisson_redraw(counts, np.random.default_rng(0))
    assert redraw.dtype == np.float32
    assert not redraw[0].any()
    for level, drawn in zip((0.5, 20), redraw[1:], strict=True):
        error = np.sqrt(level / drawn.size)
        assert drawn.mean() == pytest.approx(level, abs=5 * error)
        assert drawn.var() == pytest.approx(level, rel=0.05)
    np.testing.assert_array_equal(redraw, poisson_redraw(counts, np.random.default_rng(0)))
    with pytest.raises(ValueError, match="lam"):
        poisson_redraw(counts - 1, np.random.default_rng(0))
