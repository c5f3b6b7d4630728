"""How much of the latents is left at each step of DDPM: alpha bar, the square of their weight.

Shapes: K steps.
"""

from typing import Any

from monai.networks.schedulers import DDPMScheduler
from torch import Tensor

SCHEDULES: dict[str, dict[str, Any]] = {  # as MONAI calls them, with the numbers that their users take
    "scaled_linear": {"schedule": "scaled_linear_beta", "beta_start": 0.0015, "beta_end": 0.0195},
    "linear": {"schedule": "linear_beta", "beta_start": 1e-4, "beta_end": 0.02},  # arXiv 2006.11239
    "cosine": {"schedule": "cosine"},  # arXiv 2102.09672, eq. 17
}


def alpha_bar(schedule: str, steps: int, ends_at_noise: bool) -> Tensor:
    """Alpha bar (K,) of a schedule by its name; `ends_at_noise`: rescaled to zero terminal SNR."""
    alpha_bar_K: Tensor = DDPMScheduler(steps, **SCHEDULES[schedule]).alphas_cumprod
    return zero_terminal_snr(alpha_bar_K) if ends_at_noise else alpha_bar_K


def zero_terminal_snr(alpha_bar_K: Tensor) -> Tensor:
    """The same schedule with nothing of the latents left at its last step (Lin et al., arXiv 2305.08891).

    Their algorithm 1: with a = sqrt(alpha bar), a' = (a - a_K) a_1 / (a_1 - a_K).
    """
    signal_K = alpha_bar_K.sqrt()
    first, last = signal_K[0], signal_K[-1]
    return ((signal_K - last) * (first / (first - last))).square()
