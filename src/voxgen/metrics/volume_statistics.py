"""Statistics that compare two sets of volumes: intensities, occupancy, sharpness, spectra.

Shapes: X, Y, Z voxels; N and M volumes; K bins of a histogram, or shells of a spectrum.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftn

from voxgen.metrics.permutation import Statistic, of_means

Array = NDArray[np.float64]

BINS = 256
END = 2.0  # of histograms, in the network's range: fixed, so that no single voxel moves the bins
LEAST_POWER = 1e-6  # of the strongest shell: below it lie the rounding of volumes and of networks


def occupancy(foreground_XYZ: NDArray[np.bool_]) -> float:
    """Share of the voxels that are foreground."""
    return float(foreground_XYZ.mean())


def sharpness(x_XYZ: NDArray[np.floating], foreground_XYZ: NDArray[np.bool_]) -> float:
    """Mean gradient magnitude over mean intensity, both over the foreground [1/voxel].

    sum |grad x| / sum x with central differences, x in the network's range. A Gaussian spot of width
    sigma has about 1/sigma, so a blur lowers it. NaN where there is no foreground.
    """
    total = float(x_XYZ[foreground_XYZ].sum(dtype=np.float64))
    if total <= 0:
        return float("nan")
    x = x_XYZ.astype(np.float64)
    slopes = [np.gradient(x, axis=axis) for axis in range(x.ndim) if x.shape[axis] > 1]
    magnitude = np.sqrt(sum((slope**2 for slope in slopes), np.zeros_like(x)))
    return float(magnitude[foreground_XYZ].sum()) / total


def foreground_histogram(x_XYZ: NDArray[np.floating], foreground_XYZ: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Histogram (K,) of the foreground's intensities over [0, 2]; the end bins take what lies outside."""
    values = np.clip(x_XYZ[foreground_XYZ], 0, END)
    return np.histogram(values, BINS, (0.0, END))[0].astype(np.int64)


def histogram_distance(a_NK: NDArray[Any], b_MK: NDArray[Any]) -> float:
    """Wasserstein-1 distance between two sets' pooled, normalised foreground histograms.

    The integral of |CDF_a - CDF_b| over intensity, in units of the network's range. A set without any
    foreground is taken as intensity 0.
    """
    pooled = (one.mean(axis=0, dtype=np.float64)[None] for one in (a_NK, b_MK))
    return float(mean_histogram_distance(*pooled)[0])


def mean_histogram_distance(a_PK: Array, b_PK: Array) -> Array:
    """`histogram_distance` (P,) of P pairs of mean histograms."""
    gap_PK = _distribution(a_PK) - _distribution(b_PK)
    return np.asarray(np.abs(gap_PK).sum(axis=1) * END / a_PK.shape[1])


def histogram_test(pooled_LK: NDArray[Any]) -> Statistic:
    """Whether two sets' histograms lie farther apart than chance makes them."""
    return of_means(pooled_LK, mean_histogram_distance)


def relative_difference(a_N: NDArray[Any], b_M: NDArray[Any]) -> float:
    """(mean a - mean b) / mean b: 0 when the means agree; 0 is also taken where both are 0."""
    a, b = float(a_N.mean()), float(b_M.mean())
    return (a - b) / b if b else float(np.sign(a))


def shells(
    shape: Sequence[int], spacing: Sequence[float], bins: int
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Middle frequency (K,) [cycles/unit] of each shell, and the shell (X, Y, Z) of each Fourier coefficient.

    Shells are equally thick, from 0 to the highest frequency of the grid, and spheres on anisotropic grids
    too, since frequencies go by the spacing [unit/voxel]. Frequency 0, the mean, has shell -1.
    """
    axes = [np.fft.fftfreq(n, step) for n, step in zip(shape, spacing, strict=True)]
    squares = [axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True)]
    frequency = np.sqrt(sum(squares, np.zeros(tuple(shape))))
    thickness = (float(frequency.max()) or 1.0) / bins
    shell = np.where(frequency == 0, -1, np.minimum(frequency // thickness, bins - 1)).astype(np.intp)
    return np.linspace(thickness / 2, thickness * (bins - 0.5), bins), shell


def radial_power_spectrum(
    x_XYZ: NDArray[np.floating], spacing: Sequence[float], bins: int
) -> NDArray[np.float64]:
    """Mean power |F|^2 / (number of voxels) of the Fourier coefficients in each of K = `bins` shells.

    White noise has its variance in every shell; a shell without coefficients has power 0. The volume is not
    windowed: what its faces cut leaks into all frequencies, so compare volumes that were cut alike.
    """
    _, shell = shells(x_XYZ.shape, spacing, bins)
    power = np.abs(fftn(x_XYZ.astype(np.float64))) ** 2 / x_XYZ.size
    inside = shell >= 0
    total = np.bincount(shell[inside], power[inside], bins)
    return np.asarray(total / np.maximum(np.bincount(shell[inside], minlength=bins), 1))


def counted_shells(b_MK: NDArray[Any]) -> NDArray[np.bool_]:
    """The shells (K,) in which a set's mean power is more than 1e-6 (-60 dB) of its strongest shell's."""
    b = b_MK.mean(axis=0, dtype=np.float64)
    return np.asarray(b > LEAST_POWER * b.max())


def spectrum_distance(a_NK: NDArray[Any], b_MK: NDArray[Any]) -> float:
    """Mean over shells of |10 log10(a / b)| of the sets' mean powers [dB]; `b` is the reference.

    It covers the reference's `counted_shells`, and `a` has at least their least power. If one set has no
    power at all, the distance is 60 dB.
    """
    a, b = a_NK.mean(axis=0, dtype=np.float64), b_MK.mean(axis=0, dtype=np.float64)
    return float(mean_spectrum_distance(a[None], b[None], counted_shells(b_MK))[0])


def mean_spectrum_distance(a_PK: Array, b_PK: Array, counted_K: NDArray[np.bool_]) -> Array:
    """`spectrum_distance` (P,) of P pairs of mean spectra, over the shells that are `counted`."""
    least_P = LEAST_POWER * b_PK.max(axis=1, keepdims=True)
    some = a_PK.any(axis=1) & b_PK.any(axis=1)
    none = ~a_PK.any(axis=1) & ~b_PK.any(axis=1)
    a, b = (np.maximum(one[:, counted_K], np.where(least_P > 0, least_P, 1)) for one in (a_PK, b_PK))
    decibels = np.abs(10 * np.log10(a / b)).sum(axis=1) / max(int(counted_K.sum()), 1)
    return np.asarray(np.where(some, decibels, np.where(none, 0.0, -10 * np.log10(LEAST_POWER))))


def spectrum_test(pooled_LK: NDArray[Any]) -> Statistic:
    """Whether two sets' spectra lie farther apart than chance makes them, in the shells that both count."""
    return of_means(pooled_LK, partial(mean_spectrum_distance, counted_K=counted_shells(pooled_LK)))


def _distribution(mean_PK: Array) -> Array:
    """Cumulative shares (P, K); all 1, which is intensity 0, where a histogram is empty."""
    total = mean_PK.sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > 0, np.cumsum(mean_PK, axis=1) / np.where(total > 0, total, 1), 1.0))
