"""What is seen of a training under way: a bar in the terminal, curves and pictures in TensorBoard."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from voxgen.models.objective import Objective

Picture = NDArray[np.uint8]
Pictures = Callable[[Objective], Mapping[str, Picture]]


class Board:
    """Shows a training from step `step` to `total`; a resumed one replaces what was shown after its state.

    `purge_step` hides what stands at that step and after it; the row at the state's own step is to stay.
    Only one process of a training shows anything.
    """

    def __init__(self, folder: Path, step: int, total: int, log_steps: int, *, shown: bool) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=step + 1) if shown else None
        self._bar = tqdm(
            total=total,
            initial=step,
            unit="step",
            disable=None if shown else True,  # None: where there is no terminal
            dynamic_ncols=True,
        )
        self._log_steps = log_steps
        self._since, self._samples = time.perf_counter(), 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        if self._writer:
            self._writer.close()

    def step(self, step: int, epoch: int, samples: float, rate: float, figures: Mapping[str, float]) -> None:
        """A step was done, on `samples` items over all processes, at learning rate `rate`."""
        self._bar.update()
        self._samples += samples
        if not self._writer or step % self._log_steps:
            return
        now = time.perf_counter()
        speed, memory = self._samples / (now - self._since), memory_gb()
        self._since, self._samples = now, 0.0
        self._bar.set_postfix_str(
            f"epoch {epoch}, loss {figures['loss']:.4g}, {speed:.3g} samples/s, {memory:.1f} GB",
            refresh=False,
        )
        curves = {**figures, "learning_rate": rate, "samples_per_s": speed, "memory_gb": memory}
        for name, value in curves.items():
            self._writer.add_scalar(f"step/{name}", value, step)

    def epoch(self, row: Mapping[str, float]) -> None:
        """A row of the history is there."""
        if self._writer:
            for name, value in row.items():
                self._writer.add_scalar(name, value, int(row["step"]))
        self._since, self._samples = time.perf_counter(), 0.0

    def pictures(self, step: int, pictures: Mapping[str, Picture]) -> None:
        """Images (rows, columns, RGB) of the averaged weights at a step."""
        if self._writer:
            for name, picture in pictures.items():
                self._writer.add_image(name, picture, step, dataformats="HWC")
            self._writer.flush()


def memory_gb() -> float:
    """The most that this process has allocated on its GPU so far; without one, what it holds now [GB]."""
    if torch.cuda.is_initialized() and torch.cuda.max_memory_allocated():  # type: ignore[no-untyped-call]
        return torch.cuda.max_memory_allocated() / 1e9
    return float(psutil.Process().memory_info().rss) / 1e9
