"""What takes latents to noise: x(t) = signal(t) z + spread(t) n, from latents z at t = 0 to noise n at t = 1.

What goes back is in `samplers`. Shapes: B batch, C channels, x y z latent axes, K steps.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from voxgen.errors import InputError
from voxgen.models.prior.schedules import alpha_bar

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

    def weight(self, step_B: Tensor) -> Tensor | None:
        """The weight (B,) of the squared error at the steps that a denoiser was told; None: 1."""
        return None

    @abstractmethod
    def told(self, time: float) -> float:
        """The step that a denoiser is told at a time."""

    @abstractmethod
    def on_grid(self, time: float) -> float:
        """The nearest time that a denoiser was trained at."""

    @abstractmethod
    def even_levels(self, steps: int, start: float = 1.0) -> list[float]:
        """Times from `start` to 0 between which the level of noise falls about evenly."""

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

    def even_levels(self, steps: int, start: float = 1.0) -> list[float]:
        """The spread is the time."""
        return [start * step / steps for step in range(steps, -1, -1)]

    def signal_and_spread(self, time: float) -> tuple[float, float]:
        return 1 - time, time

    def separated(self, predicted: Tensor, x_BCxyz: Tensor, time: float) -> tuple[Tensor, Tensor]:
        return x_BCxyz - time * predicted, x_BCxyz + (1 - time) * predicted

    def velocity(self, predicted: Tensor, x_BCxyz: Tensor, time: float) -> Tensor:
        return predicted


class DDPM(Process):
    """Denoising diffusion in 1000 steps (Ho et al., arXiv 2006.11239, eq. 4); leaves say what is predicted.

    signal^2 is their alpha bar, of which time (k + 1) / 1000 has the one of step k, and time 0 has 1.
    With `min_snr` each error is as one of the latents, weighted by its SNR up to there (Hang et al.,
    arXiv 2303.09556); SNR = signal^2 / spread^2.
    """

    ends_at_latents = False

    def __init__(self, alpha_bar_K: Tensor, min_snr: float | None = None) -> None:
        self._alpha_bar = alpha_bar_K
        self._min_snr = min_snr
        with np.errstate(divide="ignore"):  # zero terminal SNR
            self._log_alpha_bar = np.log(np.append(1.0, alpha_bar_K.double().numpy()))
        self._log_slope = np.gradient(self._log_alpha_bar) * TRAIN_STEPS
        self._signal_slope = np.gradient(np.exp(0.5 * self._log_alpha_bar), edge_order=2) * TRAIN_STEPS

    def corrupt(self, z_BCxyz: Tensor, noise_BCxyz: Tensor, time_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        step_B = (time_B * TRAIN_STEPS).long().clamp(max=TRAIN_STEPS - 1)  # float32 rounds to time 1
        alpha_bar = self._alpha_bar.to(z_BCxyz.device)[step_B].view(-1, 1, 1, 1, 1)
        signal, spread = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        noisy = signal * z_BCxyz + spread * noise_BCxyz
        return noisy, self.target(z_BCxyz, noise_BCxyz, signal, spread), step_B

    def weight(self, step_B: Tensor) -> Tensor | None:
        if self._min_snr is None:
            return None
        alpha_bar_B = self._alpha_bar.to(step_B.device)[step_B]
        snr_B = alpha_bar_B / (1 - alpha_bar_B)
        return snr_B.clamp(max=self._min_snr) / self.error_per_latents(snr_B)

    @staticmethod
    @abstractmethod
    def target(z: Tensor, n: Tensor, signal: Tensor, spread: Tensor) -> Tensor:
        """What the denoiser is to predict."""

    @staticmethod
    @abstractmethod
    def error_per_latents(snr_B: Tensor) -> Tensor:
        """The squared error of the prediction per squared error of the latents that it means."""

    def told(self, time: float) -> float:
        return round(time * TRAIN_STEPS) - 1

    def on_grid(self, time: float) -> float:
        return round(time * TRAIN_STEPS) / TRAIN_STEPS

    def even_levels(self, steps: int, start: float = 1.0) -> list[float]:
        """Even in the angle whose cosine is the signal, as near as there are steps between them.

        DDIM turns by the angles between its times (Salimans and Ho, arXiv 2202.00512, appendix D), so that
        they alone decide on its error, and no schedule does.

        Raises:
            InputError: these are more steps than the process has.
        """
        last = round(start * TRAIN_STEPS)
        if steps > last:
            raise too_many(steps, last)
        angle = np.arccos(np.exp(0.5 * self._log_alpha_bar[: last + 1]))
        order = np.arange(steps + 1)
        nearest = np.rint(np.interp(angle[-1] * order / steps, angle, np.arange(last + 1)))
        apart = np.maximum.accumulate(nearest - order) + order
        grid = np.minimum(apart, last - steps + order)
        return [float(step) for step in grid[::-1] / TRAIN_STEPS]

    def signal_and_spread(self, time: float) -> tuple[float, float]:
        alpha_bar = np.exp(self._at(self._log_alpha_bar, time))
        return float(alpha_bar**0.5), float((1 - alpha_bar) ** 0.5)

    def velocity(self, predicted: Tensor, x_BCxyz: Tensor, time: float) -> Tensor:
        """With a the signal and s the spread: a' (z - n a / s), since a a' = -s s' (a^2 + s^2 = 1)."""
        latents, noise = self.separated(predicted, x_BCxyz, time)
        signal, spread = self.signal_and_spread(time)
        return self._at(self._signal_slope, time) * (latents - signal / spread * noise)

    def _at(self, values_K: np.ndarray, time: float) -> float:
        return float(np.interp(time * TRAIN_STEPS, np.arange(TRAIN_STEPS + 1), values_K))


@final
class DDPMOfNoise(DDPM):
    """The denoiser predicts the noise n, which Ho et al. call epsilon (eq. 12)."""

    @staticmethod
    def target(z: Tensor, n: Tensor, signal: Tensor, spread: Tensor) -> Tensor:
        return n

    @staticmethod
    def error_per_latents(snr_B: Tensor) -> Tensor:
        return snr_B

    def separated(self, predicted: Tensor, x_BCxyz: Tensor, time: float) -> tuple[Tensor, Tensor]:
        signal, spread = self.signal_and_spread(time)
        return (x_BCxyz - spread * predicted) / signal, predicted

    def velocity(self, predicted: Tensor, x_BCxyz: Tensor, time: float) -> Tensor:
        """The same, (log a)' (x - n / s), without the latents, of which little is left at late times."""
        _, spread = self.signal_and_spread(time)
        return 0.5 * self._at(self._log_slope, time) * (x_BCxyz - predicted / spread)


@final
class DDPMOfVelocity(DDPM):
    """The denoiser predicts v = a n - s z (Salimans and Ho, arXiv 2202.00512, section 4)."""

    @staticmethod
    def target(z: Tensor, n: Tensor, signal: Tensor, spread: Tensor) -> Tensor:
        return signal * n - spread * z

    @staticmethod
    def error_per_latents(snr_B: Tensor) -> Tensor:
        return snr_B + 1

    def separated(self, predicted: Tensor, x_BCxyz: Tensor, time: float) -> tuple[Tensor, Tensor]:
        signal, spread = self.signal_and_spread(time)
        return signal * x_BCxyz - spread * predicted, spread * x_BCxyz + signal * predicted


@final
class DDPMOfLatents(DDPM):
    """The denoiser predicts the latents z, which Ho et al. call x_0."""

    @staticmethod
    def target(z: Tensor, n: Tensor, signal: Tensor, spread: Tensor) -> Tensor:
        return z

    @staticmethod
    def error_per_latents(snr_B: Tensor) -> Tensor:
        return torch.ones_like(snr_B)

    def separated(self, predicted: Tensor, x_BCxyz: Tensor, time: float) -> tuple[Tensor, Tensor]:
        signal, spread = self.signal_and_spread(time)
        return predicted, (x_BCxyz - signal * predicted) / spread


def too_many(steps: int, most: int) -> InputError:
    """What is wrong with more steps than a process has."""
    return InputError(f"sampling.steps: {steps}, but the process has {most} steps; give fewer")


PREDICTIONS: dict[str, type[DDPM]] = {
    "epsilon": DDPMOfNoise,
    "v": DDPMOfVelocity,
    "x0": DDPMOfLatents,
}


def build_process(settings: Mapping[str, Any]) -> Process:
    """The process of a section `prior.diffusion` (see settings), plain; keys that are null may be missing."""
    if settings["process"] == "flow":
        return RectifiedFlow()
    schedule = settings.get("schedule") or "scaled_linear"
    alpha_bar_K = alpha_bar(schedule, TRAIN_STEPS, bool(settings.get("zero_snr")))
    return PREDICTIONS[settings.get("prediction") or "epsilon"](alpha_bar_K, settings.get("min_snr"))
