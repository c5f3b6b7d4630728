"""Convolutions of fewer operations, and free of faults in torch's libraries.

Shapes: B batch, C channels, X Y Z axes of a grid or a latent, I and O channels into and out of a convolution.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Convolution(nn.Module):
    """Convolution of volumes; on the CPU in fp32 where bf16 would go wrong."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int | None = None
    ) -> None:
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, padding)

    def forward(self, x_BCXYZ: Tensor) -> Tensor:
        lost = self.conv.kernel_size[0] - 1 - 2 * int(self.conv.padding[0])
        return _or_in_fp32(self.conv, x_BCXYZ, strided=max(self.conv.stride) > 1, lost=lost)


class Upsampling(nn.Module):
    """Nearest upsampling by 2 and a convolution of kernel 3, as one transposed convolution.

    It takes 8 products per output and pair of channels instead of 27, and no volume lies between the two.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.postconv = Convolution(channels, channels, 3)

    def forward(self, x_BCXYZ: Tensor) -> Tensor:
        return _or_in_fp32(self._upsampled, x_BCXYZ, strided=False)

    def _upsampled(self, x_BCXYZ: Tensor) -> Tensor:
        convolution = self.postconv.conv
        kernel_IOXYZ = _spread(convolution.weight)
        return F.conv_transpose3d(x_BCXYZ, kernel_IOXYZ, convolution.bias, stride=2, padding=1)


def _spread(kernel_OIXYZ: Tensor) -> Tensor:
    """The transposed kernel (I, O, 4, 4, 4); each weight sums up those between a voxel and an output."""
    kernel_IOXYZ = kernel_OIXYZ.flip(2, 3, 4).transpose(0, 1)
    for axis in range(3):
        after, before = [0] * 6, [0] * 6
        before[2 * axis], after[2 * axis + 1] = 1, 1
        kernel_IOXYZ = F.pad(kernel_IOXYZ, before) + F.pad(kernel_IOXYZ, after)
    return kernel_IOXYZ


def _or_in_fp32(
    convolve: Callable[[Tensor], Tensor], x_BCXYZ: Tensor, strided: bool, lost: int = 0
) -> Tensor:
    """A convolution, in fp32 where the first axis has two voxels, or any axis one, before or after it.

    There oneDNN's bf16 gradient of the weights is wrong, or overwrites memory that is not its own (found with
    torch 2.13, oneDNN's jit_bf16:avx512_core_bf16). `lost` voxels of an axis are no centre of the kernel.
    """
    first, *others = (size - lost for size in x_BCXYZ.shape[2:])
    safe = first > 2 and min(others) > (2 if strided else 1)
    if safe or x_BCXYZ.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return convolve(x_BCXYZ)
    with torch.autocast("cpu", enabled=False):
        return convolve(x_BCXYZ.float()).to(torch.get_autocast_dtype("cpu"))
