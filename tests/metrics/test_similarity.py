"""SSIM and MS-SSIM against direct computations, MONAI and known answers."""

import numpy as np
import pytest
import torch
from monai.metrics import MultiScaleSSIMMetric
from scipy.ndimage import gaussian_filter, uniform_filter

from voxgen.metrics import similarity
from voxgen.metrics.reconstruction import foreground_mask
from voxgen.metrics.similarity import WEIGHTS, ms_ssim, ms_ssim_of_pairs, scales, ssim


def spots(shape: tuple[int, int, int] = (16, 16, 4), seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return gaussian_filter((rng.random(shape) > 0.97).astype(np.float32), 1) * 5


def slow_terms(x: np.ndarray, r: np.ndarray, mask: np.ndarray, window: int) -> tuple[float, float]:
    """Mean SSIM and mean contrast-structure term over the windows centred in the mask, one by one."""
    half = window // 2
    padded_x, padded_r = (np.pad(v.astype(float), half, mode="symmetric") for v in (x, r))
    terms = []
    for i, j, k in np.argwhere(mask):
        a = padded_x[i : i + window, j : j + window, k : k + window]
        b = padded_r[i : i + window, j : j + window, k : k + window]
        covariance = ((a - a.mean()) * (b - b.mean())).mean()
        structure = (2 * covariance + 9e-4) / (a.var() + b.var() + 9e-4)
        luminance = (2 * a.mean() * b.mean() + 1e-4) / (a.mean() ** 2 + b.mean() ** 2 + 1e-4)
        terms.append((luminance * structure, structure))
    similar, structure = np.mean(terms, axis=0)
    return float(similar), float(structure)


@pytest.mark.parametrize("window", [3, 7])
def test_ssim_equals_a_direct_computation_on_a_thin_grid(window: int) -> None:
    x = spots()
    r = gaussian_filter(x, 0.7)
    mask = foreground_mask(x, 0.5, 1)
    assert ssim(x, r, mask, window) == pytest.approx(slow_terms(x, r, mask, window)[0], abs=1e-9)


def test_ssim_is_one_for_a_copy_and_low_for_nothing_in_the_foreground_only() -> None:
    x = np.zeros((24, 24, 24), np.float32)
    x[10:13, 10:13, 10:13] = 1
    mask = foreground_mask(x, 0.5, 2)
    everywhere = np.ones_like(mask)
    assert ssim(x, x, mask, 5) == pytest.approx(1)
    assert ssim(x, 0 * x, mask, 5) < 0.1
    assert ssim(x, 0 * x, everywhere, 5) > 0.9
    assert ssim(0 * x, 0 * x, ~everywhere, 5) == pytest.approx(1)


@pytest.mark.parametrize("score", [lambda x, r: ssim(x, r, x > 0.05, 7), lambda x, r: ms_ssim(x, r, 7)])
def test_scores_fall_with_blur(score) -> None:
    x = spots((32, 32, 8))
    scores = [score(x, gaussian_filter(x, sigma)) for sigma in (0, 0.3, 0.6, 1.0, 2.0)]
    assert scores[0] == pytest.approx(1)
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.9


def test_scales_halve_an_axis_while_two_windows_fit() -> None:
    assert scales((64, 64, 64), 7) == [(n, n, n) for n in (64, 32, 16, 8)]
    assert scales((48, 48, 8), 7) == [(48, 48, 8), (24, 24, 8), (12, 12, 8)]
    assert scales((13, 9, 1), 7) == [(13, 9, 1)]
    assert scales((14, 14, 14), 7) == [(14, 14, 14), (7, 7, 7)]
    assert len(scales((500, 500, 500), 3)) == len(WEIGHTS)
    assert sum(WEIGHTS) == pytest.approx(1, abs=1e-3)


def test_ms_ssim_equals_a_direct_computation_on_a_thin_odd_grid() -> None:
    x = spots((13, 12, 4), seed=1)
    r = gaussian_filter(x, 0.8)
    halves = [v[:12].astype(float).reshape(6, 2, 6, 2, 4).mean((1, 3)) for v in (x, r)]  # 4 stays
    quarters = [v.reshape(3, 2, 3, 2, 4).mean((1, 3)) for v in halves]
    fine, coarse, coarsest = (
        slow_terms(*pair, np.ones(pair[0].shape, bool), 3) for pair in ((x, r), halves, quarters)
    )
    assert len(scales(x.shape, 3)) == 3
    weights = np.array([0.0448, 0.2856, 0.3001]) / 0.6305
    expected = fine[1] ** weights[0] * coarse[1] ** weights[1] * coarsest[0] ** weights[2]
    assert ms_ssim(x, r, 3) == pytest.approx(expected, abs=1e-9)


def test_ms_ssim_is_monai_s_in_the_windows_inside_the_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    x = spots((48, 48, 48), seed=2)
    r = gaussian_filter(x, 0.6) + 0.02 * np.random.default_rng(0).random(x.shape, np.float32)
    assert len(scales(x.shape, 3)) == 5
    monai = MultiScaleSSIMMetric(3, data_range=1.0, kernel_type="uniform", kernel_size=3)
    expected = float(monai(torch.from_numpy(r)[None, None], torch.from_numpy(x)[None, None]))
    assert ms_ssim(x, r, 3) != pytest.approx(expected, abs=2e-4)  # the faces count with us
    monkeypatch.setattr(similarity, "_windows", lambda v, window: uniform_filter(v, window)[1:-1, 1:-1, 1:-1])
    assert ms_ssim(x, r, 3) == pytest.approx(expected, abs=1e-5)


def test_ms_ssim_of_one_scale_is_ssim_and_an_inverse_has_none() -> None:
    x = spots((12, 12, 4))
    everywhere = np.ones(x.shape, bool)
    r = gaussian_filter(x, 0.5)
    assert ms_ssim(x, r, 7) == pytest.approx(ssim(x, r, everywhere, 7))
    checkers = (np.indices((32, 32, 32)).sum(0) % 2).astype(np.float32)
    assert ms_ssim(checkers, 1 - checkers, 5) == 0


def test_volumes_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="same shape"):
        ms_ssim(np.zeros((8, 8, 8)), np.zeros((8, 8, 4)), 3)


def test_pairs_within_a_set_and_between_two() -> None:
    volumes = np.random.default_rng(8).random((4, 6, 6, 6))
    within = ms_ssim_of_pairs(volumes, window=3)
    across = ms_ssim_of_pairs(volumes[:2], volumes[1:], window=3)
    assert across.shape == (2, 3)
    assert across[1, 0] == pytest.approx(1)
    np.testing.assert_allclose(across[0], within[0, 1:])
    np.testing.assert_array_equal(np.diag(within), 0)
