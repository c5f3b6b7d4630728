"""The exact denoiser of latents N(0, width^2), and what samplers make of it.

That denoiser is linear, so the variance of what is drawn is the sum of the squared gains of the start and of
the noise of each step; a batch of as many items, each with one of them alone, tells it without chance.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxgen.models.prior.processes import TRAIN_STEPS, Process, build_process
from voxgen.models.prior.samplers import SAMPLERS, Denoise, times_of

Settings = dict[str, Any]
WIDTHS = (0.5, 1.0, 2.0)  # 1 alone would hide the error of velocities: along DDPM it is 0
FLOW: Settings = {"process": "flow"}
DDPM: Settings = {"process": "ddpm"}
WAYS: dict[str, list[Settings]] = {  # those that have one column of the table of least steps
    "flow": [FLOW],
    **{
        schedule: [
            {**DDPM, "schedule": schedule, "prediction": "v", "zero_snr": zero} for zero in (None, True)
        ]
        for schedule in ("scaled_linear", "linear", "cosine")
    },
    "cosine, epsilon": [{**DDPM, "schedule": "cosine"}],
}


def told_at(process: Process, step: float) -> float:
    """The time at which a denoiser is told a step."""
    return step / TRAIN_STEPS if process.ends_at_latents else (step + 1) / TRAIN_STEPS


def exact(settings: Settings, width: Any) -> Denoise:
    """What the best denoiser of a process predicts of latents N(0, width^2)."""
    process = build_process(settings)

    def predict(x: Tensor, step_B: Tensor) -> Tensor:
        signal, spread = process.signal_and_spread(told_at(process, step_B[0].item()))
        variance = signal**2 * width**2 + spread**2
        z, n = signal * width**2 * x / variance, spread * x / variance
        if settings["process"] == "flow":
            return n - z
        predicted = {"epsilon": n, "v": signal * n - spread * z, "x0": z}
        return predicted[settings.get("prediction") or "epsilon"]

    return predict


def never(step: int) -> Tensor:
    """The noise of samplers that add none."""
    raise AssertionError(f"noise was asked for in step {step}")


def kept(
    settings: Settings,
    sampler: str,
    steps: int,
    widths: tuple[float, ...] = WIDTHS,
    **more: float,
) -> NDArray[np.float64]:
    """The widths of what is drawn of N(0, width^2), each relative to it."""
    process = build_process(settings)
    width = torch.tensor(widths, dtype=torch.float64).view(1, -1, 1, 1, 1)
    sources = steps + 1 if more or sampler in ("ddpm", "sde") else 1
    start = torch.zeros(sources, len(widths), 1, 1, 1, dtype=torch.float64)
    start[0] = 1

    def fresh(step: int) -> Tensor:
        alone = torch.zeros_like(start)
        alone[step + 1] = 1
        return alone

    times = times_of(sampler, process, steps)
    gains = SAMPLERS[sampler](process, exact(settings, width), start, times, fresh, **more)
    found: NDArray[np.float64] = (gains.square().sum(0, keepdim=True).sqrt() / width).flatten().numpy()
    return found


def off(settings: Settings, sampler: str, steps: int, **more: float) -> float:
    """The largest relative error of the widths that are drawn."""
    return float(np.abs(kept(settings, sampler, steps, **more) - 1).max())
