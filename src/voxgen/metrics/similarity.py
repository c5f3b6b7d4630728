"""Structural similarity of two volumes: in windows of one scale (SSIM) and of several (MS-SSIM).

Shapes: X, Y, Z voxels. `x` is the original and `r` what is compared with it, both in the network's range.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

Volume = NDArray[np.floating]
Mask = NDArray[np.bool_]
Map = NDArray[np.float64]
Shape = tuple[int, ...]

DATA_RANGE = 1.0  # of the network's range: fixed, so that scores of different volumes compare
C1, C2 = (0.01 * DATA_RANGE) ** 2, (0.03 * DATA_RANGE) ** 2  # K1 and K2 of Wang et al. 2004
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2: finest scale first


def ssim(x_XYZ: Volume, r_XYZ: Volume, mask_XYZ: Mask, window: int) -> float:
    """Mean structural similarity over the windows that are centred in `mask_XYZ`.

    Equation 13 of Wang et al. 2004 (doi 10.1109/TIP.2003.819861), K1 = 0.01, K2 = 0.03, data range 1,
    in 3D with uniform cubic windows of edge `window` [voxels]; past the faces the volume is mirrored, so that
    grids thinner than the window work. Without foreground, all windows count.
    """
    similarity = np.prod(similarity_maps(x_XYZ, r_XYZ, window), axis=0)
    return float(similarity[mask_XYZ].mean() if mask_XYZ.any() else similarity.mean())


def ms_ssim(x_XYZ: Volume, r_XYZ: Volume, window: int) -> float:
    """Multi-scale structural similarity over all windows (0 to 1).

    Equation 7 of Wang, Simoncelli & Bovik 2003 (doi 10.1109/ACSSC.2003.1292216): the product over the
    scales of the mean contrast-structure term, at the coarsest scale times the luminance, each clamped
    at 0 and to the power of its weight. Windows and constants are those of `ssim`. The scales are those
    of `scales`; the weights of fewer than five are divided by their sum. A volume of one scale has its
    SSIM over all windows.

    (MONAI's MultiScaleSSIMMetric takes only windows inside the volume, of which a thin grid has none.) Empty
    space counts as similar, so scores of sparse volumes lie near 1: compare them with one another.

    Raises:
        ValueError: the volumes differ in shape.
    """
    shapes = scales(x_XYZ.shape, window)
    weights = np.array(WEIGHTS[: len(shapes)]) / sum(WEIGHTS[: len(shapes)])
    x, r = x_XYZ.astype(np.float64), r_XYZ.astype(np.float64)
    score = 1.0
    for shape, weight in zip(shapes, weights, strict=True):
        x, r = _averaged(x, shape), _averaged(r, shape)
        luminance, structure = similarity_maps(x, r, window)
        similarity = luminance * structure if shape == shapes[-1] else structure
        score *= max(float(similarity.mean()), 0.0) ** weight
    return float(score)


def ms_ssim_of_pairs(x_DXYZ: Volume, window: int) -> Map:
    """MS-SSIM (D, D) of each pair of D volumes; 0 on the diagonal, which is no pair."""
    similarity = np.zeros((len(x_DXYZ), len(x_DXYZ)))
    for i, j in combinations(range(len(x_DXYZ)), 2):
        similarity[i, j] = similarity[j, i] = ms_ssim(x_DXYZ[i], x_DXYZ[j], window)
    return similarity


def scales(shape: Shape, window: int) -> list[Shape]:
    """Shapes of the volume at each scale of `ms_ssim`, the volume itself first; at most five.

    From one scale to the next, every axis of at least two windows is halved (an odd last voxel is left
    out); a shorter axis stays as it is. With windows of 7, a cube of 64 voxels has four scales, and
    48 x 48 x 8 has three, in which the 8 stay.
    """
    shapes = [tuple(shape)]
    while len(shapes) < len(WEIGHTS):
        halved = tuple(n // 2 if n >= 2 * window else n for n in shapes[-1])
        if halved == shapes[-1]:
            break
        shapes.append(halved)
    return shapes


def similarity_maps(x_XYZ: Volume, r_XYZ: Volume, window: int) -> tuple[Map, Map]:
    """Luminance term and contrast-structure term of the window around each voxel; SSIM is their product.

    Raises:
        ValueError: the volumes differ in shape.
    """
    if x_XYZ.shape != r_XYZ.shape:
        raise ValueError(f"volumes of {x_XYZ.shape} and {r_XYZ.shape} voxels: expected the same shape")
    x, r = x_XYZ.astype(np.float64), r_XYZ.astype(np.float64)
    mean_x, mean_r = _windows(x, window), _windows(r, window)
    var_x = _windows(x * x, window) - mean_x**2
    var_r = _windows(r * r, window) - mean_r**2
    covariance = _windows(x * r, window) - mean_x * mean_r
    luminance = (2 * mean_x * mean_r + C1) / (mean_x**2 + mean_r**2 + C1)
    structure = (2 * covariance + C2) / (var_x + var_r + C2)
    return luminance, structure


def _windows(volume_XYZ: Map, window: int) -> Map:
    return np.asarray(uniform_filter(volume_XYZ, window, mode="reflect"))


def _averaged(volume_XYZ: Map, shape: Shape) -> Map:
    """The volume at `shape`: along an axis that is halved, the means of neighbouring pairs."""
    for axis, n in enumerate(shape):
        if n != volume_XYZ.shape[axis]:
            pairs = np.moveaxis(volume_XYZ, axis, 0)[: 2 * n]
            volume_XYZ = np.moveaxis((pairs[::2] + pairs[1::2]) / 2, 0, axis)
    return volume_XYZ
