"""Vectors of what a network is told of items; those of what is unknown are zeros.

Shapes: B batch, K covariates, C channels of the vectors.
"""

import torch
from torch import Tensor, nn


def perceptron(inputs: int, channels: int) -> nn.Sequential:
    """Two layers with SiLU between them, which embed `inputs` numbers."""
    return nn.Sequential(nn.Linear(inputs, channels), nn.SiLU(), nn.Linear(channels, channels))


def of_class(embedding: nn.Embedding, class_labels_B: Tensor) -> Tensor:
    """The vectors (B, C) of numbers of classes, below 0 where unknown."""
    vectors_BC: Tensor = embedding(class_labels_B.clamp(min=0)) * (class_labels_B >= 0)[:, None]
    return vectors_BC


def of_covariates(layers: nn.Sequential, covariates_BK: Tensor) -> Tensor:
    """The vectors (B, C) of rows of covariates, which are unknown where one of them is NaN."""
    known_B1 = covariates_BK.isfinite().all(1, keepdim=True)
    given_BK = torch.where(known_B1, covariates_BK, 0).to(next(layers.parameters()).dtype)
    vectors_BC: Tensor = layers(given_BK) * known_B1
    return vectors_BC
