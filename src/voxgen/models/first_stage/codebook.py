"""A codebook: vectors that latents are rounded to, and that follow the latents without a gradient.

Its tensors have the names, the shapes and the first values of those of MONAI's `EMAQuantizer`.

Shapes: B batch, C channels, x y z latent axes, N latents, K codes.
"""

from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from voxgen.models.folder import WEIGHTS

VECTORS = "quantizer.quantizer.embedding.weight"  # the name that they have in a network of kind vq


class Codebook(nn.Module):
    """K vectors of C numbers. Each is a moving average of the latents that it was nearest to.

    `ema_cluster_size` (K,) averages how many latents of a volume those were, and `ema_w` (K, C) their sum
    (appendix A.1 of van den Oord et al., Neural Discrete Representation Learning, arXiv 1711.00937). Codes
    that are hardly used start again elsewhere, so that every one has a size and none is smoothed.

    All three are buffers, so that the averaged model has the last of them: they are averages already, of
    latents of the same last steps (docs/training.md).
    """

    ema_cluster_size: Tensor
    ema_w: Tensor

    def __init__(self, codes: int, channels: int, decay: float, restart: float) -> None:
        super().__init__()
        self.embedding = _Vectors(codes, channels)
        self.register_buffer("ema_cluster_size", torch.zeros(codes))
        self.register_buffer("ema_w", torch.zeros(codes, channels))
        self._decay, self._restart = decay, restart

    @torch.no_grad()
    def nearest(self, z_BCxyz: Tensor) -> Tensor:
        """The number (B, x, y, z) of the code nearest to each latent; of equally near ones the first."""
        return nearest(z_BCxyz, self.embedding.weight)

    def vectors(self, codes_Bxyz: Tensor) -> Tensor:
        """The vectors (B, C, x, y, z) of codes."""
        return vectors_of(codes_Bxyz, self.embedding.weight)

    @torch.no_grad()
    def seen(self, z_BCxyz: Tensor, codes_Bxyz: Tensor) -> tuple[Tensor, Tensor]:
        """How many latents of a volume each code is nearest to (K,), and their sum (K, C); means over B."""
        with torch.autocast(z_BCxyz.device.type, enabled=False):
            chosen_NK = F.one_hot(codes_Bxyz.flatten(), len(self.ema_w)).float()
            return chosen_NK.sum(0) / len(z_BCxyz), chosen_NK.T @ as_rows(z_BCxyz) / len(z_BCxyz)

    @torch.no_grad()
    def follow(self, count_K: Tensor, sum_KC: Tensor, candidates_KC: Tensor) -> Tensor:
        """Move the codes towards what a step has seen of them; returns how many started again.

        A code that is used less than its share of the mean use becomes its candidate, with the mean use.
        """
        self.ema_cluster_size.lerp_(count_K, 1 - self._decay)
        self.ema_w.lerp_(sum_KC, 1 - self._decay)
        mean = self.ema_cluster_size.mean()
        dead_K = self.ema_cluster_size < self._restart * mean
        self.ema_cluster_size.copy_(torch.where(dead_K, mean, self.ema_cluster_size))
        self.ema_w.copy_(torch.where(dead_K[:, None], mean * candidates_KC, self.ema_w))
        self.embedding.weight.copy_(self.ema_w / self.ema_cluster_size[:, None])
        return dead_K.sum()


class _Vectors(nn.Module):
    """The vectors (K, C), under the name that MONAI's have."""

    weight: Tensor

    def __init__(self, codes: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(codes, channels))


def read_vectors(folder: Path) -> Tensor | None:
    """The vectors (K, C) of the first stage in a folder, without building it; None: it has no codes."""
    with safe_open(folder / WEIGHTS, "pt") as weights:
        vectors: Tensor | None = weights.get_tensor(VECTORS) if VECTORS in weights.keys() else None  # noqa: SIM118
    return vectors


def nearest(z_BCxyz: Tensor, vectors_KC: Tensor) -> Tensor:
    """The number (B, x, y, z) of the vector nearest to each latent; of equally near ones the first."""
    with torch.autocast(z_BCxyz.device.type, enabled=False):
        z_NC = as_rows(z_BCxyz)
        distances_NK = torch.addmm(vectors_KC.square().sum(1), z_NC, vectors_KC.T, alpha=-2)
    B, _, *axes = z_BCxyz.shape
    return distances_NK.argmin(1).view(B, *axes)


def vectors_of(codes_Bxyz: Tensor, vectors_KC: Tensor) -> Tensor:
    """The vectors (B, C, x, y, z) of codes."""
    return F.embedding(codes_Bxyz, vectors_KC).movedim(-1, 1).contiguous()


def as_rows(z_BCxyz: Tensor) -> Tensor:
    """Latents as (N, C), in fp32."""
    return z_BCxyz.float().movedim(1, -1).flatten(0, -2)


def perplexity(use_K: Tensor) -> Tensor:
    """How many codes, used equally, are as uncertain as these: exp of the entropy of their use."""
    share_K = use_K / use_K.sum()
    return torch.exp(-torch.xlogy(share_K, share_K).sum())
