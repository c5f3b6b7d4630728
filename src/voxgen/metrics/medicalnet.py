"""Features of volumes by a 3D ResNet of MedicalNet (Chen et al. 2019, arXiv 1904.00625).

Shapes: B volumes; X, Y, Z voxels; C channels; F features.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxgen.errors import InputError
from voxgen.models.resnets import EXPECTED, enlarged, load_resnet


class MedicalNet:
    """A MedicalNet 3D ResNet without its head, in fp32 on one device."""

    def __init__(self, network: nn.Module, device: str) -> None:
        self._device = device
        self._network = network.to(device)

    @torch.inference_mode()
    def features(
        self, x_BXYZ: NDArray[np.floating], foreground_BXYZ: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """The last layer's mean over space, (B, F): 512 features, 2048 of ResNet-50.

        Volumes are `standardised` and `enlarged`.
        """
        x_BXYZ = standardised(x_BXYZ, foreground_BXYZ)
        x_BCXYZ = torch.from_numpy(x_BXYZ)[:, None].to(self._device)
        return np.asarray(self._network(enlarged(x_BCXYZ)).double().cpu().numpy())


def load_medicalnet(path: Path, device: str = "cpu") -> MedicalNet:
    """A network from a checkpoint of MedicalNet.

    Raises:
        InputError: the file is missing, is no checkpoint, or holds another network.
    """
    network, found = load_resnet(path)
    if found.dimensions != 3:
        raise InputError(f"{path}: a network of {found.dimensions} dimensions; {EXPECTED}")
    return MedicalNet(network, device)


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
