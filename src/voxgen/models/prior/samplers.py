"""What takes noise to latents: any of these goes back along any process, at any falling times.

Shapes: B batch, C channels, x y z latent axes.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from voxgen.errors import InputError
from voxgen.models.prior.processes import TRAIN_STEPS, Process

Denoise = Callable[[Tensor, Tensor], Tensor]
Sampler = Callable[[Process, Denoise, Tensor, Sequence[float]], Tensor]


def even_times(process: Process, steps: int, start: float = 1.0) -> list[float]:
    """Times from `start` to 0 in even steps, as near as the process was trained at.

    Raises:
        InputError: these are more steps than the process has.
    """
    times = [process.on_grid(start * step / steps) for step in range(steps, -1, -1)]
    if len(set(times)) <= steps:
        most = round(start * TRAIN_STEPS)
        raise InputError(f"sampling.steps: {steps}, but the process has {most} steps; give fewer")
    return times


def heun(process: Process, denoise: Denoise, x_BCxyz: Tensor, times: Sequence[float]) -> Tensor:
    """Heun's method on dx/dt = velocity (Karras et al., arXiv 2206.00364, algorithm 1), of order 2.

    Two evaluations per step, but one in the last where the denoiser knows nothing of t = 0.
    """
    for start, end in pairwise(times):
        slope = process.velocity(_predicted(process, denoise, x_BCxyz, start), x_BCxyz, start)
        reached = x_BCxyz + (end - start) * slope
        if end > 0 or process.ends_at_latents:
            following = process.velocity(_predicted(process, denoise, reached, end), reached, end)
            reached = x_BCxyz + (end - start) * (0.5 * (slope + following))
        x_BCxyz = reached
    return x_BCxyz


def ddim(process: Process, denoise: Denoise, x_BCxyz: Tensor, times: Sequence[float]) -> Tensor:
    """DDIM (Song et al., arXiv 2010.02502, eq. 12) without noise, of order 1.

    On rectified flow it is Euler's method. One evaluation per step.
    """
    for start, end in pairwise(times):
        predicted = _predicted(process, denoise, x_BCxyz, start)
        latents, noise = process.separated(predicted, x_BCxyz, start)
        signal, spread = process.signal_and_spread(end)
        x_BCxyz = signal * latents + spread * noise
    return x_BCxyz


SAMPLERS: dict[str, Sampler] = {"heun": heun, "ddim": ddim}
# After 10 steps of DDIM on DDPM, N(0, s^2) is 31 to 13 % too narrow for s = 0.5 to 2, after Heun's 0.7 % off.
USUAL = {"flow": "heun", "ddpm": "heun"}


def _predicted(process: Process, denoise: Denoise, x_BCxyz: Tensor, time: float) -> Tensor:
    return denoise(x_BCxyz, torch.full((len(x_BCxyz),), process.told(time), device=x_BCxyz.device))
