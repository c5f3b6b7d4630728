"""MONAI's residual and attention blocks, with less to hold for the backward pass.

Shapes: B batch, C channels, X Y Z axes of a grid or a latent.
"""

import torch
from monai.networks.blocks import SpatialAttentionBlock
from monai.networks.nets.autoencoderkl import AEKLResBlock
from monai.networks.nets.diffusion_model_unet import DiffusionUNetResnetBlock
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

from voxgen.models.layers.norms import GroupNorm


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


class AutoencoderBlock(Block, AEKLResBlock):  # type: ignore[misc]
    """AutoencoderKL's residual block."""

    norm1: nn.Module
    norm2: nn.Module
    conv1: nn.Module
    conv2: nn.Module
    nin_shortcut: nn.Module

    def _computed(self, *inputs: Tensor) -> Tensor:
        (x_BCXYZ,) = inputs
        h_BCXYZ = self.conv1(_activated(self.norm1, x_BCXYZ))
        h_BCXYZ = self.conv2(_activated(self.norm2, h_BCXYZ))
        return _added(h_BCXYZ, self.nin_shortcut(x_BCXYZ))


class DenoiserBlock(Block, DiffusionUNetResnetBlock):  # type: ignore[misc]
    """DiffusionModelUNet's residual block."""

    norm1: nn.Module
    norm2: nn.Module
    conv1: nn.Module
    conv2: nn.Module
    time_emb_proj: nn.Module
    skip_connection: nn.Module

    def _computed(self, *inputs: Tensor) -> Tensor:
        x_BCXYZ, time_BC = inputs
        if self.up or self.down:
            changed: Tensor = DiffusionUNetResnetBlock.forward(self, x_BCXYZ, time_BC)
            return changed
        told_BC = self.time_emb_proj(F.silu(time_BC))
        h_BCXYZ = _added(self.conv1(_activated(self.norm1, x_BCXYZ)), told_BC[:, :, None, None, None])
        h_BCXYZ = self.conv2(_activated(self.norm2, h_BCXYZ))
        return _added(h_BCXYZ, self.skip_connection(x_BCXYZ))


class AttentionBlock(Block, SpatialAttentionBlock):  # type: ignore[misc]
    """Self-attention of both networks."""

    def _computed(self, *inputs: Tensor) -> Tensor:
        attended: Tensor = SpatialAttentionBlock.forward(self, *inputs)
        return attended


def _activated(norm: nn.Module, x_BCXYZ: Tensor) -> Tensor:
    return norm.activated(x_BCXYZ) if isinstance(norm, GroupNorm) else F.silu(norm(x_BCXYZ))


def _added(x: Tensor, y: Tensor) -> Tensor:
    """The sum, in the memory of x where that can hold it."""
    return x.add_(y) if torch.result_type(x, y) == x.dtype else x + y
