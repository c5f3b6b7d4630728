"""How points lie in HDF5 datasets: stacked, in lists of variable length, or in the rows of a table."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.sources.clouds import cutting
from voxgen.sources.clouds.attributes import Places
from voxgen.sources.clouds.columns import tells_clouds_apart
from voxgen.sources.clouds.cutting import Block, Columns
from voxgen.sources.clouds.hdf5 import join, load, parent
from voxgen.sources.clouds.parts import Piece, Points, Scale, place_points

BLOCK_BYTES = 4 << 20


@dataclass(slots=True)
class Stack:
    """A dataset (N, P, C), one cloud per row; `counts` is a dataset (N,), the points without the padding."""

    key: str
    shape: tuple[int, int]
    axes: tuple[int, ...]
    scale: Scale
    z: float | None
    counts: str | None = None
    places: Places = field(default_factory=Places)

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
            block = place_points(raw[..., picked], self.scale, self.z)
            counts = [self.shape[1]] * len(block)
            if self.counts is not None:
                counts = load(file[self.counts], span).reshape(-1).tolist()
            attributes = self.places.read(file, span.start, span.stop)
            for points, count, own in zip(block, counts, attributes, strict=True):
                yield self.key, points[:count].copy(), own

    def _rows_in_block(self, chunks: tuple[int, ...] | None) -> int:
        rows = max(1, BLOCK_BYTES // max(1, self.shape[1] * 3 * 8))
        stored = chunks[0] if chunks else 1
        return int(rows - rows % stored) or rows


@dataclass(slots=True)
class Ragged:
    """A variable-length dataset: (N,) of flattened points, or (N, 3) with one list per axis."""

    key: str
    shape: tuple[int, ...]
    scale: Scale
    places: Places = field(default_factory=Places)

    def __len__(self) -> int:
        return self.shape[0]

    def sizes(self, file: Any) -> Iterable[int]:
        return (len(self._points(file[self.key], row)) for row in range(len(self)))

    def pieces(self, file: Any, start: int, stop: int) -> Iterator[Piece]:
        dataset = file[self.key]
        for row in range(start, stop):
            (attributes,) = self.places.read(file, row, row + 1)
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
                f"{where}: found {found} numbers along x, y, z, expected as many of each; correct data.key"
            )
        raw = values[0].reshape(-1, 3) if len(values) == 1 else np.stack(list(values), axis=-1)
        return place_points(raw, self.scale, None)


@dataclass(frozen=True, slots=True)
class H5Table:
    """A table in HDF5: a matrix (M, C), records (M,), or one dataset (M,) per axis.

    Attributes:
        key: path of the dataset, or of the group that holds the axes.
        axes: for x, y (and z) the path of the dataset, and the column or field in it, None for all of it.
    """

    key: str
    rows: int
    axes: tuple[tuple[str, int | str | None], ...]
    scale: Scale
    z: float | None

    @property
    def home(self) -> str:
        """The group that holds the dataset or the axes."""
        return self.key if self.axes[0][1] is None else parent(self.key)

    def count(self, file: Any) -> int:
        return self.rows

    def columns(self, file: Any) -> Columns:
        """Fields of the records, or datasets (M,) beside the points."""
        own = file[self.axes[0][0]]
        if own.dtype.names is not None:
            types = {name: own.dtype[name] for name in own.dtype.names}
        else:
            group = file[self.home]
            beside = {name: item for name in group if isinstance(item := group.get(name), h5py.Dataset)}
            types = {name: item.dtype for name, item in beside.items() if self._has_row_each(item)}
        likely = [name for name, dtype in types.items() if dtype.kind in "iuSO" and tells_clouds_apart(name)]
        stated = own.attrs.get("group_by")
        return Columns(likely, list(types), stated if isinstance(stated, str) and stated in types else None)

    def has_column(self, file: Any, name: str) -> bool:
        return self.locate(file, name) is not None

    def blocks(
        self, file: Any, columns: Sequence[str], start: int, stop: int | None, points: bool = True
    ) -> Iterator[Block]:
        stop = self.rows if stop is None else stop
        for first in range(start, stop, cutting.BLOCK_ROWS):
            rows = slice(first, min(first + cutting.BLOCK_ROWS, stop))
            raw = self._raw(file, rows) if points else np.empty((rows.stop - rows.start, 0))
            found = place_points(raw, self.scale, self.z) if points else raw
            yield Block(first, found, {name: self._column(file, name, rows) for name in columns})

    def locate(self, file: Any, name: str) -> tuple[str, str | None] | None:
        """Dataset, and field in it, of the column `name`: a field, or a dataset (M,) beside or at a path."""
        own = file[self.axes[0][0]]
        if own.dtype.names is not None:
            return (self.axes[0][0], name) if name in own.dtype.names else None
        paths = (join(self.home, name), name)
        return next(((path, None) for path in paths if self._has_row_each(file.get(path))), None)

    def _has_row_each(self, item: Any) -> bool:
        return isinstance(item, h5py.Dataset) and item.shape in ((self.rows,), (self.rows, 1))

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
        return _to_labels(values.reshape(-1))


def _to_labels(values: NDArray[Any]) -> NDArray[Any]:
    """Values that sort and compare: bytes and objects become text."""
    if values.dtype.kind == "S":
        return np.char.decode(values, errors="replace")
    if values.dtype.kind == "O":
        return np.array(
            [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values], dtype=str
        )
    return values
