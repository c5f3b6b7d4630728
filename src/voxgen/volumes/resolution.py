"""Volumes at another resolution than they are stored in.

Counts are summed over blocks, so that none is lost; the values of scans are smoothed and interpolated.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from voxgen.volumes.grid import Grid, Method, Shape


def resized_grid(grid: Grid, shape: Shape) -> Grid:
    """The grid of `shape` over the same bounds; sigma [voxels] shrinks with the voxels' mean growth."""
    factors = np.divide(grid.shape, shape)
    x, y, z = np.multiply(grid.spacing, factors).tolist()
    growth = float(np.prod(factors) ** (1 / 3))
    smaller = replace(grid, shape=shape, spacing=(x, y, z), sigma=grid.sigma / growth)
    if shape == grid.shape or not grid.holds_counts:
        return smaller
    a, b, c = (n * round(factor) for n, factor in zip(grid.blocks, factors, strict=True))
    dtype = grid.dtype if grid.method == "occupancy" else "float32"
    return replace(smaller, blocks=(a, b, c), dtype=dtype)


def resized(volume_XYZ: NDArray[np.float32], shape: Shape, method: Method) -> NDArray[np.float32]:
    """A volume at `shape`: block sums of counts (`shape` divides), else trilinear between voxel centres.

    A block is occupied where one of its voxels is. Before intensities are interpolated along an axis that
    shrinks, detail too fine for it is smoothed away.
    """
    if method != "intensity":
        (x, y, z), (a, b, c) = shape, (n // m for n, m in zip(volume_XYZ.shape, shape, strict=True))
        sums = volume_XYZ.reshape(x, a, y, b, z, c).sum(axis=(1, 3, 5), dtype=np.float64)
        return np.asarray(np.minimum(sums, 1) if method == "occupancy" else sums, dtype=np.float32)
    factors = np.divide(shape, volume_XYZ.shape)
    smooth_XYZ = low_passed(volume_XYZ, 1 / factors)
    return np.asarray(ndimage.zoom(smooth_XYZ, factors, order=1, mode="nearest", grid_mode=True), np.float32)


def low_passed(volume_XYZ: NDArray[np.float32], widths: ArrayLike) -> NDArray[np.float32]:
    """A volume without the detail that voxels as wide as `widths` (x, y, z) of its own would alias.

    Where target voxels are f > 1 voxels wide, a Gaussian widens a voxel to a target voxel: its variance, in
    voxels, is (f^2 - 1) / (8 ln 2), as the FWHM of both are their widths (Cardoso et al. 2015, Scale factor
    point spread function matching, MICCAI, LNCS 9350:675).
    """
    sigma = np.sqrt(np.maximum(np.square(widths) - 1, 0) / (8 * np.log(2)))
    return np.asarray(ndimage.gaussian_filter(volume_XYZ, sigma, mode="nearest"))
