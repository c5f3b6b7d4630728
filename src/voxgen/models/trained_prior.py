"""A trained prior from its folder.

Shapes: B batch, C channels, x y z latent axes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from voxgen.machine.fabric import launch
from voxgen.models.folder import WEIGHTS, read_model_config
from voxgen.models.kinds import build_prior
from voxgen.settings.machine import Machine


class TrainedPrior:
    """A trained prior of any kind on arrays, built from its folder alone."""

    def __init__(self, config: dict[str, Any], weights: dict[str, Tensor], fabric: Fabric) -> None:
        self.config = config
        self._fabric = fabric
        self._prior = build_prior(config["settings"], tuple(config["latent_shape"]))
        self._prior.take_weights(weights, fabric.device)

    @torch.inference_mode()
    def sample(self, indices: Sequence[int], seed: int, sampling: Mapping[str, Any]) -> NDArray[np.float32]:
        """Whitened latents (B, C, x, y, z), one per index; an index and a seed always give the same one."""
        with self._fabric.autocast():
            return self._prior.sample(indices, seed, sampling).cpu().numpy()


def load_prior(folder: Path, machine: Machine) -> TrainedPrior:
    """Build the prior that a folder describes and load its weights.

    Raises:
        InputError: the folder holds no trained prior.
    """
    config = read_model_config(folder, "prior")
    return TrainedPrior(config, load_file(folder / WEIGHTS), launch(machine))
