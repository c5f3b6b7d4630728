"""The learning rate as a function of the step alone."""

import math


def learning_rate(step: int, peak: float, floor: float, warmup: int, horizon: int) -> float:
    """Linear warm-up to `peak`, half a cosine down to `floor * peak` at step `horizon`, then constant."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, horizon - warmup))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))
