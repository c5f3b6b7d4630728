"""torch's generators of random numbers, as a training's state keeps them."""

import torch
from torch import Tensor


def generators() -> dict[str, Tensor]:
    """The states of torch's generators of random numbers, of the CPU and of the GPU in use."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def set_generators(states: dict[str, Tensor]) -> None:
    """Take up what `generators` gave, as far as the devices are there."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.set_rng_state(states["cuda"])
