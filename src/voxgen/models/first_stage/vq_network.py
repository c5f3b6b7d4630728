"""The network of a first stage of codes: that of Tudosiu et al. (arXiv 2209.03177).

Boxes of voxels, the stem, are folded into channels first and unfolded last. Parameters have the names, the
order and, with a stem of [1, 1, 1] and no flat axes, the shapes and the first values of MONAI's `VQVAE`.

Shapes: B batch, C channels, X Y Z axes of a grid or a latent.
"""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from voxgen.models.first_stage.codebook import Codebook
from voxgen.models.layers.blocks import Block
from voxgen.models.layers.convolutions import Convolution, TransposedConvolution
from voxgen.models.layers.folding import FoldedDecoder, FoldedEncoder
from voxgen.models.levels import Flat


class CodeEncoder(FoldedEncoder):
    """Volumes (B, 1, X, Y, Z) to latents that are not rounded to codes yet."""

    def __init__(self, network: Mapping[str, Any], flat: Flat) -> None:
        super().__init__()
        self.stem = network["stem"]
        width, blocks = math.prod(self.stem), list[nn.Module]()
        for channels, inside in zip(network["channels"], network["res_channels"], strict=True):
            blocks.append(Halving(width, channels, 4, stride=2, padding=1, flat=flat))
            blocks += [ResidualUnit(channels, inside, flat) for _ in range(network["res_blocks"])]
            width = channels
        blocks.append(Convolution(width, network["latent_channels"], 3, flat=flat))
        self.blocks = nn.ModuleList(blocks)


class CodeDecoder(FoldedDecoder):
    """Vectors of codes (B, C, X, Y, Z) to volumes (B, 1, X, Y, Z)."""

    def __init__(self, network: Mapping[str, Any], flat: Flat) -> None:
        super().__init__()
        self.stem, widths = network["stem"], network["channels"]
        blocks: list[nn.Module] = [Convolution(network["latent_channels"], widths[-1], 3, flat=flat)]
        for depth, inside in reversed(list(enumerate(network["res_channels"]))):
            blocks += [ResidualUnit(widths[depth], inside, flat) for _ in range(network["res_blocks"])]
            if depth:
                blocks.append(Doubling(widths[depth], widths[depth - 1], flat))
        blocks.append(TransposedConvolution(widths[0], math.prod(self.stem), flat))
        self.blocks = nn.ModuleList(blocks)


class VQVAE(nn.Module):
    """Volumes to latents, latents to codes, and codes to volumes."""

    def __init__(self, network: Mapping[str, Any], flat: Flat, decay: float, restart: float) -> None:
        super().__init__()
        self.encoder = CodeEncoder(network, flat)
        self.decoder = CodeDecoder(network, flat)
        codebook = Codebook(network["codes"], network["latent_channels"], decay, restart)
        self.quantizer = nn.ModuleDict({"quantizer": codebook})

    @property
    def codebook(self) -> Codebook:
        """What latents are rounded to."""
        found: Any = self.quantizer["quantizer"]
        codebook: Codebook = found
        return codebook


class Halving(Convolution):
    """A convolution and ReLU."""

    def forward(self, x_BCXYZ: Tensor) -> Tensor:
        return F.relu(super().forward(x_BCXYZ))


class Doubling(TransposedConvolution):
    """A transposed convolution and ReLU."""

    def forward(self, x_BCXYZ: Tensor) -> Tensor:
        return F.relu(super().forward(x_BCXYZ))


class ResidualUnit(Block):
    """x (B, C, X, Y, Z) plus two convolutions of it, ReLU after the first and after the sum."""

    def __init__(self, channels: int, inside: int, flat: Flat) -> None:
        super().__init__()
        self.conv1 = Convolution(channels, inside, 3, flat=flat)
        self.conv2 = Convolution(inside, channels, 3, flat=flat)

    def _computed(self, *inputs: Tensor) -> Tensor:
        (x_BCXYZ,) = inputs
        return F.relu(x_BCXYZ + self.conv2(F.relu(self.conv1(x_BCXYZ))))
