"""Convolutions of fewer operations, and free of faults in torch's libraries.

Shapes: B batch, C channels, X Y Z axes of a grid or a latent, I and O channels into and out of a convolution.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from voxgen.models.levels import NOT_FLAT, Flat

Sizes = tuple[int, int, int]


class Convolution(nn.Module):
    """Convolution of volumes, of kernel 1 along flat axes; on the CPU in fp32 where bf16 would go wrong."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        padding: int | None = None,
        flat: Flat = NOT_FLAT,
    ) -> None:
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        kernels, strides, paddings = (
            _along(kernel, 1, flat),
            _along(stride, 1, flat),
            _along(padding, 0, flat),
        )
        self.conv = nn.Conv3d(inputs, outputs, kernels, strides, paddings)
        self.stride, self.padding = strides, paddings
        self.lost = tuple(size - 1 - 2 * beside for size, beside in zip(kernels, paddings, strict=True))

    def forward(self, x_BCXYZ: Tensor) -> Tensor:
        return _or_in_fp32(self._convolved, x_BCXYZ, strided=max(self.stride) > 1, lost=self.lost)

    def _convolved(self, x_BCXYZ: Tensor) -> Tensor:
        return _in_a_plane_or_space(
            (F.conv2d, F.conv3d), x_BCXYZ, self.conv.weight, self.conv.bias, self.stride, self.padding
        )


class Upsampling(nn.Module):
    """Nearest upsampling by 2 and a convolution of kernel 3, as one transposed convolution.

    It takes 8 products per output and pair of channels instead of 27, and no volume lies between the two.
    Flat axes stay as they are.
    """

    def __init__(self, channels: int, flat: Flat = NOT_FLAT) -> None:
        super().__init__()
        self.postconv = Convolution(channels, channels, 3, flat=flat)
        self.stride, self.padding = _along(2, 1, flat), _along(1, 0, flat)

    def forward(self, x_BCXYZ: Tensor) -> Tensor:
        return _or_in_fp32(self._upsampled, x_BCXYZ, strided=False)

    def _upsampled(self, x_BCXYZ: Tensor) -> Tensor:
        convolution = self.postconv.conv
        return _in_a_plane_or_space(
            (F.conv_transpose2d, F.conv_transpose3d),
            *(x_BCXYZ, _spread(convolution.weight), convolution.bias),
            *(self.stride, self.padding),
        )


class TransposedConvolution(nn.Module):
    """Transposed convolution that doubles each axis: by its kernel of 4 all voxels get as many products.

    Flat axes stay as they are, with a kernel of 1.
    """

    def __init__(self, inputs: int, outputs: int, flat: Flat = NOT_FLAT) -> None:
        super().__init__()
        self.stride, self.padding = _along(2, 1, flat), _along(1, 0, flat)
        self.conv = nn.ConvTranspose3d(inputs, outputs, _along(4, 1, flat), self.stride, self.padding)

    def forward(self, x_BCXYZ: Tensor) -> Tensor:
        return _or_in_fp32(self._transposed, x_BCXYZ, strided=False)

    def _transposed(self, x_BCXYZ: Tensor) -> Tensor:
        return _in_a_plane_or_space(
            (F.conv_transpose2d, F.conv_transpose3d),
            *(x_BCXYZ, self.conv.weight, self.conv.bias),
            *(self.stride, self.padding),
        )


def _along(size: int, of_flat: int, flat: Flat) -> Sizes:
    """A size along x, y, z."""
    along_x, along_y, along_z = (of_flat if each else size for each in flat)
    return along_x, along_y, along_z


def _spread(kernel_OIXYZ: Tensor) -> Tensor:
    """The transposed kernel (I, O, 4, 4, 4); each weight sums up those between a voxel and an output.

    Along an axis where the kernel has 1 weight it keeps it.
    """
    kernel_IOXYZ = kernel_OIXYZ.flip(2, 3, 4).transpose(0, 1)
    for axis in range(3):
        if kernel_OIXYZ.shape[4 - axis] == 1:
            continue
        after, before = [0] * 6, [0] * 6
        before[2 * axis], after[2 * axis + 1] = 1, 1
        kernel_IOXYZ = F.pad(kernel_IOXYZ, before) + F.pad(kernel_IOXYZ, after)
    return kernel_IOXYZ


def _in_a_plane_or_space(
    convolve: tuple[Callable[..., Tensor], Callable[..., Tensor]],
    x_BCXYZ: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
) -> Tensor:
    """A convolution by the function of two dimensions where an axis of volume and kernel has size 1.

    The same sums; on a CPU 2 to 5 times as fast (docs/performance.md).
    """
    in_a_plane, in_space = convolve
    thin = [axis for axis in range(3) if x_BCXYZ.shape[axis + 2] == kernel.shape[axis + 2] == 1]
    if not thin:
        return in_space(x_BCXYZ, kernel, bias, stride, padding)
    left_out = thin[-1]
    strides, paddings = (_without(left_out, sizes) for sizes in (stride, padding))
    x_BCPQ, kernel = x_BCXYZ.squeeze(left_out + 2), kernel.squeeze(left_out + 2)
    return in_a_plane(x_BCPQ, kernel, bias, strides, paddings).unsqueeze(left_out + 2)


def _without(axis: int, sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(size for number, size in enumerate(sizes) if number != axis)


def _or_in_fp32(
    convolve: Callable[[Tensor], Tensor], x_BCXYZ: Tensor, strided: bool, lost: Sequence[int] = (0, 0, 0)
) -> Tensor:
    """A convolution, in fp32 where the first axis has two voxels, or any axis one, before or after it.

    There oneDNN's bf16 gradient of the weights is wrong, or overwrites memory that is not its own (found with
    torch 2.13, oneDNN's jit_bf16:avx512_core_bf16). `lost` voxels of an axis are no centre of the kernel.
    """
    first, *others = (size - less for size, less in zip(x_BCXYZ.shape[2:], lost, strict=True))
    safe = first > 2 and min(others) > (2 if strided else 1)
    if safe or x_BCXYZ.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return convolve(x_BCXYZ)
    with torch.autocast("cpu", enabled=False):
        return convolve(x_BCXYZ.float()).to(torch.get_autocast_dtype("cpu"))
