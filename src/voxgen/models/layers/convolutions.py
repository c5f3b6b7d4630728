"""Convolutions of fewer operations, and free of faults in torch's libraries.

Shapes: B batch, C channels, X Y Z axes of a grid or a latent, I and O channels into and out of a convolution.
"""

from collections.abc import Callable

import torch
from monai.networks.blocks import UpSample
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Convolution(nn.Conv3d):
    """Convolution on the CPU, in fp32 where bf16 would go wrong."""

    def forward(self, x_BCXYZ: Tensor) -> Tensor:
        return _or_in_fp32(super().forward, x_BCXYZ, strided=max(self.stride) > 1)


class Upsampling(UpSample):  # type: ignore[misc]
    """Nearest upsampling by 2 and a convolution of kernel 3, as one transposed convolution.

    It takes 8 products an output and pair of channels instead of 27, and no volume lies between the two.
    """

    def forward(self, x_BCXYZ: Tensor, _: Tensor | None = None) -> Tensor:
        convolution = self.postconv.conv

        def upsampled(x_BCXYZ: Tensor) -> Tensor:
            kernel_IOXYZ = _spread(convolution.weight)
            return F.conv_transpose3d(x_BCXYZ, kernel_IOXYZ, convolution.bias, stride=2, padding=1)

        return _or_in_fp32(upsampled, x_BCXYZ, strided=False)


def doubles_by_nearest(upsampling: nn.Module) -> bool:
    """Whether MONAI's upsampling is of the kind that `Upsampling` computes."""
    parts = dict(upsampling.named_children())
    if list(parts) != ["upsample_non_trainable", "postconv"]:
        return False
    repeat, convolution = parts["upsample_non_trainable"], parts["postconv"].get_submodule("conv")
    doubled = repeat.mode == "nearest" and repeat.size is None and repeat.scale_factor == (2.0, 2.0, 2.0)
    return doubled and isinstance(convolution, nn.Conv3d) and convolution.kernel_size == (3, 3, 3)


def _spread(kernel_OIXYZ: Tensor) -> Tensor:
    """The transposed kernel (I, O, 4, 4, 4); each weight sums up those between a voxel and an output."""
    kernel_IOXYZ = kernel_OIXYZ.flip(2, 3, 4).transpose(0, 1)
    for axis in range(3):
        after, before = [0] * 6, [0] * 6
        before[2 * axis], after[2 * axis + 1] = 1, 1
        kernel_IOXYZ = F.pad(kernel_IOXYZ, before) + F.pad(kernel_IOXYZ, after)
    return kernel_IOXYZ


def _or_in_fp32(convolve: Callable[[Tensor], Tensor], x_BCXYZ: Tensor, strided: bool) -> Tensor:
    """A convolution, in fp32 where the first axis has two voxels, or any axis one, before or after it.

    There oneDNN's bf16 gradient of the weights is wrong, or overwrites memory that is not its own (found with
    torch 2.13, oneDNN's jit_bf16:avx512_core_bf16).
    """
    first, *others = x_BCXYZ.shape[2:]
    safe = first > 2 and min(others) > (2 if strided else 1)
    if safe or x_BCXYZ.is_cuda or not torch.is_autocast_enabled("cpu"):
        return convolve(x_BCXYZ)
    with torch.autocast("cpu", enabled=False):
        return convolve(x_BCXYZ.float()).to(torch.get_autocast_dtype("cpu"))
