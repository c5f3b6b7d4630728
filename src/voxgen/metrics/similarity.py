"""Structural similarity of two volumes: in windows of one scale (SSIM) and of several (MS-SSIM).

Shapes: X, Y, Z voxels. `x` is the original and `r` what is compared with it, both in the network's range.
"""

from itertools import combinations
from typing import NamedTuple

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


class _Moments(NamedTuple):
    """A volume with the mean and the variance of the window around each voxel."""

    volume: Map
    mean: Map
    variance: Map


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
    _check(x_XYZ, r_XYZ)
    return _compare(_describe(x_XYZ, window), _describe(r_XYZ, window), window)


def ms_ssim_of_pairs(x_DXYZ: Volume, y_EXYZ: Volume | None = None, *, window: int) -> Map:
    """MS-SSIM (D, E) of each volume in `x` with each in `y`; of pairs in `x` if `y` is None.

    An item with itself is no pair: the diagonal of the latter is 0.
    """
    first = [_describe(x, window) for x in x_DXYZ]
    if y_EXYZ is not None:
        second = [_describe(y, window) for y in y_EXYZ]
        return np.array([[_compare(x, y, window) for y in second] for x in first])
    similarity = np.zeros((len(first), len(first)))
    for i, j in combinations(range(len(first)), 2):
        similarity[i, j] = similarity[j, i] = _compare(first[i], first[j], window)
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
    _check(x_XYZ, r_XYZ)
    x, r = (_moments(volume.astype(np.float64), window) for volume in (x_XYZ, r_XYZ))
    return _maps(x, r, window)


def _check(x_XYZ: Volume, r_XYZ: Volume) -> None:
    if x_XYZ.shape != r_XYZ.shape:
        raise ValueError(f"volumes of {x_XYZ.shape} and {r_XYZ.shape} voxels: expected the same shape")


def _moments(volume_XYZ: Map, window: int) -> _Moments:
    mean = _windows(volume_XYZ, window)
    return _Moments(volume_XYZ, mean, _windows(volume_XYZ * volume_XYZ, window) - mean**2)


def _describe(volume_XYZ: Volume, window: int) -> list[_Moments]:
    """The moments at each scale: of a volume alone, so that many pairs share them."""
    volume, found = volume_XYZ.astype(np.float64), []
    for shape in scales(volume.shape, window):
        volume = _averaged(volume, shape)
        found.append(_moments(volume, window))
    return found


def _compare(x: list[_Moments], r: list[_Moments], window: int) -> float:
    """MS-SSIM from the moments of both volumes at each scale."""
    weights = np.array(WEIGHTS[: len(x)]) / sum(WEIGHTS[: len(x)])
    score = 1.0
    for at, (own, other, weight) in enumerate(zip(x, r, weights, strict=True), 1):
        luminance, structure = _maps(own, other, window)
        similarity = luminance * structure if at == len(x) else structure
        score *= max(float(similarity.mean()), 0.0) ** weight
    return float(score)


def _maps(x: _Moments, r: _Moments, window: int) -> tuple[Map, Map]:
    covariance = _windows(x.volume * r.volume, window) - x.mean * r.mean
    luminance = (2 * x.mean * r.mean + C1) / (x.mean**2 + r.mean**2 + C1)
    structure = (2 * covariance + C2) / (x.variance + r.variance + C2)
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
