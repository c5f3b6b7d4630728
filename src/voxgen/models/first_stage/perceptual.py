"""How far reconstructions are from volumes for a pretrained network (Zhang et al., arXiv 1801.03924).

MONAI's `PerceptualLoss` does the same, but downloads code and weights when it is made, standardises a batch
as a whole, so that items depend on each other, and draws slices from a generator that is not addressed.

Shapes: B batch, C channels, X Y Z grid, N slices.
"""

from pathlib import Path
from typing import Any

import torch
from monai.losses.perceptual import normalize_tensor
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from voxgen.errors import InputError
from voxgen.models.resnets import Architecture, enlarged, load_resnet
from voxgen.settings.losses import Network
from voxgen.sources.pretrained import weights_of

SEEN = {  # what each network's checkpoint must hold
    "medicalnet_resnet10": Architecture(10, projected=True, biased=False, dimensions=3),
    "medicalnet_resnet50": Architecture(50, projected=True, biased=False, dimensions=3),
    "imagenet_resnet50": Architecture(50, projected=True, biased=False, dimensions=2),
}
RGB_MEAN, RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures
BLOCKS = ("conv1", "bn1", "act", "maxpool", "layer1", "layer2", "layer3", "layer4")


class PerceptualDistance(nn.Module):
    """Mean squared distance of features, each normalised over its channels; the network stays as it is."""

    def __init__(self, network: Network, weights: str | None) -> None:
        super().__init__()
        self._dimensions = SEEN[network].dimensions
        self.network = _features(network, Path(weights_of(network, weights)))

    def forward(self, r_BCXYZ: Tensor, x_BCXYZ: Tensor) -> Tensor:
        """The mean over items, of reconstructions and volumes (B, 1, X, Y, Z)."""
        see = _as_volumes if self._dimensions == 3 else _as_slices
        with torch.no_grad():
            target = normalize_tensor(self.network(see(x_BCXYZ, x_BCXYZ)).float())
        seen = normalize_tensor(self.network(see(r_BCXYZ, x_BCXYZ)).float())
        distance: Tensor = (seen - target).square().sum(1).mean()
        return distance


def _as_volumes(x_BCXYZ: Tensor, reference_BCXYZ: Tensor) -> Tensor:
    """With each reference's mean and deviation taken out, at MedicalNet's least size.

    A volume of one value is only shifted.
    """
    axes = (1, 2, 3, 4)
    mean, std = reference_BCXYZ.mean(axes, keepdim=True), reference_BCXYZ.std(axes, keepdim=True)
    return enlarged((x_BCXYZ - mean) / torch.where(std > 0, std, 1.0))


def _as_slices(x_BCXYZ: Tensor, _: Tensor) -> Tensor:
    """Slices (N, 3, ., .) across the shortest axis (the last of several), grey as ImageNet's pictures are."""
    shape = x_BCXYZ.shape[2:]
    across = max(range(3), key=lambda axis: (-shape[axis], axis)) + 2
    x_N1PQ = x_BCXYZ.movedim(across, 1).flatten(0, 1)
    mean, std = (x_N1PQ.new_tensor(each).view(1, 3, 1, 1) for each in (RGB_MEAN, RGB_STD))
    return (x_N1PQ - mean) / std


def _features(name: Network, path: Path) -> nn.Module:
    """The frozen network of a name up to its last feature maps, from a file.

    Raises:
        InputError: the file holds no such network.
    """
    expected = f"expected the weights of {name}; `voxgen fetch-weights {name}` gets them"
    network, found = load_resnet(path, expected)
    if found != SEEN[name]:
        shortcuts = "" if found.projected else " (padded shortcuts)"
        held = f"a ResNet-{found.depth} in {found.dimensions}D{shortcuts}"
        raise InputError(f"{path}: holds {held}; {expected}")
    for module in list(network.modules()):
        _fuse_norms(module)
    return nn.Sequential(*map(network.get_submodule, BLOCKS)).requires_grad_(False)


def _fuse_norms(module: nn.Module) -> None:
    """Take the batch normalisations of a block into the convolutions before them.

    So it is the same in training, and several processes share no statistics.
    """
    children: dict[str, Any] = dict(module.named_children())
    for name, norm in children.items():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            before = "0" if name == "1" else name.replace("bn", "conv")
            setattr(module, before, fuse_conv_bn_eval(children[before], norm))
            setattr(module, name, nn.Identity())
