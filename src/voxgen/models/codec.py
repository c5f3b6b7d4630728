"""A trained first stage from its folder, and the codec that adds the whitening of its latents.

Shapes: B batch, C channels, X Y Z grid, x y z latent axes.
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
from voxgen.models.first_stage.likelihoods import drawn_counts
from voxgen.models.first_stage.tiled import Tiled
from voxgen.models.folder import WEIGHTS, read_model_config, weights_digest
from voxgen.models.kinds import build_first_stage
from voxgen.models.whitening import Whitening
from voxgen.settings.machine import Inference
from voxgen.volumes.grid import Grid
from voxgen.volumes.intensity import Intensity

Array = NDArray[np.float32]


class Autoencoder:
    """A trained first stage of any kind on arrays, built from its folder alone.

    One that was trained on patches sees volumes by tiles of their shape.
    """

    def __init__(
        self, config: dict[str, Any], digest: str, weights: dict[str, Tensor], fabric: Fabric
    ) -> None:
        self.grid = Grid.from_json(config["grid"])
        self.intensity = Intensity.from_json(config["intensity"])
        self.config = config
        self.digest = digest
        self.fabric = fabric
        self._stage = build_first_stage(config["settings"], self.grid.shape).under(self.intensity)
        self._stage.take_weights(weights, fabric.device)
        patch = config["settings"]["patch"]
        self._seen = self._stage if patch is None else Tiled(self._stage, patch)

    def encode(self, x_BXYZ: Array) -> tuple[Array, Array | None]:
        """Latents (B, C, x, y, z) of volumes in the network's range: mean, and spread where there is one."""
        mean, *spread = self._run(self._seen.encode, x_BXYZ[:, None])
        return mean, spread[0] if spread else None

    def decode(self, z_BCXYZ: Array) -> Array:
        """Volumes (B, X, Y, Z) in the network's range from latents that are not whitened."""
        (volumes,) = self._run(self._seen.decode, z_BCXYZ)
        return volumes[:, 0]

    def reconstruct(self, x_BXYZ: Array) -> Array:
        """Volumes decoded from their latents' mean; same shape and range as the input."""
        return self.decode(self.encode(x_BXYZ)[0])

    @property
    def draws_counts(self) -> bool:
        """Whether volumes are counts that are drawn, and what is decoded is their rate."""
        return self._stage.draws_counts

    def drawn(self, decoded_XYZ: Array, rng: np.random.Generator) -> Array:
        """A volume as it is stored, from one that was decoded and taken back: often the same."""
        return drawn_counts(decoded_XYZ, rng) if self.draws_counts else decoded_XYZ

    def features(self, x_BXYZ: Array) -> Array:
        """What the encoder sees in volumes in the network's range: (B, features)."""
        (features,) = self._run(self._seen.features, x_BXYZ[:, None])
        return features

    @torch.inference_mode()
    def _run(self, function: Callable[[Tensor], Any], batch: Array) -> tuple[Array, ...]:
        with self.fabric.autocast():
            outputs = function(torch.from_numpy(np.ascontiguousarray(batch)).to(self.fabric.device))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return tuple(output.float().cpu().numpy() for output in outputs if output is not None)


class Codec:
    """Volumes to whitened latents and back: the one place that applies the whitening."""

    def __init__(self, autoencoder: Autoencoder, whitening: Whitening) -> None:
        self.autoencoder = autoencoder
        self.whitening = whitening

    def encode(self, x_BXYZ: Array) -> Array:
        """Whitened latents (B, C, x, y, z): means of volumes in the network's range."""
        whitened: Array = self.whitening.whiten(self.autoencoder.encode(x_BXYZ)[0])
        return whitened

    def decode(self, z_BCXYZ: Array) -> Array:
        """Volumes (B, X, Y, Z) in the network's range from whitened latents."""
        return self.autoencoder.decode(self.whitening.unwhiten(z_BCXYZ))

    def decode_stored(self, z_BCXYZ: Array) -> Array:
        """Volumes (B, X, Y, Z) in stored units from whitened latents; where counts are drawn, their rates."""
        return self.autoencoder.intensity.from_network(self.decode(z_BCXYZ))


def load_autoencoder(folder: Path, machine: Inference) -> Autoencoder:
    """Build the first stage that a folder describes and load its weights.

    Raises:
        InputError: the folder holds no trained first stage.
    """
    config = read_model_config(folder, "autoencoder")
    return Autoencoder(config, weights_digest(folder), load_file(folder / WEIGHTS), launch(machine))
