"""The denoiser's network: a U-Net that is told the time (Ho et al., arXiv 2006.11239), in 3D.

A condition is added to the time as it is embedded: a vector of its own for each class (Dhariwal and Nichol,
arXiv 2105.05233, section 2.2) and what two layers make of covariates; what is unknown adds nothing.

Parameters have the names, the order and, where no axis is flat, the shapes and the first values of MONAI's
`DiffusionModelUNet`.

Shapes: B batch, C channels, X Y Z latent axes, T channels of the embedded time, K covariates.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from voxgen.models.layers.blocks import AttentionBlock, TimedResidualBlock, zeroed
from voxgen.models.layers.convolutions import Convolution, Upsampling
from voxgen.models.layers.embeddings import of_class, of_covariates, perceptron
from voxgen.models.layers.norms import GroupNorm
from voxgen.models.levels import Level

LONGEST = 10000  # of the wavelengths of the embedded time, over 2 pi


class UNet(nn.Module):
    """What is predicted of noisy latents (B, `latent_channels`, X, Y, Z) at the times of their noise.

    It is told one of `classes` and so many `covariates`, or nothing where these are 0.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        latent_channels: int,
        head_channels: int,
        norm_groups: int,
        classes: int = 0,
        covariates: int = 0,
    ) -> None:
        super().__init__()
        width = levels[0].channels
        self.multiple = 1 << (len(levels) - 1)
        self.time_width = width
        time_channels = 4 * width
        sizes = time_channels, head_channels, norm_groups
        self.conv_in = Convolution(latent_channels, width, 3, flat=levels[0].flat)
        self.time_embed = perceptron(width, time_channels)
        self.class_embedding = nn.Embedding(classes, time_channels) if classes else None
        self.covariate_embedding = perceptron(covariates, time_channels) if covariates else None
        self.down_blocks = nn.ModuleList()
        skips = [width]
        for depth, level in enumerate(levels, 1):
            halves = depth < len(levels)
            self.down_blocks.append(Down(level, width, *sizes, halves=halves))
            width = level.channels
            skips += [width] * (level.res_blocks + halves)
        self.middle_block = Middle(levels[-1], *sizes)
        self.up_blocks = nn.ModuleList()
        for depth, level in reversed(list(enumerate(levels))):
            taken = [skips.pop() for _ in range(level.res_blocks + 1)]
            self.up_blocks.append(Up(level, width, taken, *sizes, doubles=depth > 0))
            width = level.channels
        last = zeroed(Convolution(width, latent_channels, 3, flat=levels[0].flat))
        self.out = nn.Sequential(GroupNorm(norm_groups, width), nn.SiLU(), last)

    def forward(
        self,
        z_BCXYZ: Tensor,
        timesteps: Tensor,
        class_labels: Tensor | None = None,
        covariates: Tensor | None = None,
    ) -> Tensor:
        """The prediction, of the latents' shape; `timesteps` (B,) run from 0 to 1000.

        `class_labels` (B,) are below 0 where unknown, a row of `covariates` (B, K) where one of it is NaN.
        Latents that the levels do not halve are seen with zeros behind them, and cropped again.
        """
        time_BT = self.time_embed(embedded(timesteps, self.time_width).to(z_BCXYZ.dtype))
        if self.class_embedding is not None and class_labels is not None:
            time_BT = time_BT + of_class(self.class_embedding, class_labels)
        if self.covariate_embedding is not None and covariates is not None:
            time_BT = time_BT + of_covariates(self.covariate_embedding, covariates)
        _, _, *shape = z_BCXYZ.shape
        h_BCXYZ = self.conv_in(halving(z_BCXYZ, self.multiple))
        skips = [h_BCXYZ]
        for down in self.down_blocks:
            h_BCXYZ = down(h_BCXYZ, time_BT, skips)
        h_BCXYZ = self.middle_block(h_BCXYZ, time_BT)
        for up in self.up_blocks:
            h_BCXYZ = up(h_BCXYZ, time_BT, skips)
        predicted: Tensor = self.out(h_BCXYZ)
        return predicted[..., : shape[0], : shape[1], : shape[2]]


class Down(nn.Module):
    """Residual blocks at one resolution, each with attention where the level attends; then half of it."""

    def __init__(
        self, level: Level, width: int, time_channels: int, head_channels: int, norm_groups: int, halves: bool
    ) -> None:
        super().__init__()
        widths = [width] + [level.channels] * (level.res_blocks - 1)
        blocks = _at_one_resolution(level, widths, time_channels, head_channels, norm_groups)
        self.attentions, self.resnets = reversed(blocks)
        self.downsampler = Downsampling(level) if halves else None

    def forward(self, h_BCXYZ: Tensor, time_BT: Tensor, skips: list[Tensor]) -> Tensor:
        """What goes on to the next level; all that the way up takes is appended to `skips`."""
        for number, resnet in enumerate(self.resnets):
            h_BCXYZ = _attended(self.attentions, number, resnet(h_BCXYZ, time_BT))
            skips.append(h_BCXYZ)
        if self.downsampler is not None:
            h_BCXYZ = self.downsampler(h_BCXYZ)
            skips.append(h_BCXYZ)
        return h_BCXYZ


class Middle(nn.Module):
    """Two residual blocks at the last level's resolution, with attention between them."""

    def __init__(self, level: Level, time_channels: int, head_channels: int, norm_groups: int) -> None:
        super().__init__()
        width = level.channels
        self.resnet_1 = TimedResidualBlock(width, width, time_channels, norm_groups, level.flat)
        self.attention = AttentionBlock(width, head_channels, norm_groups)
        self.resnet_2 = TimedResidualBlock(width, width, time_channels, norm_groups, level.flat)

    def forward(self, h_BCXYZ: Tensor, time_BT: Tensor) -> Tensor:
        h_BCXYZ = self.attention(self.resnet_1(h_BCXYZ, time_BT)).contiguous()
        told_BCXYZ: Tensor = self.resnet_2(h_BCXYZ, time_BT)
        return told_BCXYZ


class Up(nn.Module):
    """As `Down`, with one block more, each of which takes a tensor of the way down too; then the double."""

    def __init__(
        self,
        level: Level,
        width: int,
        skipped: Sequence[int],
        time_channels: int,
        head_channels: int,
        norm_groups: int,
        doubles: bool,
    ) -> None:
        super().__init__()
        entering = [width] + [level.channels] * level.res_blocks
        widths = [a + b for a, b in zip(entering, skipped, strict=True)]
        self.resnets, self.attentions = _at_one_resolution(
            level, widths, time_channels, head_channels, norm_groups
        )
        self.upsampler = Upsampling(level.channels, level.flat) if doubles else None

    def forward(self, h_BCXYZ: Tensor, time_BT: Tensor, skips: list[Tensor]) -> Tensor:
        """What goes on to the level before; what is used of `skips` is taken off its end."""
        for number, resnet in enumerate(self.resnets):
            h_BCXYZ = resnet(torch.cat([h_BCXYZ, skips.pop()], 1), time_BT)
            h_BCXYZ = _attended(self.attentions, number, h_BCXYZ)
        return h_BCXYZ if self.upsampler is None else self.upsampler(h_BCXYZ)


class Downsampling(nn.Module):
    """Convolution of stride 2, of 1 along flat axes."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self.op = Convolution(level.channels, level.channels, 3, stride=2, flat=level.flat)

    def forward(self, h_BCXYZ: Tensor) -> Tensor:
        halved: Tensor = self.op(h_BCXYZ)
        return halved


def halving(z_BCXYZ: Tensor, multiple: int) -> Tensor:
    """The same with zeros behind it up to the next `multiple`, along axes of several voxels."""
    missing = [-size % multiple if size > 1 else 0 for size in z_BCXYZ.shape[2:]]
    if not any(missing):
        return z_BCXYZ
    return F.pad(z_BCXYZ, [amount for behind in reversed(missing) for amount in (0, behind)])


def embedded(time_B: Tensor, width: int) -> Tensor:
    """Cosines and sines (B, `width`) of times, of wavelengths in a geometric series up to 2 pi `LONGEST`.

    Section 3.5 of Vaswani et al., Attention Is All You Need (arXiv 1706.03762), in another order.
    """
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=time_B.device)
    phase = time_B[:, None].float() * torch.exp(-math.log(LONGEST) * steps / half)
    return F.pad(torch.cat([phase.cos(), phase.sin()], 1), (0, width % 2))


def _at_one_resolution(
    level: Level, widths: Sequence[int], time_channels: int, head_channels: int, norm_groups: int
) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Residual blocks that `widths` channels enter, and the attention after each; none where it does not."""
    resnets, attentions = nn.ModuleList(), nn.ModuleList()
    for width in widths:
        resnets.append(TimedResidualBlock(width, level.channels, time_channels, norm_groups, level.flat))
        if level.attends:
            attentions.append(AttentionBlock(level.channels, head_channels, norm_groups))
    return resnets, attentions


def _attended(attentions: nn.ModuleList, number: int, h_BCXYZ: Tensor) -> Tensor:
    return attentions[number](h_BCXYZ).contiguous() if attentions else h_BCXYZ
