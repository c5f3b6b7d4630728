"""A network that tells what follows each position of a sequence of tokens: a transformer's decoder alone.

Parameters have the names, the order, the shapes and the first values of MONAI's `DecoderOnlyTransformer`
without cross attention, which lacks a memory of what was attended to. Its norms of cross attention, which
it does not use then, and its masks are left out.

A condition is a prefix: a vector of its own for each class, and what two layers make of covariates, each at
a position before the tokens; what is unknown leaves the position alone there.

Shapes: B batch, N positions, C channels, H heads, D channels of a head, T tokens that there are, K
covariates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from voxgen.models.layers.blocks import Block
from voxgen.models.layers.embeddings import of_class, of_covariates, perceptron

EXPANSION = 4  # width inside a perceptron, per channel


@dataclass
class Past:
    """What a block has attended to: keys and values of the first `length` of all positions, (B, H, N, D)."""

    keys_BHND: Tensor
    values_BHND: Tensor
    length: int = 0

    def extended(self, keys_BHND: Tensor, values_BHND: Tensor) -> tuple[Tensor, Tensor]:
        """Take those of further positions; returns all so far."""
        end = self.length + keys_BHND.shape[2]
        self.keys_BHND[:, :, self.length : end] = keys_BHND
        self.values_BHND[:, :, self.length : end] = values_BHND
        self.length = end
        return self.keys_BHND[:, :, :end], self.values_BHND[:, :, :end]


class CausalNetwork(nn.Module):
    """Logits of the token that follows each position, from the tokens up to there (Radford et al. 2019).

    It is told one of `classes` and so many `covariates`, or nothing where these are 0; `positions` are those
    of tokens. The keyword arguments of its methods that tell it: `class_labels` (B,), below 0 where unknown,
    and `covariates` (B, K), a row of which is unknown where one of it is NaN.
    """

    def __init__(
        self,
        tokens: int,
        positions: int,
        channels: int,
        layers: int,
        head_channels: int,
        classes: int = 0,
        covariates: int = 0,
    ) -> None:
        super().__init__()
        positions += (classes > 0) + (covariates > 0)
        self.token_embeddings = nn.Embedding(tokens, channels)
        self.position_embeddings = Positions(positions, channels)
        self.blocks = nn.ModuleList(CausalBlock(channels, head_channels) for _ in range(layers))
        self.to_logits = nn.Linear(channels, tokens)
        self.class_embedding = nn.Embedding(classes, channels) if classes else None
        self.covariate_embedding = perceptron(covariates, channels) if covariates else None
        self._room = channels // head_channels, positions, head_channels

    def forward(self, tokens_BN: Tensor, **known: Tensor) -> Tensor:
        """Logits (B, N, T) of what follows each of the tokens, which begin after the prefix."""
        h_BNC = self._embedded(tokens_BN, 0, known)
        for block in self.blocks:
            h_BNC = block(h_BNC)
        logits_BNT: Tensor = self.to_logits(h_BNC[:, -tokens_BN.shape[1] :])
        return logits_BNT

    def past(self, batch: int) -> list[Past]:
        """That of each block before the first token, with room for all positions."""
        nothing = self.to_logits.weight.new_zeros
        room = batch, *self._room
        return [Past(nothing(room), nothing(room)) for _ in self.blocks]

    def following(self, tokens_BN: Tensor, past: list[Past], **known: Tensor) -> Tensor:
        """Logits (B, T) of what follows the last of further tokens: the first ones, or one more.

        What is known is told before the first ones, and remembered.
        """
        h_BNC = self._embedded(tokens_BN, past[0].length, known)
        block: Any
        for block, of_block in zip(self.blocks, past, strict=True):
            h_BNC = block.following(h_BNC, of_block)
        logits_BT: Tensor = self.to_logits(h_BNC[:, -1])
        return logits_BT

    def _embedded(self, tokens_BN: Tensor, start: int, known: Mapping[str, Tensor]) -> Tensor:
        told_BC = self._told(**known) if known and start == 0 else []
        embedded_BNC = torch.cat([*(one[:, None] for one in told_BC), self.token_embeddings(tokens_BN)], 1)
        places_NC: Tensor = self.position_embeddings(start, embedded_BNC.shape[1])
        return embedded_BNC + places_NC

    def _told(self, class_labels: Tensor | None = None, covariates: Tensor | None = None) -> list[Tensor]:
        """The vectors (B, C) of the prefix."""
        told = []
        if self.class_embedding is not None and class_labels is not None:
            told.append(of_class(self.class_embedding, class_labels))
        if self.covariate_embedding is not None and covariates is not None:
            told.append(of_covariates(self.covariate_embedding, covariates))
        return told


class Positions(nn.Module):
    """A vector for each position."""

    def __init__(self, positions: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(positions, channels)

    def forward(self, start: int, count: int) -> Tensor:
        """Those (N, C) of `count` positions from `start` on."""
        return self.embedding.weight[start : start + count]


class CausalBlock(Block):
    """x (B, N, C) plus causal self-attention of it, plus a perceptron of that; norms come first."""

    def __init__(self, channels: int, head_channels: int) -> None:
        super().__init__()
        self.mlp = Perceptron(channels)
        self.norm1 = nn.LayerNorm(channels)
        self.attn = CausalAttention(channels, head_channels)
        self.norm2 = nn.LayerNorm(channels)

    def following(self, x_BNC: Tensor, past: Past) -> Tensor:
        """Of further positions alone, which attend to those before too."""
        h_BNC = x_BNC + self.attn(self.norm1(x_BNC), past)
        after_BNC: Tensor = h_BNC + self.mlp(self.norm2(h_BNC))
        return after_BNC

    def _computed(self, *inputs: Tensor) -> Tensor:
        (x_BNC,) = inputs
        h_BNC = x_BNC + self.attn(self.norm1(x_BNC))
        after_BNC: Tensor = h_BNC + self.mlp(self.norm2(h_BNC))
        return after_BNC


class CausalAttention(nn.Module):
    """Scaled dot-product attention of positions to themselves and those before them, in heads."""

    def __init__(self, channels: int, head_channels: int) -> None:
        super().__init__()
        self.head_channels = head_channels
        self.out_proj = nn.Linear(channels, channels)
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(channels, channels, bias=False)
        self.to_v = nn.Linear(channels, channels, bias=False)

    def forward(self, x_BNC: Tensor, past: Past | None = None) -> Tensor:
        q_BHND, k_BHND, v_BHND = (self._heads(to(x_BNC)) for to in (self.to_q, self.to_k, self.to_v))
        from_the_first = past is None or past.length == 0
        if past is not None:
            k_BHND, v_BHND = past.extended(k_BHND, v_BHND)
        attended_BHND = F.scaled_dot_product_attention(q_BHND, k_BHND, v_BHND, is_causal=from_the_first)
        attended_BNC: Tensor = self.out_proj(attended_BHND.transpose(1, 2).flatten(2))
        return attended_BNC

    def _heads(self, x_BNC: Tensor) -> Tensor:
        return x_BNC.view(*x_BNC.shape[:2], -1, self.head_channels).transpose(1, 2)


class Perceptron(nn.Module):
    """Two layers with GELU between them, of each position alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, EXPANSION * channels)
        self.linear2 = nn.Linear(EXPANSION * channels, channels)

    def forward(self, x_BNC: Tensor) -> Tensor:
        y_BNC: Tensor = self.linear2(F.gelu(self.linear1(x_BNC)))
        return y_BNC
