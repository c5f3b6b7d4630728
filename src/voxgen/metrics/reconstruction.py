"""How well a volume was reconstructed: SSIM in foreground windows, PSNR, Dice, count error.

Shapes: X, Y, Z voxels. `x` is the original and `r` its reconstruction.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, uniform_filter

Volume = NDArray[np.floating]
Mask = NDArray[np.bool_]

DATA_RANGE = 1.0  # of the network's range: fixed, so that scores of different volumes compare
LEAST_MSE = 1e-10  # PSNR ends at 100 dB: an exact copy has no finite one


def foreground_mask(counts_XYZ: Volume, threshold: float, dilation: int) -> Mask:
    """Voxels with more than `threshold` counts, grown by `dilation` voxels along each axis and diagonal."""
    occupied = counts_XYZ > threshold
    if dilation == 0:
        return occupied
    return np.asarray(binary_dilation(occupied, np.ones((3, 3, 3), bool), iterations=dilation))


def ssim(x_XYZ: Volume, r_XYZ: Volume, mask_XYZ: Mask, window: int) -> float:
    """Mean structural similarity over the windows that are centred in `mask_XYZ`.

    Equation 13 of Wang et al. 2004 (doi 10.1109/TIP.2003.819861), K1 = 0.01, K2 = 0.03, data range 1,
    in 3D with uniform windows of `window` voxels an edge; past the faces the volume is mirrored, so that
    grids thinner than the window work. Both volumes are in the network's range. Without foreground, all
    windows count.
    """
    x, r = x_XYZ.astype(np.float64), r_XYZ.astype(np.float64)
    c1, c2 = (0.01 * DATA_RANGE) ** 2, (0.03 * DATA_RANGE) ** 2
    mean_x, mean_r = _windows(x, window), _windows(r, window)
    var_x = _windows(x * x, window) - mean_x**2
    var_r = _windows(r * r, window) - mean_r**2
    covariance = _windows(x * r, window) - mean_x * mean_r
    luminance = (2 * mean_x * mean_r + c1) / (mean_x**2 + mean_r**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_r + c2)
    similarity = luminance * structure
    return float(similarity[mask_XYZ].mean() if mask_XYZ.any() else similarity.mean())


def psnr(x_XYZ: Volume, r_XYZ: Volume) -> float:
    """Peak signal-to-noise ratio over the whole volume [dB], peak 1 in the network's range, at most 100."""
    error = float(np.mean((x_XYZ.astype(np.float64) - r_XYZ) ** 2))
    return float(10 * np.log10(DATA_RANGE**2 / max(error, LEAST_MSE)))


def dice(x_XYZ: Volume, r_XYZ: Volume, threshold: float) -> float:
    """Dice overlap of the voxels with more than `threshold` counts; two empty volumes agree (1)."""
    a, b = x_XYZ > threshold, r_XYZ > threshold
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def count_error(x_XYZ: Volume, r_XYZ: Volume) -> float:
    """|sum r - sum x| / sum x, in counts; an original of less than one count is taken as one."""
    original = float(x_XYZ.sum(dtype=np.float64))
    return abs(float(r_XYZ.sum(dtype=np.float64)) - original) / max(original, 1.0)


def _windows(volume_XYZ: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    return np.asarray(uniform_filter(volume_XYZ, window, mode="reflect"))
