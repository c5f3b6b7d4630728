"""The prior of kind diffusion: a denoiser, the process that it undoes, and a sampler.

Shapes: B batch, C channels, x y z latent axes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from voxgen.models.interfaces import Prior
from voxgen.models.levels import levels_of
from voxgen.models.objective import Address, Batch, Draws, Objective
from voxgen.models.prior.processes import build_process
from voxgen.models.prior.samplers import SAMPLERS, USUAL, even_times
from voxgen.models.prior.unet import UNet
from voxgen.randomness import normal

VALIDATION_TIMES = 8


@final
class Diffusion(Prior):
    """Noise is drawn and taken to latents along a process, by a network like MONAI's DiffusionModelUNet."""

    def __init__(self, settings: Mapping[str, Any], latent_shape: tuple[int, ...]) -> None:
        self.latent_shape = latent_shape
        network = settings["network"]
        self.network = UNet(
            levels_of(network, latent_shape[1:]),
            latent_shape[0],
            network["head_channels"],
            network["norm_groups"],
        )
        self.process = build_process(settings["process"])
        self._sampler = SAMPLERS[USUAL[settings["process"]]]

    def objective(self) -> Objective:
        return DenoiserObjective(self)

    def sample(
        self, indices: Sequence[int], seed: int, sampling: Mapping[str, Any], purpose: str = "sample"
    ) -> Tensor:
        """An index starts from the same noise, however many are drawn with it."""
        noise = np.stack([normal(self.latent_shape, seed, purpose, index) for index in indices])
        start = torch.from_numpy(noise).to(next(self.network.parameters()).device)
        return self._sampler(self.process, self._denoise, start, even_times(self.process, sampling["steps"]))

    def _denoise(self, x_BCxyz: Tensor, step_B: Tensor) -> Tensor:
        predicted: Tensor = self.network(x_BCxyz, timesteps=step_B)
        return predicted.float()


class DenoiserObjective(Objective):
    """Mean squared error of what the process asks the denoiser to predict."""

    def __init__(self, prior: Diffusion) -> None:
        super().__init__()
        self.model = prior.network
        self.process = prior.process

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        corrupted = self.process.corrupt(batch["latent"], batch["noise"], batch["time"])
        noisy_BCxyz, target_BCxyz, step_B = corrupted
        predicted_BCxyz = self.model(noisy_BCxyz, timesteps=step_B)
        return {"loss": (predicted_BCxyz.float() - target_BCxyz).square().mean()}

    def draws(self, shape: tuple[int, ...], address: Address) -> Draws:
        """Noise and a time in [0, 1) for a latent of `shape`; in validation times lie on a fixed grid."""
        draws = address.generator("latent")
        noise = draws.standard_normal(shape, np.float32)
        if address.purpose == "train":
            return {"noise": noise, "time": np.float32(draws.random())}
        return {
            "noise": noise,
            "time": np.float32((address.item % VALIDATION_TIMES + 0.5) / VALIDATION_TIMES),
        }
