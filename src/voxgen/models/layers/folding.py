"""Boxes of voxels as channels of one voxel, and back: space to depth, and depth to space.

Shapes: B batch, C channels, X Y Z axes of a volume, i j k axes of a box.
"""

from collections.abc import Sequence

from torch import Tensor


def folded(x_BCXYZ: Tensor, box: Sequence[int]) -> Tensor:
    """Volumes (B, C i j k, X / i, Y / j, Z / k) whose voxels hold boxes of voxels (i, j, k) as channels."""
    B, C, X, Y, Z = x_BCXYZ.shape
    i, j, k = box
    x_BCXiYjZk = x_BCXYZ.reshape(B, C, X // i, i, Y // j, j, Z // k, k)
    return x_BCXiYjZk.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(B, C * i * j * k, X // i, Y // j, Z // k)


def unfolded(x_BCXYZ: Tensor, box: Sequence[int]) -> Tensor:
    """The inverse of `folded`."""
    B, C, X, Y, Z = x_BCXYZ.shape
    i, j, k = box
    x_BCijkXYZ = x_BCXYZ.reshape(B, C // (i * j * k), i, j, k, X, Y, Z)
    return x_BCijkXYZ.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(B, -1, X * i, Y * j, Z * k)
