"""What two sets of volumes have in common: foreground intensities, occupancy, sharpness.

Shapes: X, Y, Z voxels; N and M volumes; K histogram bins.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 256


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


def foreground_histogram(
    x_XYZ: NDArray[np.floating], foreground_XYZ: NDArray[np.bool_], upper: float
) -> NDArray[np.int64]:
    """Histogram (K,) of the foreground's intensities over [0, upper]; the end bins take what lies outside."""
    values = np.clip(x_XYZ[foreground_XYZ], 0, upper)
    return np.histogram(values, BINS, (0.0, upper))[0].astype(np.int64)


def histogram_distance(a_NK: NDArray[Any], b_MK: NDArray[Any], upper: float) -> float:
    """Wasserstein-1 distance between two sets' pooled, normalised foreground histograms.

    The integral of |CDF_a - CDF_b| over intensity, in units of the network's range. The foreground of
    all volumes of a set is pooled; voxels without counts are left out (`occupancy` sees those). A set
    without any foreground is taken as intensity 0.
    """
    gap = _distribution(a_NK) - _distribution(b_MK)
    return float(np.abs(gap).sum() * upper / a_NK.shape[1])


def relative_difference(a_N: NDArray[Any], b_M: NDArray[Any]) -> float:
    """(mean a - mean b) / mean b: 0 when the means agree; 0 is also taken where both are 0."""
    a, b = float(a_N.mean()), float(b_M.mean())
    return (a - b) / b if b else float(np.sign(a))


def _distribution(histograms_NK: NDArray[Any]) -> NDArray[np.float64]:
    pooled = histograms_NK.sum(axis=0, dtype=np.float64)
    total = pooled.sum()
    return np.cumsum(pooled) / total if total else np.ones_like(pooled)
