"""Tables of points: a row a point, read in blocks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from voxgen.sources.clouds.hdf5 import load, parent
from voxgen.sources.clouds.parts import Points, Scale, placed

BLOCK_ROWS = 1 << 18


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of a table: points (n, 3) in data.unit, (n, 0) if not wanted, and columns (n,)."""

    first: int
    points: Points
    columns: dict[str, NDArray[Any]]


class Table(Protocol):
    """Points in rows, of which further columns may be known. `file` is what holds the table, opened."""

    @property
    def key(self) -> str:
        """What the table is called in its file."""

    def count(self, file: Any) -> int:
        """Rows of the table."""

    def blocks(
        self, file: Any, columns: Sequence[str], start: int, stop: int | None, points: bool = True
    ) -> Iterator[Block]:
        """Yield the rows start <= row < stop (None: to the end) in blocks of at most BLOCK_ROWS."""


@dataclass(frozen=True, slots=True)
class H5Table:
    """A table in HDF5: a matrix (M, C), records (M,), or a dataset (M,) an axis.

    Attributes:
        key: path of the dataset, or of the group that holds the axes.
        axes: for x, y (and z) the path of the dataset, and the column or field in it, None for all of it.
        columns: further columns by name: path of the dataset, and the field in it or None.
    """

    key: str
    rows: int
    axes: tuple[tuple[str, int | str | None], ...]
    scale: Scale
    z: float | None

    def count(self, file: Any) -> int:
        return self.rows

    def blocks(
        self, file: Any, columns: Sequence[str], start: int, stop: int | None, points: bool = True
    ) -> Iterator[Block]:
        stop = self.rows if stop is None else stop
        for first in range(start, stop, BLOCK_ROWS):
            rows = slice(first, min(first + BLOCK_ROWS, stop))
            raw = self._raw(file, rows) if points else np.empty((rows.stop - rows.start, 0))
            found = placed(raw, self.scale, self.z) if points else raw
            yield Block(first, found, {name: self._column(file, name, rows) for name in columns})

    def locate(self, file: Any, name: str) -> tuple[str, str | None] | None:
        """Dataset, and field in it, of the column `name`: a field, or a dataset (M,) beside or at a path."""
        own = file[self.axes[0][0]]
        if own.dtype.names is not None:
            return (self.axes[0][0], name) if name in own.dtype.names else None
        home = self.key if self.axes[0][1] is None else parent(self.key)
        for path in (f"{home.rstrip('/')}/{name}", name):
            found = file.get(path)
            if isinstance(found, h5py.Dataset) and found.shape in ((self.rows,), (self.rows, 1)):
                return path, None
        return None

    def _raw(self, file: Any, rows: slice) -> NDArray[Any]:
        paths, columns = zip(*self.axes, strict=True)
        dataset = file[paths[0]]
        if columns[0] is None:
            return np.stack([load(file[path], rows, rows.start) for path in paths], axis=-1)
        if isinstance(columns[0], str):
            records = load(dataset, rows, rows.start, fields=columns)
            return np.stack([records[name] for name in columns], axis=-1)
        span = slice(min(columns), max(columns) + 1)
        return load(dataset, (rows, span), rows.start)[:, np.array(columns) - span.start]

    def _column(self, file: Any, name: str, rows: slice) -> NDArray[Any]:
        located = self.locate(file, name)
        if located is None:
            raise KeyError(name)
        path, field = located
        values = load(file[path], rows, rows.start, fields=() if field is None else (field,))
        values = values[field] if values.dtype.names else values
        return as_labels(values.reshape(-1))


def as_labels(values: NDArray[Any]) -> NDArray[Any]:
    """Values that sort and compare: bytes and objects become text."""
    if values.dtype.kind == "S":
        return np.char.decode(values, errors="replace")
    if values.dtype.kind == "O":
        return np.array(
            [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values], dtype=str
        )
    return values
