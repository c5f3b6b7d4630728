"""Boxes of voxels as channels of one voxel, and back: space to depth, and depth to space.

Shapes: B batch, C channels, X Y Z axes of a volume, i j k axes of a box.
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from voxgen.models.layers.convolutions import Convolution


class Folding(nn.Module):
    """Boxes of voxels to one voxel of `outputs` channels each: a convolution whose kernel is its stride."""

    def __init__(self, inputs: int, outputs: int, box: Sequence[int]) -> None:
        super().__init__()
        self.box = box
        self.conv = Convolution(inputs * math.prod(box), outputs, 1)

    def forward(self, x_BCXYZ: Tensor) -> Tensor:
        h_BCXYZ: Tensor = self.conv(folded(x_BCXYZ, self.box))
        return h_BCXYZ


class Unfolding(nn.Module):
    """The way back of `Folding`: a transposed convolution whose kernel is its stride."""

    def __init__(self, inputs: int, outputs: int, box: Sequence[int]) -> None:
        super().__init__()
        self.box = box
        self.conv = Convolution(inputs, outputs * math.prod(box), 1)

    def forward(self, h_BCXYZ: Tensor) -> Tensor:
        return unfolded(self.conv(h_BCXYZ), self.box)


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


class FoldedEncoder(nn.Module):
    """Volumes (B, 1, X, Y, Z), folded by the `stem`, through `blocks`, of which the last gives the latent."""

    stem: Sequence[int]
    blocks: nn.ModuleList

    def forward(self, x_BCXYZ: Tensor) -> Tensor:
        latent: Tensor = self.blocks[-1](self.hidden(x_BCXYZ))
        return latent

    def hidden(self, x_BCXYZ: Tensor) -> Tensor:
        """The last channels before those of the latent."""
        h_BCXYZ = folded(x_BCXYZ, self.stem)
        for block in self.blocks[:-1]:
            h_BCXYZ = block(h_BCXYZ)
        return h_BCXYZ


class FoldedDecoder(nn.Module):
    """Latents (B, C, X, Y, Z) through `blocks`, and unfolded by the `stem`: volumes (B, 1, X, Y, Z)."""

    stem: Sequence[int]
    blocks: nn.ModuleList

    def forward(self, z_BCXYZ: Tensor) -> Tensor:
        for block in self.blocks:
            z_BCXYZ = block(z_BCXYZ)
        return unfolded(z_BCXYZ, self.stem)
