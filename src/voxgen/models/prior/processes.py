"""How latents become noise and noise becomes latents: rectified flow and DDPM.

Shapes: B batch, C channels, X Y Z latent axes. Times run from 0 (latent) to 1 (noise); the networks see
them times 1000.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, final

import torch
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler
from torch import Tensor

from voxgen.errors import InputError

TRAIN_STEPS = 1000
Denoise = Callable[[Tensor, Tensor], Tensor]


class Process(ABC):
    """One way from latents to noise, and the sampler that goes back."""

    @abstractmethod
    def corrupt(self, z_BCXYZ: Tensor, noise_BCXYZ: Tensor, time_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The noisy latent, what the denoiser is to predict, and the step (B,) that it is told."""

    @abstractmethod
    def sample(self, denoise: Denoise, noise_BCXYZ: Tensor, steps: int) -> Tensor:
        """Latents from noise, by `steps` steps with `denoise(noisy, step)`."""


@final
class RectifiedFlow(Process):
    """Straight paths from latents to noise (Liu et al., arXiv 2209.03003), followed back by Heun's method."""

    def corrupt(self, z_BCXYZ: Tensor, noise_BCXYZ: Tensor, time_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        time = time_B.view(-1, 1, 1, 1, 1)
        return torch.lerp(z_BCXYZ, noise_BCXYZ, time), noise_BCXYZ - z_BCXYZ, time_B * TRAIN_STEPS

    def sample(self, denoise: Denoise, noise_BCXYZ: Tensor, steps: int) -> Tensor:
        def velocity(z: Tensor, time: float) -> Tensor:
            return denoise(z, torch.full((len(z),), time * TRAIN_STEPS, device=z.device))

        z_BCXYZ = noise_BCXYZ
        for step in range(steps, 0, -1):
            start, end = step / steps, (step - 1) / steps
            slope = velocity(z_BCXYZ, start)
            corrected = 0.5 * (slope + velocity(z_BCXYZ + (end - start) * slope, end))
            z_BCXYZ = z_BCXYZ + (end - start) * corrected
        return z_BCXYZ


@final
class DDPM(Process):
    """Denoising diffusion that predicts the noise (Ho et al., arXiv 2006.11239), sampled by DDIM.

    `clip_sample` is off: latents have unit variance and reach far beyond [-1, 1].
    """

    SCHEDULE: ClassVar[dict[str, Any]] = {
        "schedule": "scaled_linear_beta",
        "beta_start": 0.0015,
        "beta_end": 0.0195,
    }

    def __init__(self) -> None:
        self._scheduler = DDPMScheduler(TRAIN_STEPS, clip_sample=False, **self.SCHEDULE)

    def corrupt(self, z_BCXYZ: Tensor, noise_BCXYZ: Tensor, time_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        step_B = (time_B * TRAIN_STEPS).long().clamp(max=TRAIN_STEPS - 1)  # float32 rounds to time 1
        return self._scheduler.add_noise(z_BCXYZ, noise_BCXYZ, step_B), noise_BCXYZ, step_B

    def sample(self, denoise: Denoise, noise_BCXYZ: Tensor, steps: int) -> Tensor:
        """DDIM (Song et al., arXiv 2010.02502), eta 0.

        MONAI's scheduler steps back by 1000 // steps but spaces its times by 999 / (steps - 1); the offset
        below makes both agree, so that sampling starts at the last train step and ends on the clean latent.
        """
        if TRAIN_STEPS % steps:
            raise InputError(f"sampling.steps: {steps} does not divide {TRAIN_STEPS}, as DDIM needs; try 50")
        ddim = DDIMScheduler(
            TRAIN_STEPS, clip_sample=False, steps_offset=TRAIN_STEPS // steps - 1, **self.SCHEDULE
        )
        ddim.set_timesteps(steps)
        z_BCXYZ = noise_BCXYZ
        for step in ddim.timesteps.tolist():
            told = torch.full((len(z_BCXYZ),), step, device=z_BCXYZ.device)
            z_BCXYZ, _ = ddim.step(denoise(z_BCXYZ, told), step, z_BCXYZ)
        return z_BCXYZ


def build_process(name: str) -> Process:
    """The process that settings call `name`."""
    return {"flow": RectifiedFlow, "ddpm": DDPM}[name]()
