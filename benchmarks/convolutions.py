"""Convolutions forward and backward on the CPU, in two and three dimensions and in either layout.

The shapes are those of the default networks, which are flat, and of networks of 32^3. Shown is the least CPU
time of some runs, over the threads, since wall times mean little beside other work.

python benchmarks/convolutions.py --threads 2 > benchmarks/results/convolutions.md
"""

import argparse
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

FLAT = [  # batch, channels in and out, voxels along x and y, stride
    (4, 32, 64, 24, 1),
    (4, 64, 64, 24, 1),
    (4, 64, 64, 24, 2),
    (4, 128, 128, 12, 1),
    (32, 32, 32, 12, 1),
    (32, 64, 64, 6, 1),
]
SOLID = [(4, 16, 16, 32, 1), (4, 32, 32, 16, 1), (4, 32, 32, 16, 2), (4, 64, 64, 8, 1), (16, 96, 96, 4, 1)]
LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}
RUNS = 9


def main() -> None:
    """Print a table as Markdown."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(arguments.parse_args().threads)
    print("# Convolutions\n")
    print(
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}; ms, forward and backward.\n"
    )
    print("| batch, channels, voxels, stride | 3D | 3D channels last | 2D | 2D channels last |")
    print("|---|---:|---:|---:|---:|")
    for shape in FLAT:
        timed = [
            _milliseconds(shape, flat=True, dimensions=n, last=last) for n in (3, 2) for last in (False, True)
        ]
        _tell(shape, "x 1", timed)
    for shape in SOLID:
        _tell(
            shape, "", [_milliseconds(shape, flat=False, dimensions=3, last=last) for last in (False, True)]
        )


def _milliseconds(shape: tuple[int, ...], flat: bool, dimensions: int, last: bool) -> float:
    batch, inputs, outputs, edge, stride = shape
    sizes = {2: (edge, edge), 3: (edge, edge, 1 if flat else edge)}[dimensions]
    kernel = (3, 3, 1) if flat and dimensions == 3 else (3,) * dimensions
    strides, padding = [stride if size == 3 else 1 for size in kernel], [size // 2 for size in kernel]
    kind: Any = {2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
    convolution = kind(inputs, outputs, kernel, strides, padding)
    x = torch.randn(batch, inputs, *sizes)
    if last:
        convolution = convolution.to(memory_format=LAYOUTS[dimensions])
        x = x.contiguous(memory_format=LAYOUTS[dimensions])
    x.requires_grad_()
    slope = torch.randn_like(convolution(x))
    return 1e3 * min(_seconds(convolution, x, slope) for _ in range(RUNS))


def _seconds(convolution: nn.Module, x: torch.Tensor, slope: torch.Tensor) -> float:
    started = time.process_time()
    convolution(x).backward(slope)
    return (time.process_time() - started) / torch.get_num_threads()


def _tell(shape: tuple[int, ...], flat: str, timed: Sequence[float]) -> None:
    batch, inputs, outputs, edge, stride = shape
    voxels = f"{edge} x {edge} {flat or f'x {edge}'}"
    cells = [f"{ms:.1f}" for ms in timed] + ["-"] * (4 - len(timed))
    print(f"| {batch}, {inputs} to {outputs}, {voxels}, {stride} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
