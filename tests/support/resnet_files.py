"""Checkpoints of ResNets as MedicalNet and torchvision publish them, with random weights."""

from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import resnet
from torch import Tensor

Weights = dict[str, Tensor]
PROJECTED = {"shortcut_type": "B", "bias_downsample": False}
PADDED = {"shortcut_type": "A"}


def random_weights(depth: int, shortcuts: dict[str, Any] = PROJECTED, dimensions: int = 3) -> Weights:
    """A state of MONAI's ResNet whose norms do something."""
    torch.manual_seed(0)
    channels = 1 if dimensions == 3 else 3
    network = getattr(resnet, f"resnet{depth}")(
        spatial_dims=dimensions, n_input_channels=channels, feed_forward=False, **shortcuts
    )
    weights = network.state_dict()
    for name, value in weights.items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.2)
    return dict(weights)


def saved(path: Path, weights: Weights) -> Path:
    """In MedicalNet's layout."""
    head = {"module.conv_seg.0.weight": torch.zeros(3)}
    torch.save({"state_dict": {f"module.{name}": w for name, w in weights.items()} | head}, path)
    return path


def saved_bare(path: Path, weights: Weights) -> Path:
    """In torchvision's layout."""
    torch.save({**weights, "fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}, path)
    return path
