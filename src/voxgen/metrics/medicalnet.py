"""Features of volumes by a 3D ResNet of MedicalNet (Chen et al. 2019, arXiv 1904.00625).

Shapes: B volumes; X, Y, Z voxels; C channels; F features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.networks.nets import resnet
from numpy.typing import NDArray
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
DILATIONS = {"layer3": 2, "layer4": 4}
LEAST_EDGE = 40  # voxels: an eighth of it, 5, is the fewest in which a tap of dilation 4 meets another voxel
HEAD = "conv_seg."  # of MedicalNet's segmentation, which gives no features
EXPECTED = "expected a checkpoint of MedicalNet (resnet_10.pth, resnet_18_23dataset.pth, ...)"


@dataclass(frozen=True)
class Architecture:
    """What a checkpoint's keys say of its network: depth, and projections in the shortcuts, with biases."""

    depth: int
    projected: bool
    biased: bool

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
        if (blocks, bottleneck) not in DEPTHS:
            kind = "bottlenecks" if bottleneck else "blocks"
            known = ", ".join(f"ResNet-{depth}" for depth in DEPTHS.values())
            raise InputError(f"layers of {blocks} {kind}, expected those of {known}")
        first = "layer2.0.downsample.0."
        return cls(DEPTHS[blocks, bottleneck], f"{first}weight" in weights, f"{first}bias" in weights)

    def build(self) -> nn.Module:
        """MONAI's ResNet of this form, turned into MedicalNet's; its weights are still to be loaded.

        MONAI's halves the grid in each layer but the first; MedicalNet was trained with its last two layers
        at the second's resolution, dilated by 2 and 4.
        """
        network: nn.Module = getattr(resnet, f"resnet{self.depth}")(
            n_input_channels=1,
            conv1_t_stride=2,
            feed_forward=False,
            shortcut_type="B" if self.projected else "A",
            bias_downsample=self.biased,
        )
        for layer, dilation in DILATIONS.items():
            for module in network.get_submodule(layer).modules():
                _dilate(module, dilation)
        return network.eval().requires_grad_(False)


class MedicalNet:
    """A MedicalNet 3D ResNet without its head, in fp32 on one device."""

    def __init__(self, weights: Mapping[str, Tensor], device: str) -> None:
        self.architecture = Architecture.of(weights)
        self._device = device
        self._network = self.architecture.build()
        self._network.load_state_dict(weights)
        self._network.to(device)

    @torch.inference_mode()
    def features(
        self, x_BXYZ: NDArray[np.floating], foreground_BXYZ: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """The last layer's mean over space, (B, F): 512 features, 2048 of ResNet-50.

        Volumes are `standardised`; axes below 40 voxels are then interpolated to 40 (trilinear), as
        MedicalNet's fixed input size does to all axes.
        """
        x_BXYZ = standardised(x_BXYZ, foreground_BXYZ)
        x_BCXYZ = torch.from_numpy(x_BXYZ)[:, None].to(self._device)
        shape = tuple(x_BXYZ.shape[1:])
        enough = tuple(max(n, LEAST_EDGE) for n in shape)
        if enough != shape:
            x_BCXYZ = F.interpolate(x_BCXYZ, enough, mode="trilinear", align_corners=False)
        return np.asarray(self._network(x_BCXYZ).double().cpu().numpy())


def load_medicalnet(path: Path, device: str = "cpu") -> MedicalNet:
    """A network from a checkpoint of MedicalNet, whose depth and shortcuts its keys tell.

    The file holds a `state_dict`, its keys with or without the prefix `module.`. Nothing is downloaded.

    Raises:
        InputError: the file is missing, is no checkpoint, or holds another network.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {EXPECTED}") from None
    except Exception as error:  # what is no checkpoint fails in many ways
        found = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not readable as weights ({found}); {EXPECTED}") from None
    try:
        return MedicalNet(_weights(checkpoint), device)
    except InputError as error:
        raise InputError(f"{path}: {error}; {EXPECTED}") from None
    except RuntimeError as error:
        raise InputError(f"{path}: other weights than its depth has ({error}); {EXPECTED}") from None


def standardised(x_BXYZ: NDArray[np.floating], foreground_BXYZ: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Each volume with mean 0 and standard deviation 1 over its foreground.

    MedicalNet takes the voxels above 0 for this and fills the others with noise. Here the caller says which
    are foreground, since the empty space of a generated volume is not exactly 0, and nothing is drawn. A
    volume without foreground is standardised over all voxels; a foreground of one value (an occupancy grid)
    is only shifted to 0.
    """
    volumes = np.empty(x_BXYZ.shape, np.float32)
    for volume, x, foreground in zip(volumes, x_BXYZ, foreground_BXYZ, strict=True):
        values = (x[foreground] if foreground.any() else x).astype(np.float64)
        spread = values.std() if values.max() > values.min() else 1.0  # rounding gives one value a std
        volume[...] = (x - values.mean()) / spread
    return volumes


def _weights(checkpoint: Any) -> dict[str, Tensor]:
    """The network's weights under MONAI's names."""
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        found = f"keys {list(checkpoint)[:5]}" if isinstance(checkpoint, dict) else type(checkpoint).__name__
        raise InputError(f"no state_dict in it, found {found}")
    named = {key.removeprefix("module."): value for key, value in checkpoint["state_dict"].items()}
    return {key: value for key, value in named.items() if not key.startswith(HEAD)}


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
