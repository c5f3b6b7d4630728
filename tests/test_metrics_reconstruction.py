"""Reconstruction scores against direct computation and known answers."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from voxgen.metrics.reconstruction import count_error, dice, foreground_mask, psnr, ssim


def spots(shape: tuple[int, int, int] = (16, 16, 4)) -> np.ndarray:
    rng = np.random.default_rng(0)
    return gaussian_filter((rng.random(shape) > 0.97).astype(np.float32), 1) * 5


def slow_ssim(x: np.ndarray, r: np.ndarray, mask: np.ndarray, window: int) -> float:
    half = window // 2
    padded_x, padded_r = (np.pad(v.astype(float), half, mode="symmetric") for v in (x, r))
    scores = []
    for i, j, k in np.argwhere(mask):
        a = padded_x[i : i + window, j : j + window, k : k + window]
        b = padded_r[i : i + window, j : j + window, k : k + window]
        covariance = ((a - a.mean()) * (b - b.mean())).mean()
        scores.append(
            (2 * a.mean() * b.mean() + 1e-4)
            * (2 * covariance + 9e-4)
            / ((a.mean() ** 2 + b.mean() ** 2 + 1e-4) * (a.var() + b.var() + 9e-4))
        )
    return float(np.mean(scores))


@pytest.mark.parametrize("window", [3, 7])
def test_ssim_equals_a_direct_computation_on_a_thin_grid(window: int) -> None:
    x = spots()
    r = gaussian_filter(x, 0.7)
    mask = foreground_mask(x, 0.5, 1)
    assert ssim(x, r, mask, window) == pytest.approx(slow_ssim(x, r, mask, window), abs=1e-9)


def test_ssim_is_one_for_a_copy_and_low_for_nothing_in_the_foreground_only() -> None:
    x = np.zeros((24, 24, 24), np.float32)
    x[10:13, 10:13, 10:13] = 1
    mask = foreground_mask(x, 0.5, 2)
    everywhere = np.ones_like(mask)
    assert ssim(x, x, mask, 5) == pytest.approx(1)
    assert ssim(x, 0 * x, mask, 5) < 0.1
    assert ssim(x, 0 * x, everywhere, 5) > 0.9
    assert ssim(0 * x, 0 * x, ~everywhere, 5) == pytest.approx(1)


def test_ssim_falls_with_blur() -> None:
    x = spots()
    mask = foreground_mask(x, 0.5, 2)
    scores = [ssim(x, gaussian_filter(x, sigma), mask, 7) for sigma in (0.3, 0.6, 1.0, 2.0)]
    assert scores == sorted(scores, reverse=True)


def test_mask_grows_by_voxels() -> None:
    counts = np.zeros((9, 9, 9), np.float32)
    counts[4, 4, 4] = 1
    assert [int(foreground_mask(counts, 0.5, d).sum()) for d in (0, 1, 2)] == [1, 27, 125]


def test_psnr_dice_and_count_error_of_known_volumes() -> None:
    x = np.zeros((4, 4, 4), np.float32)
    x[0] = 1
    assert psnr(x, x) == pytest.approx(100)
    assert psnr(x, x + np.float32(0.1)) == pytest.approx(20, abs=1e-4)
    assert dice(x, x, 0.5) == 1
    assert dice(x, 0 * x, 0.5) == 0
    assert dice(0 * x, 0 * x, 0.5) == 1
    half = x.copy()
    half[0, :2] = 0
    assert dice(x, half, 0.5) == pytest.approx(2 / 3)
    assert count_error(x, half) == pytest.approx(0.5)
    assert count_error(x, 0 * x) == 1
    assert count_error(0 * x, 0 * x) == 0
