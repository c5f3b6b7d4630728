"""Set statistics of volumes against known answers."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import wasserstein_distance

from voxgen.metrics.volume_statistics import (
    BINS,
    END,
    foreground_histogram,
    histogram_distance,
    occupancy,
    radial_power_spectrum,
    relative_difference,
    sharpness,
    shells,
    spectrum_distance,
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
    histograms = [np.stack([foreground_histogram(v, v > 0.1) for v in group]) for group in (a, b)]
    expected = wasserstein_distance(np.minimum(a[a > 0.1], END), np.minimum(b[b > 0.1], END))
    assert histograms[0].shape == (5, BINS)
    assert histogram_distance(*histograms) == pytest.approx(expected, abs=2 * END / BINS)
    assert histogram_distance(histograms[0], histograms[0]) == 0


def test_one_bright_voxel_moves_no_bin() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.gamma(2, 0.2, (5, 8, 8, 8)), rng.gamma(2, 0.3, (4, 8, 8, 8))

    def distance() -> float:
        return histogram_distance(
            *(np.stack([foreground_histogram(v, v > 0.1) for v in group]) for group in (a, b))
        )

    before, number = distance(), int((a > 0.1).sum())
    a[0, 4, 4, 4] = 1000.0
    assert abs(distance() - before) <= END / number


def test_histogram_of_nothing_is_far_from_something() -> None:
    full = np.full((2, 2, 2), 1.0)
    histogram = foreground_histogram(full, full > 0)[None]
    assert histogram_distance(0 * histogram, histogram) == pytest.approx(1, abs=END / BINS)


def test_occupancy_and_relative_difference() -> None:
    assert occupancy(np.arange(8).reshape(2, 2, 2) > 5) == 0.25
    assert relative_difference(np.array([3.0, 3.0]), np.array([2.0])) == pytest.approx(0.5)
    assert relative_difference(np.zeros(2), np.zeros(2)) == 0
    assert relative_difference(np.ones(2), np.zeros(2)) == 1


SHAPE, SPACING = (24, 20, 6), (0.5, 0.5, 2.0)


def test_a_plane_wave_lights_the_shell_of_its_frequency() -> None:
    x, _, z = np.indices(SHAPE)
    frequencies, _ = shells(SHAPE, SPACING, 10)
    for cycles, wave in ((5 / 12, 5 * x / 24), (1 / 12, z / 6)):  # cycles over a length of 12 on both axes
        power = radial_power_spectrum(3 + np.cos(2 * np.pi * wave), SPACING, 10)
        assert abs(frequencies[power.argmax()] - cycles) <= frequencies[0]
        assert power.max() > 1e12 * np.sort(power)[-2]


def test_power_sums_up_to_the_variance() -> None:
    x = np.random.default_rng(0).gamma(2, 1, SHAPE)
    frequencies, shell = shells(SHAPE, SPACING, 7)
    counts = np.bincount(shell[shell >= 0], minlength=7)
    assert counts.sum() == x.size - 1
    assert frequencies[-1] + frequencies[0] == pytest.approx(np.sqrt(1 + 1 + 0.25**2))
    assert (counts * radial_power_spectrum(x, SPACING, 7)).sum() == pytest.approx(x.size * x.var())


def test_white_noise_is_flat_and_a_blur_falls_off_as_a_gaussian() -> None:
    sigma, spacing, bins = 1.5, (0.5, 0.5, 1.0), 20
    noise = np.random.default_rng(1).normal(7, 2, (20, 48, 40, 24))
    blurred = [gaussian_filter(v, [sigma / step for step in spacing], mode="wrap", truncate=8) for v in noise]
    flat, fallen = (
        np.mean([radial_power_spectrum(v, spacing, bins) for v in group], axis=0)
        for group in (noise, blurred)
    )
    np.testing.assert_allclose(flat, 4, rtol=0.15)
    axes = np.meshgrid(
        *(np.fft.fftfreq(n, d) for n, d in zip((48, 40, 24), spacing, strict=True)), indexing="ij"
    )
    transfer = np.exp(-((2 * np.pi * sigma) ** 2) * sum(axis**2 for axis in axes))
    _, shell = shells((48, 40, 24), spacing, bins)
    expected = [transfer[shell == k].mean() for k in range(4)]
    assert expected[0] > 100 * expected[3]
    np.testing.assert_allclose((fallen / flat)[:4], expected, rtol=0.15)


def test_spectrum_distance_of_known_spectra() -> None:
    b = np.array([[1.0, 0.1, 1e-3, 1e-9, 0], [3.0, 0.3, 3e-3, 1e-9, 0]])
    assert spectrum_distance(b, b) == 0
    assert spectrum_distance(10 * b, b) == pytest.approx(10)
    assert spectrum_distance(b[:1], b) == pytest.approx(10 * np.log10(2))
    weak = b * np.array([1, 1, 1, 1e9, 1])  # where the reference has less than a millionth
    assert spectrum_distance(weak, b) == 0
    assert spectrum_distance(b * np.array([1, 1, 0, 1, 1]), b) == pytest.approx(30 / 3)
    assert spectrum_distance(0 * b, b) == spectrum_distance(b, 0 * b) == 60
    assert spectrum_distance(0 * b, 0 * b) == 0


def test_spectrum_of_a_flat_or_single_voxel_has_no_power() -> None:
    assert not radial_power_spectrum(np.full((4, 4, 1), 5.0), (1, 1, 1), 3).any()
    assert not radial_power_spectrum(np.ones((1, 1, 1)), (1, 1, 1), 3).any()
