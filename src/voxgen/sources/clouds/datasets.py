"""How points lie in HDF5 datasets: stacked, in lists of variable length, or in the rows of a table."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.sources.clouds import cutting
from voxgen.sources.clouds.attributes import Places
from voxgen.sources.clouds.catalog import Catalog
from voxgen.sources.clouds.cutting import Block, Columns
from voxgen.sources.clouds.hdf5 import join, load, parent
from voxgen.sources.clouds.meaning import counts_points, tells_clouds_apart, tells_kinds_apart
from voxgen.sources.clouds.normalised import Restore
from voxgen.sources.clouds.padding import Padding
from voxgen.sources.clouds.parts import Piece, Points, Scale, place_points
from voxgen.sources.clouds.tables import Column, list_columns, read_columns

BLOCK_BYTES = 4 << 20


@dataclass(slots=True)
class Stack:
    """A dataset (N, P, C), one cloud per row; `turned`: (N, C, P)."""

    key: str
    shape: tuple[int, int]
    axes: tuple[int, ...]
    scale: Scale
    z: float | None
    turned: bool = False
    padding: Padding | None = None
    restore: Restore | None = None
    places: Places = field(default_factory=Places)

    def __len__(self) -> int:
        return self.shape[0]

    def sizes(self, file: Any) -> Iterable[int]:
        if self.padding is None:
            return [self.shape[1]]
        return self.padding.count(file, slice(0, len(self)), self.shape[1])

    def pieces(self, file: Any, start: int, stop: int) -> Iterator[Piece]:
        dataset = file[self.key]
        rows = self._rows_in_block(dataset.chunks)
        for first in range(start, stop, rows):
            span = slice(first, min(first + rows, stop))
            raw = read_stack(dataset, span, self.axes, self.turned)
            if self.restore is not None:
                raw = self.restore.apply(file, raw, span)
            block = place_points(raw, self.scale, self.z)
            kept: Sequence[Any] = [slice(None)] * len(block)
            if self.padding is not None:
                kept = self.padding.keep(file, span)
            attributes = self.places.read(file, span.start, span.stop)
            for points, rows_kept, own in zip(block, kept, attributes, strict=True):
                yield self.key, points[rows_kept].copy(), own

    def _rows_in_block(self, chunks: tuple[int, ...] | None) -> int:
        rows = max(1, BLOCK_BYTES // max(1, self.shape[1] * 3 * 8))
        stored = chunks[0] if chunks else 1
        return int(rows - rows % stored) or rows


def read_stack(dataset: Any, clouds: slice, axes: Sequence[int], turned: bool) -> NDArray[Any]:
    """The columns `axes` (n, P, len(axes)) of some clouds of a dataset (N, P, C), or (N, C, P) `turned`."""
    span = slice(min(axes), max(axes) + 1)
    picked = [axis - span.start for axis in axes]
    if turned:
        return load(dataset, (clouds, span), clouds.start)[:, picked].swapaxes(1, 2)
    return load(dataset, (clouds, slice(None), span), clouds.start)[..., picked]


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
    """A table in HDF5: a matrix (M, C), records (M,), or a group with one dataset (M,) per column.

    Attributes:
        key: path of the dataset, or of the group that holds the columns.
        axes: where x, y (and z) are.
        mask: the column that says which rows are points, and whether it is true for them.
    """

    key: str
    rows: int
    axes: tuple[Column, ...]
    scale: Scale
    z: float | None
    mask: tuple[Column, bool] | None = None
    restore: Restore | None = None

    @property
    def home(self) -> str:
        """The group that holds the dataset or the columns."""
        return parent(self.key) if any(column.path == self.key for column in self.axes) else self.key

    def count(self, file: Any) -> int:
        return self.rows

    def columns(self, file: Any) -> Columns:
        """Columns of the table by name, or datasets (M,) beside the points, of integers or text."""
        named = self._named(file)
        types = {name: type_of(file, column) for name, column in named.items()}
        labels = {name: kind for name, kind in types.items() if kind.kind in "iufSO"}
        stated = file[self.axes[0].path].attrs.get("group_by")
        indexed = [name for name, column in named.items() if "instance_dimension" in file[column.path].attrs]
        stated = indexed[0] if stated is None and len(indexed) == 1 else stated
        return Columns(
            [name for name in labels if tells_clouds_apart(name)],
            list(types),
            stated if isinstance(stated, str) and stated in types else None,
            [name for name, kind in labels.items() if tells_kinds_apart(name) or kind.kind in "SO"],
            [name for name, kind in labels.items() if kind.kind in "iu" and not counts_points(name)],
        )

    def has_column(self, file: Any, name: str) -> bool:
        return self.locate(file, name) is not None

    def blocks(
        self, file: Any, columns: Sequence[str], start: int, stop: int | None, points: bool = True
    ) -> Iterator[Block]:
        stop = self.rows if stop is None else stop
        named = {name: column for name in columns if (column := self.locate(file, name)) is not None}
        for first in range(start, stop, cutting.BLOCK_ROWS):
            rows = slice(first, min(first + cutting.BLOCK_ROWS, stop))
            found = self._points(file, rows) if points else np.empty((rows.stop - rows.start, 0))
            values = read_columns(file, list(named.values()), rows)
            yield Block(first, found, dict(zip(named, map(_to_labels, values), strict=True)))

    def locate(self, file: Any, name: str) -> Column | None:
        """The column `name`: one of the table, or a dataset (M,) beside it or at a path."""
        own = self._named(file)
        if name in own:
            return own[name]
        paths = (join(self.home, name), name)
        found = (path for path in paths if self._has_row_each(file.get(path)))
        return next((Column(path) for path in found), None)

    def _named(self, file: Any) -> dict[str, Column]:
        catalog = Catalog(file)
        own = list_columns(catalog, self.key)
        beside = {} if self.axes[0].field else list_columns(catalog, self.home)
        return {
            name: column
            for name, column in (beside | own).items()
            if column.number is not None or column.field or self._has_row_each(file[column.path])
        }

    def _has_row_each(self, item: Any) -> bool:
        shape = getattr(item, "shape", None)
        return shape in ((self.rows,), (self.rows, 1), (1, self.rows))

    def _points(self, file: Any, rows: slice) -> Points:
        raw = read_points(file, self.axes, rows)
        if self.restore is not None:
            raw = self.restore.apply(file, raw[None], slice(0, 1))[0]
        points = place_points(raw, self.scale, self.z)
        if self.mask is not None:
            column, kept = self.mask
            (mask,) = read_columns(file, [column], rows)
            points[mask.astype(bool) != kept] = np.nan
        return points


def read_points(file: Any, axes: Sequence[Column], rows: slice) -> NDArray[Any]:
    """Rows (n, 2 or 3) of the columns that are coordinates."""
    return np.stack(read_columns(file, axes, rows), axis=-1)


def type_of(file: Any, column: Column) -> np.dtype[Any]:
    """The type of a column's values."""
    kind: np.dtype[Any] = file[column.path].dtype
    for name in column.field:
        kind = kind[name]
    return kind.base


def _to_labels(values: NDArray[Any]) -> NDArray[Any]:
    """Values that sort and compare: bytes and objects become text."""
    if values.dtype.kind == "S":
        return np.char.decode(values, errors="replace")
    if values.dtype.kind == "O":
        return np.array(
            [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values], dtype=str
        )
    return values
