"""Group normalisation that is fast in channels-last layout on a CPU, and torch's own elsewhere.

Shapes: B batch, C channels, X Y Z axes of a grid or a latent, G groups.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812

FEW_VOXELS = 1000  # of an item: below, torch's own backward pass is faster (docs/performance.md)


class GroupNorm(nn.GroupNorm):
    """Group normalisation of volumes (B, C, X, Y, Z)."""

    def __init__(self, groups: int, channels: int, eps: float = 1e-6) -> None:
        super().__init__(groups, channels, eps)

    def forward(self, x_BCXYZ: Tensor) -> Tensor:
        return self._normalized(x_BCXYZ, activated=False)

    def activated(self, x_BCXYZ: Tensor) -> Tensor:
        """SiLU of the normalised volumes."""
        return self._normalized(x_BCXYZ, activated=True)

    def _normalized(self, x_BCXYZ: Tensor, activated: bool) -> Tensor:
        elsewhere = x_BCXYZ.device.type != "cpu" or torch.compiler.is_compiling()
        if elsewhere or x_BCXYZ[0, 0].numel() < FEW_VOXELS or x_BCXYZ.is_contiguous():
            y_BCXYZ = super().forward(x_BCXYZ)
            return F.silu(y_BCXYZ) if activated else y_BCXYZ
        normalized: Tensor = _Normalized.apply(  # type: ignore[no-untyped-call]
            x_BCXYZ, self.weight, self.bias, self.num_groups, self.eps, activated
        )
        return normalized


class _Normalized(torch.autograd.Function):
    """Group normalisation and, where asked, SiLU, with few passes over volumes in channels-last layout.

    torch's own backward pass is slow in this layout, and torch holds what lies between the two, which is
    computed again here. Sums over voxels and affine maps are those of batch normalisation, an item at a time
    with the statistics of its groups; they are fast in this layout.
    """

    @staticmethod
    def forward(
        ctx: Any, x_BCXYZ: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float, activated: bool
    ) -> Tensor:
        x_BCXYZ = _channels_last(x_BCXYZ)
        batch, channels = x_BCXYZ.shape[:2]
        y_BCXYZ, mean_BG, inverse_BG = torch.native_group_norm(
            x_BCXYZ, weight, bias, batch, channels, x_BCXYZ[0, 0].numel(), groups, eps
        )
        ctx.save_for_backward(x_BCXYZ, weight, bias, mean_BG, inverse_BG)
        ctx.activated = activated
        return F.silu(y_BCXYZ, inplace=True) if activated else y_BCXYZ

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope_BCXYZ: Tensor) -> tuple[Tensor | None, ...]:
        x_BCXYZ, weight, bias, mean_BG, inverse_BG = ctx.saved_tensors
        slope_BCXYZ = _channels_last(slope_BCXYZ)
        gradient_BCXYZ = torch.empty_like(x_BCXYZ)
        of_weight, of_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        spare = torch.empty_like(x_BCXYZ[:1])
        for i in range(len(x_BCXYZ)):
            one = slice(i, i + 1)
            scaled, summed = _one_backward(
                *(x_BCXYZ[one], slope_BCXYZ[one], weight, bias, mean_BG[i], inverse_BG[i]),
                *(gradient_BCXYZ[one], spare, ctx.activated),
            )
            of_weight += scaled
            of_bias += summed
        return gradient_BCXYZ, of_weight, of_bias, None, None, None


def _one_backward(
    x: Tensor,
    slope: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean_G: Tensor,
    inverse_G: Tensor,
    gradient: Tensor,
    spare: Tensor,
    activated: bool,
) -> tuple[Tensor, Tensor]:
    """Write one item's gradient; returns the gradients of weight and bias. `inverse_G` is 1 / deviation.

    With n the normalised x, s the slope and mean() over a group, the gradient is
    (weight s - mean(weight s) - n mean(weight s n)) / deviation.
    """
    width = len(weight) // len(mean_G)
    mean, inverse = mean_G.repeat_interleave(width), inverse_G.repeat_interleave(width)
    statistics = mean, inverse.square().reciprocal()
    if activated:
        _affine(x, weight, bias, *statistics, out=spare)
        slope = torch.ops.aten.silu_backward.grad_input(slope, spare, grad_input=spare)
    _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
        slope, x, weight, *statistics, None, None, False, 0.0, [False, True, True]
    )
    sums = torch.stack((weight * of_weight, weight * of_bias)).view(2, len(mean_G), width).sum(2)
    slant, shift = (sums * (-inverse_G / (width * x[0, 0].numel()))).repeat_interleave(width, 1)
    zero, one = torch.zeros_like(mean), torch.ones_like(mean)
    _affine(slope, weight * inverse, shift, zero, one, out=gradient)
    _affine(x, slant, zero, *statistics, out=spare)
    gradient += spare
    return of_weight, of_bias


def _affine(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, out: Tensor) -> None:
    """Write (x - mean) / sqrt(variance) * weight + bias, all of a channel."""
    none = mean.new_empty(0)
    torch.ops.aten.native_batch_norm.out(
        *(x, weight, bias, mean, variance, False, 0.0, 0.0), out=out, save_mean=none, save_invstd=none
    )


def _channels_last(x_BCXYZ: Tensor) -> Tensor:
    """In channels-last layout, strides of axes of size 1 included: torch takes them for the layout."""
    _, C, X, Y, Z = x_BCXYZ.shape
    laid_out = x_BCXYZ.contiguous(memory_format=torch.channels_last_3d)
    return laid_out.as_strided(
        x_BCXYZ.shape, (C * X * Y * Z, 1, Y * Z * C, Z * C, C), laid_out.storage_offset()
    )
