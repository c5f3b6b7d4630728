"""Residual and attention blocks, with little to hold for the backward pass.

Parameters have the names, the order and the first values of MONAI's blocks.

Shapes: B batch, C channels, X Y Z axes of a grid or a latent, N voxels, H heads, D channels of a head,
T channels of the embedded time.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

from voxgen.models.layers.convolutions import Convolution
from voxgen.models.layers.norms import GroupNorm
from voxgen.models.levels import NOT_FLAT, Flat


class Block(nn.Module):
    """A block that computes again in the backward pass what it would hold, where `recompute` says so."""

    recompute = False

    def forward(self, *inputs: Tensor) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            computed: Tensor = checkpoint(
                self._computed, *inputs, use_reentrant=False, preserve_rng_state=False
            )
            return computed
        return self._computed(*inputs)

    def _computed(self, *inputs: Tensor) -> Tensor:
        raise NotImplementedError


class ResidualBlock(Block):
    """The autoencoder's: x (B, C, X, Y, Z) plus two convolutions of it, each after norm and SiLU."""

    def __init__(self, inputs: int, outputs: int, norm_groups: int, flat: Flat = NOT_FLAT) -> None:
        super().__init__()
        self.norm1 = GroupNorm(norm_groups, inputs)
        self.conv1 = Convolution(inputs, outputs, 3, flat=flat)
        self.norm2 = GroupNorm(norm_groups, outputs)
        self.conv2 = Convolution(outputs, outputs, 3, flat=flat)
        self.nin_shortcut = _shortcut(inputs, outputs)

    def _computed(self, *inputs: Tensor) -> Tensor:
        (x_BCXYZ,) = inputs
        h_BCXYZ = self.conv1(self.norm1.activated(x_BCXYZ))
        h_BCXYZ = self.conv2(self.norm2.activated(h_BCXYZ))
        return _added(h_BCXYZ, self.nin_shortcut(x_BCXYZ))


class TimedResidualBlock(Block):
    """The denoiser's: it is told the embedded time (B, T) in between, and starts as its shortcut."""

    def __init__(
        self, inputs: int, outputs: int, time_channels: int, norm_groups: int, flat: Flat = NOT_FLAT
    ) -> None:
        super().__init__()
        self.norm1 = GroupNorm(norm_groups, inputs)
        self.conv1 = Convolution(inputs, outputs, 3, flat=flat)
        self.time_emb_proj = nn.Linear(time_channels, outputs)
        self.norm2 = GroupNorm(norm_groups, outputs)
        self.conv2 = zeroed(Convolution(outputs, outputs, 3, flat=flat))
        self.skip_connection = _shortcut(inputs, outputs)

    def _computed(self, *inputs: Tensor) -> Tensor:
        x_BCXYZ, time_BT = inputs
        told_BC = self.time_emb_proj(F.silu(time_BT))
        h_BCXYZ = _added(self.conv1(self.norm1.activated(x_BCXYZ)), told_BC[:, :, None, None, None])
        h_BCXYZ = self.conv2(self.norm2.activated(h_BCXYZ))
        return _added(h_BCXYZ, self.skip_connection(x_BCXYZ))


class AttentionBlock(Block):
    """x (B, C, X, Y, Z) plus self-attention between its voxels, in heads of `head_channels` channels."""

    def __init__(self, channels: int, head_channels: int, norm_groups: int) -> None:
        super().__init__()
        self.norm = GroupNorm(norm_groups, channels)
        self.attn = SelfAttention(channels, head_channels)

    def _computed(self, *inputs: Tensor) -> Tensor:
        (x_BCXYZ,) = inputs
        attended_BNC: Tensor = self.attn(self.norm(x_BCXYZ).flatten(2).transpose(1, 2))
        return attended_BNC.transpose(1, 2).reshape(x_BCXYZ.shape) + x_BCXYZ


class SelfAttention(nn.Module):
    """Scaled dot-product attention in heads (Vaswani et al., Attention Is All You Need, arXiv 1706.03762)."""

    def __init__(self, channels: int, head_channels: int) -> None:
        super().__init__()
        if channels % head_channels:
            raise ValueError(f"heads of {head_channels} channels do not divide the width {channels}")
        self.head_channels = head_channels
        self.out_proj = nn.Linear(channels, channels)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)

    def forward(self, x_BNC: Tensor) -> Tensor:
        q_BHND, k_BHND, v_BHND = (self._heads(to(x_BNC)) for to in (self.to_q, self.to_k, self.to_v))
        attended_BHND = F.scaled_dot_product_attention(q_BHND, k_BHND, v_BHND)
        attended_BNC: Tensor = self.out_proj(attended_BHND.transpose(1, 2).flatten(2))
        return attended_BNC

    def _heads(self, x_BNC: Tensor) -> Tensor:
        return x_BNC.view(*x_BNC.shape[:2], -1, self.head_channels).transpose(1, 2)


def zeroed(convolution: Convolution) -> Convolution:
    """The convolution with weights of 0; random numbers are drawn for them all the same."""
    for parameter in convolution.parameters():
        nn.init.zeros_(parameter)
    return convolution


def _shortcut(inputs: int, outputs: int) -> nn.Module:
    return nn.Identity() if inputs == outputs else Convolution(inputs, outputs, 1)


def _added(x: Tensor, y: Tensor) -> Tensor:
    """The sum, in the memory of x where that can hold it."""
    return x.add_(y) if torch.promote_types(x.dtype, y.dtype) == x.dtype else x + y
