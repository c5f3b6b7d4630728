"""The learning rate as a function of the step alone."""

import math
from collections.abc import Callable
from typing import Literal

FALL: dict[str, Callable[[float], float]] = {
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
    "linear": lambda progress: 1 - progress,
    "constant": lambda progress: 1.0,
}


def learning_rate(
    step: int,
    peak: float,
    floor: float,
    warmup: int,
    horizon: int,
    schedule: Literal["cosine", "linear", "constant"] = "cosine",
) -> float:
    """Linear warm-up to `peak`, then by `schedule` down to `floor * peak` at step `horizon` and on.

    "cosine" falls along half a cosine, "linear" along a line, "constant" stays at `peak`.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, horizon - warmup))
    return peak * (floor + (1 - floor) * FALL[schedule](progress))
