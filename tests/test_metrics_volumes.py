"""Set statistics of volumes against known answers."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import wasserstein_distance

from voxgen.metrics.volumes import (
    BINS,
    foreground_histogram,
    histogram_distance,
    occupancy,
    relative_difference,
    sharpness,
)


def test_sharpness_falls_under_a_blur_and_ignores_scale() -> None:
    rng = np.random.default_rng(0)
    x = gaussian_filter((rng.random((24, 24, 8)) > 0.99).astype(float), 1.0)
    values = [sharpness(v, v > 1e-3) for v in (x, gaussian_filter(x, 0.55), gaussian_filter(x, 2))]
    assert values[0] > 1.05 * values[1] > 1.1 * values[2]
    assert sharpness(7 * x, x > 1e-3) == pytest.approx(values[0])


def test_sharpness_of_a_ramp_thin_grid_and_nothing() -> None:
    ramp = np.broadcast_to(np.arange(1.0, 5.0)[:, None, None], (4, 3, 1))
    everywhere = np.ones(ramp.shape, bool)
    assert sharpness(ramp, everywhere) == pytest.approx(1 / 2.5)
    assert np.isnan(sharpness(0 * ramp, ~everywhere))


def test_histogram_distance_is_wasserstein_of_the_pooled_voxels() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.gamma(2, 0.2, (5, 8, 8, 8)), rng.gamma(2, 0.3, (4, 8, 8, 8))
    upper = float(max(a.max(), b.max()))
    histograms = [np.stack([foreground_histogram(v, v > 0.1, upper) for v in group]) for group in (a, b)]
    expected = wasserstein_distance(a[a > 0.1], b[b > 0.1])
    assert histograms[0].shape == (5, BINS)
    assert histogram_distance(*histograms, upper) == pytest.approx(expected, abs=2 * upper / BINS)
    assert histogram_distance(histograms[0], histograms[0], upper) == 0


def test_histogram_of_nothing_is_far_from_something() -> None:
    full = np.full((2, 2, 2), 1.0)
    histogram = foreground_histogram(full, full > 0, 1.0)[None]
    assert histogram_distance(0 * histogram, histogram, 1.0) == pytest.approx(1, abs=1 / BINS)


def test_occupancy_and_relative_difference() -> None:
    assert occupancy(np.arange(8).reshape(2, 2, 2) > 5) == 0.25
    assert relative_difference(np.array([3.0, 3.0]), np.array([2.0])) == pytest.approx(0.5)
    assert relative_difference(np.zeros(2), np.zeros(2)) == 0
    assert relative_difference(np.ones(2), np.zeros(2)) == 1
