"""What takes noise to latents along a process, at any falling times.

Each asks `fresh` for the noise that it adds in a step, by the step's number; most never do. Which makes sense
along which process, and in how many steps, is in `voxgen.least_steps`.

Shapes: B batch, C channels, x y z latent axes.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from voxgen.models.prior.processes import TRAIN_STEPS, Process, too_many

Denoise = Callable[[Tensor, Tensor], Tensor]
Fresh = Callable[[int], Tensor]
Sampler = Callable[[Process, Denoise, Tensor, Sequence[float], Fresh], Tensor]

ADAMS_BASHFORTH = {  # by how many slopes there are, the newest first
    1: (1.0,),
    2: (3 / 2, -1 / 2),
    3: (23 / 12, -16 / 12, 5 / 12),
    4: (55 / 24, -59 / 24, 37 / 24, -9 / 24),
}


def even_times(process: Process, steps: int, start: float = 1.0) -> list[float]:
    """Times from `start` to 0 in even steps, as near as the process was trained at.

    Raises:
        InputError: these are more steps than the process has.
    """
    times = [process.on_grid(start * step / steps) for step in range(steps, -1, -1)]
    if len(set(times)) <= steps:
        raise too_many(steps, round(start * TRAIN_STEPS))
    return times


def times_of(sampler: str, process: Process, steps: int) -> list[float]:
    """Times from 1 to 0 that a sampler is to take: even, or at even levels of noise.

    Raises:
        InputError: these are more steps than the process has.
    """
    return process.even_levels(steps) if sampler in BY_LEVELS else even_times(process, steps)


def euler(
    process: Process, denoise: Denoise, x_BCxyz: Tensor, times: Sequence[float], fresh: Fresh
) -> Tensor:
    """Euler's method on dx/dt = velocity, of order 1. One evaluation per step."""
    for start, end in pairwise(times):
        predicted = _predicted(process, denoise, x_BCxyz, start)
        x_BCxyz = x_BCxyz + (end - start) * process.velocity(predicted, x_BCxyz, start)
    return x_BCxyz


def heun(process: Process, denoise: Denoise, x_BCxyz: Tensor, times: Sequence[float], fresh: Fresh) -> Tensor:
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


def ddim(
    process: Process,
    denoise: Denoise,
    x_BCxyz: Tensor,
    times: Sequence[float],
    fresh: Fresh,
    eta: float = 0.0,
) -> Tensor:
    """DDIM (Song et al., arXiv 2010.02502, eq. 12), of order 1; `eta` of the posterior's noise is fresh.

    On rectified flow and without fresh noise it is Euler's method. One evaluation per step.
    """
    for number, (start, end) in enumerate(pairwise(times)):
        latents, noise = _separated(process, denoise, x_BCxyz, start)
        signal, spread = process.signal_and_spread(end)
        renewed = eta * posterior_spread(process, start, end)
        x_BCxyz = signal * latents + (spread**2 - renewed**2) ** 0.5 * noise
        if renewed:
            x_BCxyz = x_BCxyz + renewed * fresh(number)
    return x_BCxyz


def ddpm(process: Process, denoise: Denoise, x_BCxyz: Tensor, times: Sequence[float], fresh: Fresh) -> Tensor:
    """Ancestral sampling (Ho et al., arXiv 2006.11239, algorithm 2) with the posterior's variance (eq. 7).

    Between any two times, as DDIM with eta 1 (Song et al., arXiv 2010.02502, section 4.1): with fewer steps
    than the process has it is re-spaced.
    """
    return ddim(process, denoise, x_BCxyz, times, fresh, eta=1.0)


def posterior_spread(process: Process, start: float, end: float) -> float:
    """The standard deviation of x at `end` where x at `start` and the latents are known.

    With a the signal and s the spread it is s_end sqrt(1 - (a_start s_end / (a_end s_start))^2), which is
    eq. 7 of arXiv 2006.11239 where a^2 + s^2 = 1.
    """
    (signal, spread), (signal_end, spread_end) = map(process.signal_and_spread, (start, end))
    return spread_end * math.sqrt(1 - (signal * spread_end / (signal_end * spread)) ** 2)


def pndm(process: Process, denoise: Denoise, x_BCxyz: Tensor, times: Sequence[float], fresh: Fresh) -> Tensor:
    """PNDM (Liu et al., arXiv 2202.09778): DDIM's step, with the noise of a linear multistep method.

    With n the newest noise it is (55 n - 59 n_1 + 37 n_2 - 9 n_3) / 24, of fewer where fewer lie behind; the
    first step takes the mean of the noise at both its ends. One evaluation per step, one more in the first.
    """
    past: list[Tensor] = []
    for start, end in pairwise(times):
        noise = _separated(process, denoise, x_BCxyz, start)[1]
        past = [noise, *past[:3]]
        if len(past) == 1 and end > 0:
            reached = _transferred(process, x_BCxyz, noise, start, end)
            combined = 0.5 * (noise + _separated(process, denoise, reached, end)[1])
        else:
            weights = ADAMS_BASHFORTH[len(past)]
            combined = torch.stack([w * each for w, each in zip(weights, past, strict=True)]).sum(0)
        x_BCxyz = _transferred(process, x_BCxyz, combined, start, end)
    return x_BCxyz


def dpm_solver_2m(
    process: Process, denoise: Denoise, x_BCxyz: Tensor, times: Sequence[float], fresh: Fresh
) -> Tensor:
    """DPM-Solver++(2M) (Lu et al., arXiv 2211.01095, algorithm 2), of order 2. One evaluation per step.

    With a the signal, s the spread, h the difference of log(a / s) over a step and r the one before divided
    by it: x_end = (s_end / s) x + (a_end - a s_end / s) ((1 + 1 / 2r) z - z_before / 2r). Where h is
    infinite, at pure noise and in the last step, z alone.
    """
    before: Tensor | None = None
    width_before = math.inf
    for start, end in pairwise(times):
        latents = _separated(process, denoise, x_BCxyz, start)[0]
        (signal, spread), (signal_end, spread_end) = map(process.signal_and_spread, (start, end))
        left = signal * spread_end / (signal_end * spread)
        width = -math.log(left) if left else math.inf
        extrapolated = latents
        if before is not None and width < math.inf:
            extrapolated = latents + 0.5 * width / width_before * (latents - before)
        x_BCxyz = spread_end / spread * x_BCxyz + (signal_end - signal * spread_end / spread) * extrapolated
        before, width_before = latents, width
    return x_BCxyz


def sde(process: Process, denoise: Denoise, x_BCxyz: Tensor, times: Sequence[float], fresh: Fresh) -> Tensor:
    """Euler and Maruyama on dx = (velocity - w score / 2) dt + sqrt(w) dW, of the same marginals for any w.

    Here w is the spread, and the score is -n / spread (Ma et al., arXiv 2401.08740, section 2). One
    evaluation per step; the last one adds no noise, which nothing would take away.
    """
    for number, (start, end) in enumerate(pairwise(times)):
        predicted = _predicted(process, denoise, x_BCxyz, start)
        drift, step = process.velocity(predicted, x_BCxyz, start), end - start
        if end > 0:
            _, spread = process.signal_and_spread(start)
            drift = drift + 0.5 * process.separated(predicted, x_BCxyz, start)[1]
            x_BCxyz = x_BCxyz + (-step * spread) ** 0.5 * fresh(number)
        x_BCxyz = x_BCxyz + step * drift
    return x_BCxyz


SAMPLERS: dict[str, Sampler] = {
    "euler": euler,
    "heun": heun,
    "ddim": ddim,
    "ddpm": ddpm,
    "pndm": pndm,
    "dpm_solver_2m": dpm_solver_2m,
    "sde": sde,
}
MULTISTEP = "pndm", "dpm_solver_2m"  # each step goes by those before it
BY_LEVELS = "ddim", "ddpm", "pndm", "dpm_solver_2m"  # each step is from a level of noise to another


def _transferred(process: Process, x_BCxyz: Tensor, noise: Tensor, start: float, end: float) -> Tensor:
    """Latents at `end` that share latents and noise with those at `start` (the transfer part of PNDM)."""
    (signal, spread), (signal_end, spread_end) = map(process.signal_and_spread, (start, end))
    return signal_end * ((x_BCxyz - spread * noise) / signal) + spread_end * noise


def _separated(process: Process, denoise: Denoise, x_BCxyz: Tensor, time: float) -> tuple[Tensor, Tensor]:
    return process.separated(_predicted(process, denoise, x_BCxyz, time), x_BCxyz, time)


def _predicted(process: Process, denoise: Denoise, x_BCxyz: Tensor, time: float) -> Tensor:
    return denoise(x_BCxyz, torch.full((len(x_BCxyz),), process.told(time), device=x_BCxyz.device))
