"""What takes latents to noise: x(t) = signal(t) z + spread(t) n, from latents z at t = 0 to noise n at t = 1.

What goes back is in `samplers`. Shapes: B batch, C channels, x y z latent axes.
"""

from abc import ABC, abstractmethod
from typing import final

import numpy as np
import torch
from monai.networks.schedulers import DDPMScheduler
from torch import Tensor

TRAIN_STEPS = 1000


class Process(ABC):
    """A way from latents to noise, and what a denoiser is to predict on it.

    Attributes:
        ends_at_latents: whether a denoiser knows what to predict at t = 0.
    """

    ends_at_latents: bool

    @abstractmethod
    def corrupt(self, z_BCxyz: Tensor, noise_BCxyz: Tensor, time_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The noisy latents, what the denoiser is to predict, and the step (B,) that it is told."""

    @abstractmethod
    def told(self, time: float) -> float:
        """The step that a denoiser is told at a time."""

    @abstractmethod
    def on_grid(self, time: float) -> float:
        """The nearest time that a denoiser was trained at."""

    @abstractmethod
    def signal_and_spread(self, time: float) -> tuple[float, float]:
        """The weights of latents and of noise at a time."""

    @abstractmethod
    def separated(self, predicted: Tensor, x_BCxyz: Tensor, time: float) -> tuple[Tensor, Tensor]:
        """The latents and the noise that a prediction at a time means."""

    @abstractmethod
    def velocity(self, predicted: Tensor, x_BCxyz: Tensor, time: float) -> Tensor:
        """dx/dt = signal'(t) z + spread'(t) n: the flow whose marginals are those of the process."""


@final
class RectifiedFlow(Process):
    """Straight paths, x = (1 - t) z + t n; predicted is n - z (Liu et al., arXiv 2209.03003, eq. 1)."""

    ends_at_latents = True

    def corrupt(self, z_BCxyz: Tensor, noise_BCxyz: Tensor, time_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        time = time_B.view(-1, 1, 1, 1, 1)
        return torch.lerp(z_BCxyz, noise_BCxyz, time), noise_BCxyz - z_BCxyz, time_B * TRAIN_STEPS

    def told(self, time: float) -> float:
        return time * TRAIN_STEPS

    def on_grid(self, time: float) -> float:
        return time

    def signal_and_spread(self, time: float) -> tuple[float, float]:
        return 1 - time, time

    def separated(self, predicted: Tensor, x_BCxyz: Tensor, time: float) -> tuple[Tensor, Tensor]:
        return x_BCxyz - time * predicted, x_BCxyz + (1 - time) * predicted

    def velocity(self, predicted: Tensor, x_BCxyz: Tensor, time: float) -> Tensor:
        return predicted


@final
class DDPM(Process):
    """Denoising diffusion in 1000 steps; predicted is the noise (Ho et al., arXiv 2006.11239, eq. 4 and 12).

    signal^2 is their alpha bar, of which time (k + 1) / 1000 has the one of step k, and time 0 has 1.
    """

    ends_at_latents = False

    def __init__(self) -> None:
        schedule = {"schedule": "scaled_linear_beta", "beta_start": 0.0015, "beta_end": 0.0195}
        self._alpha_bar = DDPMScheduler(TRAIN_STEPS, **schedule).alphas_cumprod
        log_alpha_bar = np.log(np.append(1.0, self._alpha_bar.double().numpy()))
        self._log_alpha_bar = log_alpha_bar
        self._slope = np.gradient(log_alpha_bar) * TRAIN_STEPS

    def corrupt(self, z_BCxyz: Tensor, noise_BCxyz: Tensor, time_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        step_B = (time_B * TRAIN_STEPS).long().clamp(max=TRAIN_STEPS - 1)  # float32 rounds to time 1
        alpha_bar = self._alpha_bar.to(z_BCxyz.device)[step_B].view(-1, 1, 1, 1, 1)
        noisy = alpha_bar**0.5 * z_BCxyz + (1 - alpha_bar) ** 0.5 * noise_BCxyz
        return noisy, noise_BCxyz, step_B

    def told(self, time: float) -> float:
        return round(time * TRAIN_STEPS) - 1

    def on_grid(self, time: float) -> float:
        return round(time * TRAIN_STEPS) / TRAIN_STEPS

    def signal_and_spread(self, time: float) -> tuple[float, float]:
        alpha_bar = np.exp(self._at(self._log_alpha_bar, time))
        return float(alpha_bar**0.5), float((1 - alpha_bar) ** 0.5)

    def separated(self, predicted: Tensor, x_BCxyz: Tensor, time: float) -> tuple[Tensor, Tensor]:
        signal, spread = self.signal_and_spread(time)
        return (x_BCxyz - spread * predicted) / signal, predicted

    def velocity(self, predicted: Tensor, x_BCxyz: Tensor, time: float) -> Tensor:
        """With a the signal and s the spread: (log a)' (x - n / s), since a a' = -s s' (a^2 + s^2 = 1)."""
        _, spread = self.signal_and_spread(time)
        return 0.5 * self._at(self._slope, time) * (x_BCxyz - predicted / spread)

    def _at(self, values: np.ndarray, time: float) -> float:
        return float(np.interp(time * TRAIN_STEPS, np.arange(TRAIN_STEPS + 1), values))


PROCESSES: dict[str, type[Process]] = {"flow": RectifiedFlow, "ddpm": DDPM}


def build_process(name: str) -> Process:
    """The process that settings call `name`."""
    return PROCESSES[name]()
