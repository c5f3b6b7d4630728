"""The same networks computed faster, or in less memory: MONAI's layers, changed in place.

Parameters keep their names, shapes and values, and results are MONAI's but for rounding. What each change
gives is in docs/performance.md.
"""

import torch
from monai.networks.blocks import SpatialAttentionBlock, UpSample
from monai.networks.nets.autoencoderkl import AEKLResBlock
from monai.networks.nets.diffusion_model_unet import DiffusionUNetResnetBlock, WrappedUpsample
from torch import nn

from voxgen.models.layers.blocks import AttentionBlock, AutoencoderBlock, Block, DenoiserBlock
from voxgen.models.layers.convolutions import Convolution, Upsampling, doubles_by_nearest
from voxgen.models.layers.norms import GroupNorm

BLOCKS: dict[type[nn.Module], type[nn.Module]] = {
    AEKLResBlock: AutoencoderBlock,
    DiffusionUNetResnetBlock: DenoiserBlock,
    SpatialAttentionBlock: AttentionBlock,
}
ON_CPU: dict[type[nn.Module], type[nn.Module]] = {nn.GroupNorm: GroupNorm, nn.Conv3d: Convolution}


def accelerate(module: nn.Module, device: torch.device | str, recompute: bool = False) -> None:
    """Change how the layers of MONAI's networks in `module` compute, not what; in place.

    With `recompute`, what residual and attention blocks hold for the backward pass is computed again there:
    less memory, more time, the same gradients bit for bit.
    """
    on_cpu = torch.device(device).type == "cpu"
    for part in module.modules():
        kind = type(part)
        if kind in BLOCKS:
            part.__class__ = BLOCKS[kind]
        elif kind in (UpSample, WrappedUpsample) and doubles_by_nearest(part):
            part.__class__ = Upsampling
        elif on_cpu and kind in ON_CPU:
            part.__class__ = ON_CPU[kind]
        if isinstance(part, Block):
            part.recompute = recompute
    if on_cpu:
        module.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


def compile_blocks(module: nn.Module) -> None:
    """Compile each residual and attention block of an accelerated module, at its first call."""
    for part in module.modules():
        if isinstance(part, Block):
            part.compile()
