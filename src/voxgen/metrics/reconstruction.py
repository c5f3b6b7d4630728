"""How well a volume was reconstructed: errors, overlap, counts and sharpness, and what noise alone would do.

Shapes: X, Y, Z voxels. `x` is the original and `r` its reconstruction. Structural similarity stands in
`similarity`.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from voxgen.metrics.similarity import DATA_RANGE
from voxgen.metrics.volume_statistics import sharpness

Volume = NDArray[np.floating]
Mask = NDArray[np.bool_]

LEAST_MSE = 1e-10  # PSNR ends at 100 dB: an exact copy has no finite one


def foreground_mask(counts_XYZ: Volume, threshold: float, dilation: int) -> Mask:
    """Voxels with more than `threshold` counts, grown by `dilation` voxels along each axis and diagonal."""
    occupied = counts_XYZ > threshold
    if dilation == 0:
        return occupied
    return np.asarray(binary_dilation(occupied, np.ones((3, 3, 3), bool), iterations=dilation))


def l1(x_XYZ: Volume, r_XYZ: Volume) -> float:
    """Mean absolute error over the whole volume, in units of the network's range."""
    return float(np.mean(np.abs(x_XYZ.astype(np.float64) - r_XYZ)))


def mse(x_XYZ: Volume, r_XYZ: Volume) -> float:
    """Mean squared error over the whole volume, in squared units of the network's range."""
    return float(np.mean((x_XYZ.astype(np.float64) - r_XYZ) ** 2))


def psnr(x_XYZ: Volume, r_XYZ: Volume) -> float:
    """Peak signal-to-noise ratio over the whole volume [dB], peak 1 in the network's range, at most 100."""
    return float(10 * np.log10(DATA_RANGE**2 / max(mse(x_XYZ, r_XYZ), LEAST_MSE)))


def dice(x_XYZ: Volume, r_XYZ: Volume, threshold: float) -> float:
    """Dice overlap of the voxels with more than `threshold` counts; two empty volumes agree (1)."""
    a, b = x_XYZ > threshold, r_XYZ > threshold
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def iou(x_XYZ: Volume, r_XYZ: Volume, threshold: float) -> float:
    """Intersection over union of the voxels with more than `threshold` counts; empty volumes agree (1)."""
    a, b = x_XYZ > threshold, r_XYZ > threshold
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def count_error(x_XYZ: Volume, r_XYZ: Volume) -> float:
    """|sum r - sum x| / sum x, in counts; an original of less than one count is taken as one."""
    original = float(x_XYZ.sum(dtype=np.float64))
    return abs(float(r_XYZ.sum(dtype=np.float64)) - original) / max(original, 1.0)


def relative_sharpness(x_XYZ: Volume, r_XYZ: Volume, foreground_XYZ: Mask) -> float:
    """sharpness(r) / sharpness(x) - 1, both over the original's foreground, in the network's range.

    Below 0 the reconstruction is blurred; -1 where nothing is left of it, 0 where the original has no
    foreground or no gradient.
    """
    original, reconstruction = (sharpness(v, foreground_XYZ) for v in (x_XYZ, r_XYZ))
    if not original > 0:  # NaN, where there is no foreground, is not either
        return 0.0
    return (reconstruction if np.isfinite(reconstruction) else 0.0) / original - 1


def poisson_redraw(counts_XYZ: Volume, rng: np.random.Generator) -> NDArray[np.float32]:
    """A second measurement of the same object: each voxel drawn anew from Poisson(its count).

    Scores of an original against its redraw show what counting noise alone does to them. On a gaussian grid,
    where neighbouring voxels share their points, the redraw is noisier than a second measurement would be.

    Raises:
        ValueError: a count is negative or not finite.
    """
    return rng.poisson(counts_XYZ).astype(np.float32)
