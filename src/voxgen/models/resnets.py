"""ResNets with pretrained weights: MedicalNet's in 3D (Chen et al. 2019, arXiv 1904.00625), ImageNet's in 2D.

Both are MONAI's ResNet, whose names of weights are those of MedicalNet and of torchvision.

Shapes: B volumes or slices; C channels; X, Y, Z voxels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import resnet
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from voxgen.errors import InputError

# Blocks in each of the four layers, and whether they are bottlenecks.
DEPTHS: dict[tuple[tuple[int, ...], bool], int] = {
    ((1, 1, 1, 1), False): 10,
    ((2, 2, 2, 2), False): 18,
    ((3, 4, 6, 3), False): 34,
    ((3, 4, 6, 3), True): 50,
}
DILATIONS = {"layer3": 2, "layer4": 4}  # of MedicalNet
LEAST_EDGE = 40  # voxels: an eighth of it, 5, is the fewest in which a tap of dilation 4 meets another voxel
HEADS = "conv_seg.", "fc."  # of MedicalNet's segmentation and ImageNet's classes, which give no features
EXPECTED = "expected a checkpoint of MedicalNet (resnet_10.pth, resnet_18_23dataset.pth, ...)"


@dataclass(frozen=True)
class Architecture:
    """What a checkpoint's keys say of its network: depth, and projections in the shortcuts, with biases."""

    depth: int
    projected: bool
    biased: bool
    dimensions: int = 3

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> "Architecture":
        """Read it off the names of the weights.

        Raises:
            InputError: no ResNet of MedicalNet has blocks like these.
        """
        blocks = tuple(
            len({key.split(".")[1] for key in weights if key.startswith(f"layer{layer}.")})
            for layer in (1, 2, 3, 4)
        )
        bottleneck = "layer1.0.conv3.weight" in weights
        if (blocks, bottleneck) not in DEPTHS or "conv1.weight" not in weights:
            kind = "bottlenecks" if bottleneck else "blocks"
            known = ", ".join(f"ResNet-{depth}" for depth in DEPTHS.values())
            raise InputError(f"layers of {blocks} {kind}, expected those of {known}")
        first, dimensions = "layer2.0.downsample.0.", weights["conv1.weight"].ndim - 2
        return cls(
            DEPTHS[blocks, bottleneck], f"{first}weight" in weights, f"{first}bias" in weights, dimensions
        )

    def build(self) -> nn.Module:
        """MONAI's ResNet of this form, turned into MedicalNet's in 3D; its weights are still to be loaded.

        MONAI's halves the grid in each layer but the first; MedicalNet was trained with its last two layers
        at the second's resolution, dilated by 2 and 4.
        """
        network: nn.Module = getattr(resnet, f"resnet{self.depth}")(
            spatial_dims=self.dimensions,
            n_input_channels=1 if self.dimensions == 3 else 3,
            conv1_t_stride=2,
            feed_forward=False,
            shortcut_type="B" if self.projected else "A",
            bias_downsample=self.biased,
        )
        for layer, dilation in DILATIONS.items() if self.dimensions == 3 else ():
            for module in network.get_submodule(layer).modules():
                _dilate(module, dilation)
        return network.eval().requires_grad_(False)


def load_resnet(path: Path, expected: str = EXPECTED) -> tuple[nn.Module, Architecture]:
    """A frozen network without its head from a checkpoint, whose depth and shortcuts its keys tell.

    The file holds weights, bare or as `state_dict`, with or without the prefix `module.`.
    Nothing is downloaded.

    Raises:
        InputError: the file is missing, is no checkpoint, or holds another network.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {expected}") from None
    except Exception as error:  # what is no checkpoint fails in many ways
        found = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not readable as weights ({found}); {expected}") from None
    try:
        weights = _weights(checkpoint)
        architecture = Architecture.of(weights)
        network = architecture.build()
        network.load_state_dict(weights)
    except InputError as error:
        raise InputError(f"{path}: {error}; {expected}") from None
    except RuntimeError as error:
        raise InputError(f"{path}: other weights than its depth has ({error}); {expected}") from None
    return network, architecture


def enlarged(x_BCXYZ: Tensor) -> Tensor:
    """Volumes with axes below 40 voxels interpolated to 40 (trilinear): MedicalNet's inputs are large."""
    shape = tuple(x_BCXYZ.shape[2:])
    enough = tuple(max(n, LEAST_EDGE) for n in shape)
    if enough == shape:
        return x_BCXYZ
    return F.interpolate(x_BCXYZ, enough, mode="trilinear", align_corners=False)


def _weights(checkpoint: Any) -> dict[str, Tensor]:
    """The network's weights under MONAI's names."""
    held = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(held, dict) or not all(isinstance(value, Tensor) for value in held.values()):
        found = f"keys {list(checkpoint)[:5]}" if isinstance(checkpoint, dict) else type(checkpoint).__name__
        raise InputError(f"no state_dict in it, found {found}")
    named = {key.removeprefix("module."): value for key, value in held.items()}
    return {key: value for key, value in named.items() if not key.startswith(HEADS)}


def _dilate(module: nn.Module, dilation: int) -> None:
    """Take a layer's stride from a convolution or a block's shortcut, and dilate its kernels of 3."""
    if isinstance(module, nn.Conv3d):
        module.stride = (1, 1, 1)
        if module.kernel_size == (3, 3, 3):
            module.dilation = module.padding = (dilation,) * 3
    elif isinstance(module, resnet.ResNetBlock | resnet.ResNetBottleneck):
        shortcut = module.downsample
        if isinstance(shortcut, partial):
            module.downsample = partial(shortcut, stride=1)
