"""Clouds in rows of one dataset: stacked (N, P, C), or of variable length."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from voxgen.errors import InputError
from voxgen.sources.clouds.attributes import Beside
from voxgen.sources.clouds.hdf5 import load
from voxgen.sources.clouds.parts import Piece, Points, Scale, placed

BLOCK_BYTES = 4 << 20


@dataclass(slots=True)
class Stack:
    """A dataset (N, P, C), a cloud a row; `counts` is a dataset (N,) with the points that are no padding."""

    key: str
    shape: tuple[int, int]
    axes: tuple[int, ...]
    scale: Scale
    z: float | None
    counts: str | None = None
    beside: Beside = field(default_factory=Beside)

    def __len__(self) -> int:
        return self.shape[0]

    def sizes(self, file: Any) -> Iterable[int]:
        return [self.shape[1]] if self.counts is None else map(int, load(file[self.counts], ()).reshape(-1))

    def pieces(self, file: Any, start: int, stop: int) -> Iterator[Piece]:
        dataset = file[self.key]
        low, high = min(self.axes), max(self.axes) + 1
        picked = [axis - low for axis in self.axes]
        rows = self._rows_in_block(dataset.chunks)
        for first in range(start, stop, rows):
            span = slice(first, min(first + rows, stop))
            raw = load(dataset, (span, slice(None), slice(low, high)), first)
            block = placed(raw[..., picked], self.scale, self.z)
            counts = [self.shape[1]] * len(block)
            if self.counts is not None:
                counts = load(file[self.counts], span).reshape(-1).tolist()
            attributes = self.beside.rows(file, span.start, span.stop)
            for points, count, own in zip(block, counts, attributes, strict=True):
                yield self.key, points[:count].copy(), own

    def _rows_in_block(self, chunks: tuple[int, ...] | None) -> int:
        rows = max(1, BLOCK_BYTES // max(1, self.shape[1] * 3 * 8))
        stored = chunks[0] if chunks else 1
        return int(rows - rows % stored) or rows


@dataclass(slots=True)
class Ragged:
    """A variable-length dataset: (N,) of flattened points, or (N, 3) with a list an axis."""

    key: str
    shape: tuple[int, ...]
    scale: Scale
    beside: Beside = field(default_factory=Beside)

    def __len__(self) -> int:
        return self.shape[0]

    def sizes(self, file: Any) -> Iterable[int]:
        return (len(self._points(file[self.key], row)) for row in range(len(self)))

    def pieces(self, file: Any, start: int, stop: int) -> Iterator[Piece]:
        dataset = file[self.key]
        for row in range(start, stop):
            (attributes,) = self.beside.rows(file, row, row + 1)
            yield self.key, self._points(dataset, row), attributes

    def _points(self, dataset: Any, row: int) -> Points:
        values = load(dataset, slice(row, row + 1), row).reshape(-1)
        lengths = [len(value) for value in values]
        where = f"{dataset.file.filename}: {self.key}, row {row}"
        if len(values) == 1 and lengths[0] % 3:
            raise InputError(
                f"{where}: found {lengths[0]} numbers, expected a multiple of 3 (x, y, z of each point); "
                "correct data.key"
            )
        if len(set(lengths)) > 1:
            found = ", ".join(map(str, lengths))
            raise InputError(
                f"{where}: found {found} numbers along x, y, z, expected as many; correct data.key"
            )
        raw = values[0].reshape(-1, 3) if len(values) == 1 else np.stack(list(values), axis=-1)
        return placed(raw, self.scale, None)
