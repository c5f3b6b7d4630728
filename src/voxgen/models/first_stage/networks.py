"""The autoencoder's network: that of latent diffusion (Rombach et al., arXiv 2112.10752), in 3D.

Boxes of voxels, the stem, are folded into channels first and unfolded last (Shi et al., arXiv 1609.05158), so
that no level has the full resolution. Parameters have the names, the order and, with a stem of [1, 1, 1], no
flat axes and halvings alone, the shapes and the first values of MONAI's `AutoencoderKL`.

Shapes: B batch, C channels, X Y Z axes of a grid or a latent.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from voxgen.factors import Factors
from voxgen.models.layers.blocks import AttentionBlock, ResidualBlock
from voxgen.models.layers.convolutions import Convolution, Upsampling
from voxgen.models.layers.folding import FoldedDecoder, FoldedEncoder, Folding, Unfolding
from voxgen.models.layers.norms import GroupNorm
from voxgen.models.levels import NOT_FLAT, Flat, Level

Stem = Sequence[int]  # voxels along x, y, z that become channels of one

NO_STEM: Stem = (1, 1, 1)
LOG_VARIANCE = -30.0, 20.0  # of a posterior: the bounds of latent diffusion's own code


class Encoder(FoldedEncoder):
    """Volumes (B, 1, X, Y, Z) to `latent_channels` channels at the resolution of the last level."""

    def __init__(
        self, levels: Sequence[Level], latent_channels: int, norm_groups: int, stem: Stem = NO_STEM
    ) -> None:
        super().__init__()
        self.stem = stem
        width = levels[0].channels
        blocks: list[nn.Module] = [Convolution(math.prod(stem), width, 3, flat=levels[0].flat)]
        for depth, level in enumerate(levels):
            if depth:
                down, width = _down(levels[depth - 1], level)
                blocks.append(down)
            blocks += _at_one_resolution(level, width, norm_groups)
            width = level.channels
        if levels[-1].attends:
            blocks += _middle(levels[-1], norm_groups)
        to_latent = Convolution(width, latent_channels, 3, flat=levels[-1].flat)
        blocks += [GroupNorm(norm_groups, width), to_latent]
        self.blocks = nn.ModuleList(blocks)


class Decoder(FoldedDecoder):
    """Latents (B, `latent_channels`, X, Y, Z) to volumes (B, 1, X, Y, Z)."""

    def __init__(
        self, levels: Sequence[Level], latent_channels: int, norm_groups: int, stem: Stem = NO_STEM
    ) -> None:
        super().__init__()
        self.stem = stem
        width = levels[-1].channels
        blocks: list[nn.Module] = [Convolution(latent_channels, width, 3, flat=levels[-1].flat)]
        if levels[-1].attends:
            blocks += _middle(levels[-1], norm_groups)
        for depth, level in reversed(list(enumerate(levels))):
            blocks += _at_one_resolution(level, width, norm_groups)
            width = level.channels
            if depth:
                up, width = _up(level, levels[depth - 1])
                blocks.append(up)
        to_voxels = Convolution(width, math.prod(stem), 3, flat=levels[0].flat)
        blocks += [GroupNorm(norm_groups, width), to_voxels]
        self.blocks = nn.ModuleList(blocks)


class AutoencoderKL(nn.Module):
    """Volumes to normal posteriors of latents, and latents to volumes."""

    def __init__(
        self, levels: Sequence[Level], latent_channels: int, norm_groups: int, stem: Stem = NO_STEM
    ) -> None:
        super().__init__()
        self.encoder = Encoder(levels, latent_channels, norm_groups, stem)
        self.decoder = Decoder(levels, latent_channels, norm_groups, stem)
        self.quant_conv_mu = Convolution(latent_channels, latent_channels, 1)
        self.quant_conv_log_sigma = Convolution(latent_channels, latent_channels, 1)
        self.post_quant_conv = Convolution(latent_channels, latent_channels, 1)

    def encode(self, x_BCXYZ: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the posterior of volumes (B, 1, X, Y, Z), each as a latent."""
        h_BCXYZ = self.encoder(x_BCXYZ)
        mean_BCXYZ = self.quant_conv_mu(h_BCXYZ)
        log_variance_BCXYZ = self.quant_conv_log_sigma(h_BCXYZ).clamp(*LOG_VARIANCE)
        return mean_BCXYZ, torch.exp(log_variance_BCXYZ / 2)

    def decode(self, z_BCXYZ: Tensor) -> Tensor:
        """Volumes (B, 1, X, Y, Z) of latents."""
        volumes: Tensor = self.decoder(self.post_quant_conv(z_BCXYZ))
        return volumes


class Downsampling(nn.Module):
    """Convolution of stride 2; one voxel of padding lies behind the volume. Flat axes stay."""

    def __init__(self, channels: int, flat: Flat = NOT_FLAT) -> None:
        super().__init__()
        self.conv = Convolution(channels, channels, 3, stride=2, padding=0, flat=flat)
        self.behind = [beside for each in reversed(flat) for beside in (0, 0 if each else 1)]

    def forward(self, x_BCXYZ: Tensor) -> Tensor:
        halved: Tensor = self.conv(F.pad(x_BCXYZ, self.behind))
        return halved


def _down(fine: Level, coarse: Level) -> tuple[nn.Module, int]:
    """The layer from a level to the next, and the width after it.

    Halving keeps the width, as MONAI's layer does. A larger factor changes it here, where that is cheap.
    """
    factors, kept = _shrinking(fine, coarse)
    if max(factors) > 2:
        return Folding(fine.channels, coarse.channels, factors), coarse.channels
    return Downsampling(fine.channels, kept), fine.channels


def _up(coarse: Level, fine: Level) -> tuple[nn.Module, int]:
    """The way back of `_down`."""
    factors, kept = _shrinking(fine, coarse)
    if max(factors) > 2:
        return Unfolding(coarse.channels, fine.channels, factors), fine.channels
    return Upsampling(coarse.channels, kept), coarse.channels


def _shrinking(fine: Level, coarse: Level) -> tuple[Factors, Flat]:
    """Voxels of a level per voxel of the next along x, y, z, and which axes stay; flat ones do."""
    x, y, z = (1 if flat else factor for flat, factor in zip(fine.flat, coarse.factors, strict=True))
    return (x, y, z), (x == 1, y == 1, z == 1)


def _at_one_resolution(level: Level, width: int, norm_groups: int) -> list[nn.Module]:
    """The blocks of a level that `width` channels enter."""
    blocks: list[nn.Module] = []
    for _ in range(level.res_blocks):
        blocks.append(ResidualBlock(width, level.channels, norm_groups, level.flat))
        width = level.channels
        if level.attends:
            blocks.append(AttentionBlock(width, width, norm_groups))
    return blocks


def _middle(level: Level, norm_groups: int) -> list[nn.Module]:
    """The blocks beside the latent, where the last level attends."""
    width = level.channels
    return [
        ResidualBlock(width, width, norm_groups, level.flat),
        AttentionBlock(width, width, norm_groups),
        ResidualBlock(width, width, norm_groups, level.flat),
    ]
