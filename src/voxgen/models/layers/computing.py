"""How the layers of a network are computed: in which layout, what is held, what is compiled; not what."""

from collections.abc import Iterator

import torch
from torch import nn

from voxgen.models.layers.blocks import Block


def lay_out(module: nn.Module, device: torch.device | str) -> None:
    """Bring the weights into the layout that is fast on a device, in place.

    Channels-last on a CPU, but where kernels are flat and convolve planes (docs/performance.md).
    """
    kernels = [min(part.kernel_size) for part in module.modules() if isinstance(part, nn.Conv3d)]
    if torch.device(device).type == "cpu" and max(kernels, default=1) > 1:
        module.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


def recompute_blocks(module: nn.Module, recompute: bool) -> None:
    """Compute again in the backward pass what residual and attention blocks would hold for it, or hold it.

    Less memory, more time, the same gradients bit for bit.
    """
    for block in _blocks(module):
        block.recompute = recompute


def compile_blocks(module: nn.Module) -> None:
    """Compile each residual and attention block, at its first call."""
    for block in _blocks(module):
        block.compile()


def _blocks(module: nn.Module) -> Iterator[Block]:
    return (part for part in module.modules() if isinstance(part, Block))
