"""A trained autoencoder from its folder, and the codec that adds the latents' scale.

Shapes: B batch, C channels, X Y Z grid or latent axes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from voxgen.machine.fabric import launch
from voxgen.models.first_stage.kl import build_autoencoder
from voxgen.models.folder import WEIGHTS, read_model_config, weights_digest
from voxgen.models.layers import accelerate
from voxgen.models.whitening import LatentScale
from voxgen.settings.machine import Machine
from voxgen.volumes.grid import Grid
from voxgen.volumes.intensity import Intensity

Array = NDArray[np.float32]


class Autoencoder:
    """A trained autoencoder, built from its folder alone."""

    def __init__(
        self, config: dict[str, Any], digest: str, weights: dict[str, Tensor], fabric: Fabric
    ) -> None:
        self.grid = Grid.from_json(config["grid"])
        self.intensity = Intensity.from_json(config["intensity"])
        self.config = config
        self.digest = digest
        self.fabric = fabric
        self._network = build_autoencoder(config["network"])
        self._network.load_state_dict(weights)
        accelerate(self._network, fabric.device)
        self._network.to(fabric.device).eval().requires_grad_(False)

    def encode(self, x_BXYZ: Array) -> tuple[Array, Array]:
        """Posterior mean and std, each (B, C, x, y, z), of volumes in the network's range."""
        mean, std = self._run(self._network.encode, x_BXYZ[:, None])
        return mean, std

    def decode(self, z_BCXYZ: Array) -> Array:
        """Volumes (B, X, Y, Z) in the network's range from unscaled latents."""
        (volumes,) = self._run(self._network.decode, z_BCXYZ)
        return volumes[:, 0]

    def reconstruct(self, x_BXYZ: Array) -> Array:
        """Volumes decoded from the posterior mean; same shape and range as the input."""
        return self.decode(self.encode(x_BXYZ)[0])

    def features(self, x_BXYZ: Array) -> Array:
        """What the encoder sees in volumes in the network's range: (B, 2 H), of its last H hidden channels.

        The mean and the standard deviation of each channel over the latent grid: what is there, not where.
        """
        (features,) = self._run(self._hidden, x_BXYZ[:, None])
        return features

    def _hidden(self, x_BCXYZ: Tensor) -> Tensor:
        for block in self._network.encoder.blocks[:-1]:
            x_BCXYZ = block(x_BCXYZ)
        h_BHN = x_BCXYZ.flatten(2).float()
        return torch.cat([h_BHN.mean(2), h_BHN.std(2, correction=0)], 1)

    @torch.inference_mode()
    def _run(self, function: Callable[[Tensor], Any], batch: Array) -> tuple[Array, ...]:
        with self.fabric.autocast():
            outputs = function(torch.from_numpy(np.ascontiguousarray(batch)).to(self.fabric.device))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return tuple(output.float().cpu().numpy() for output in outputs)


class Codec:
    """Volumes to whitened latents and back: the one place that applies the scale."""

    def __init__(self, autoencoder: Autoencoder, scale: LatentScale) -> None:
        self.autoencoder = autoencoder
        self.scale = scale

    def encode(self, x_BXYZ: Array) -> Array:
        """Whitened latents (B, C, x, y, z): posterior means of volumes in the network's range."""
        whitened: Array = self.scale.whiten(self.autoencoder.encode(x_BXYZ)[0])
        return whitened

    def decode(self, z_BCXYZ: Array) -> Array:
        """Volumes (B, X, Y, Z) in the network's range from whitened latents."""
        return self.autoencoder.decode(self.scale.unwhiten(z_BCXYZ))


def load_autoencoder(folder: Path, machine: Machine) -> Autoencoder:
    """Build the autoencoder that a folder describes and load its weights.

    Raises:
        InputError: the folder holds no trained autoencoder.
    """
    config = read_model_config(folder, "autoencoder")
    return Autoencoder(config, weights_digest(folder), load_file(folder / WEIGHTS), launch(machine))
