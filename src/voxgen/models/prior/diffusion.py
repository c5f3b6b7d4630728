"""A trained denoiser from its folder, and the sampler that it drives."""

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
from voxgen.models.layers import accelerate
from voxgen.models.prior.denoiser import build_denoiser
from voxgen.models.prior.processes import build_process
from voxgen.randomness import normal
from voxgen.settings.machine import Machine


class Diffusion:
    """A trained denoiser with its process, built from its folder alone."""

    def __init__(self, config: dict[str, Any], weights: dict[str, Tensor], fabric: Fabric) -> None:
        self.config = config
        self.latent_shape: tuple[int, ...] = tuple(config["latent_shape"])
        self._fabric = fabric
        self._process = build_process(config["process"])
        self._network = build_denoiser(config["network"], self.latent_shape[0])
        self._network.load_state_dict(weights)
        accelerate(self._network, fabric.device)
        self._network.to(fabric.device).eval().requires_grad_(False)

    @torch.inference_mode()
    def sample(self, indices: range, steps: int, seed: int) -> NDArray[np.float32]:
        """Whitened latents (B, C, X, Y, Z), one an index; an index always starts from the same noise."""
        noise = np.stack([normal(self.latent_shape, seed, "sample", index) for index in indices])
        z_BCXYZ = self._process.sample(self._denoise, torch.from_numpy(noise).to(self._fabric.device), steps)
        return z_BCXYZ.cpu().numpy()

    def _denoise(self, z_BCXYZ: Tensor, step_B: Tensor) -> Tensor:
        with self._fabric.autocast():
            predicted: Tensor = self._network(z_BCXYZ, timesteps=step_B)
        return predicted.float()


def load_diffusion(folder: Path, machine: Machine) -> Diffusion:
    """Build the denoiser that a folder describes and load its weights.

    Raises:
        InputError: the folder holds no trained denoiser.
    """
    config = read_model_config(folder, "diffusion")
    return Diffusion(config, load_file(folder / WEIGHTS), launch(machine))
