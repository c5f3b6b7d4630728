"""Volumes at another resolution than they are stored in.

Counts are summed over blocks, so that none is lost; the values of scans are interpolated.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from voxgen.volumes.grid import Grid, Method, Shape


def resized_grid(grid: Grid, shape: Shape) -> Grid:
    """The grid of `shape` over the same bounds; sigma [voxels] shrinks with the voxels' mean growth."""
    factors = np.divide(grid.shape, shape)
    x, y, z = np.multiply(grid.spacing, factors).tolist()
    growth = float(np.prod(factors) ** (1 / 3))
    dtype = grid.dtype if shape == grid.shape or grid.method == "occupancy" else "float32"
    return replace(grid, shape=shape, spacing=(x, y, z), sigma=grid.sigma / growth, dtype=dtype)


def resized(volume_XYZ: NDArray[np.float32], shape: Shape, method: Method) -> NDArray[np.float32]:
    """A volume at `shape`: block sums of counts (`shape` divides), else trilinear between voxel centres.

    A block is occupied where one of its voxels is.
    """
    if method != "intensity":
        (x, y, z), (a, b, c) = shape, (n // m for n, m in zip(volume_XYZ.shape, shape, strict=True))
        sums = volume_XYZ.reshape(x, a, y, b, z, c).sum(axis=(1, 3, 5), dtype=np.float64)
        return np.asarray(np.minimum(sums, 1) if method == "occupancy" else sums, dtype=np.float32)
    factors = np.divide(shape, volume_XYZ.shape)
    return np.asarray(ndimage.zoom(volume_XYZ, factors, order=1, mode="nearest", grid_mode=True), np.float32)
