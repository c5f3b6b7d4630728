"""Tables of points, and how they are read as clouds: by runs of rows, or by the rows of one label."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from voxgen.sources.clouds.attributes import Places
from voxgen.sources.clouds.parts import Attributes, Piece, Points, Scale

BLOCK_ROWS = 1 << 18
BATCH_BYTES = 64 << 20
POINT_BYTES = 3 * 8

Label = NDArray[Any]
Labeller = Callable[["Block"], Label]


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of a table: points (n, 3) in data.unit, (n, 0) if not wanted, and columns (n,)."""

    first: int
    points: Points
    columns: dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of a table that could tell clouds apart.

    Attributes:
        likely: those whose name says so, of integers or text.
        known: names that can be asked for, for messages.
        stated: the one that the file itself states, as `write_clouds` does.
        kinds: those whose name says that they could, or that they tell kinds of points within a cloud.
        whole: others of whole numbers; if each value stands in one run of rows, it may be a cloud.
    """

    likely: Sequence[str]
    known: Sequence[str]
    stated: str | None = None
    kinds: Sequence[str] = ()
    whole: Sequence[str] = ()


class Table(Protocol):
    """Points in rows, of which further columns may be known. `file` is what holds the table, opened."""

    @property
    def key(self) -> str:
        """What the table is called in its file."""

    @property
    def scale(self) -> Scale:
        """Factors along x, y, z from the file's numbers to data.unit."""

    def count(self, file: Any) -> int:
        """Rows of the table."""

    def columns(self, file: Any) -> Columns:
        """The columns that could tell clouds apart."""

    def has_column(self, file: Any, name: str) -> bool:
        """Whether the table has a column of this name, which `blocks` can read."""

    def blocks(
        self, file: Any, columns: Sequence[str], start: int, stop: int | None, points: bool = True
    ) -> Iterator[Block]:
        """Yield the rows start <= row < stop (None: to the end) in blocks of at most BLOCK_ROWS."""


@dataclass(slots=True)
class Runs:
    """A table whose clouds are consecutive rows, edges[i] <= row < edges[i + 1]; None: it is one cloud."""

    table: Table
    edges: NDArray[np.int64] | None = None
    places: Places = field(default_factory=Places)

    @property
    def scale(self) -> Scale:
        return self.table.scale

    def __len__(self) -> int:
        return 1 if self.edges is None else len(self.edges) - 1

    def sizes(self, file: Any) -> Iterable[int]:
        return [self.table.count(file)] if self.edges is None else map(int, np.diff(self.edges))

    def pieces(self, file: Any, start: int, stop: int) -> Iterator[Piece]:
        if self.edges is None:
            for _ in range(start, stop):
                points, columns = self._rows(file, 0, None)
                (attributes,) = self.places.read(file, 0, 1)
                yield self.table.key, points, attributes | self.places.pick_constants(columns, self.table.key)
            return
        for first, last in split_batches(np.diff(self.edges), start, stop):
            low = int(self.edges[first])
            points, columns = self._rows(file, low, int(self.edges[last]))
            for i, attributes in enumerate(self.places.read(file, first, last), first):
                begin, end = self.edges[i : i + 2]
                own, key = slice(begin - low, end - low), f"{self.table.key}[{begin}:{end}]"
                values = {name: column[own] for name, column in columns.items()}
                yield key, points[own].copy(), attributes | self.places.pick_constants(values, key)

    def _rows(self, file: Any, low: int, high: int | None) -> tuple[Points, dict[str, NDArray[Any]]]:
        """The points of the rows low <= row < high, and what their columns hold."""
        blocks = list(self.table.blocks(file, self.places.columns, low, high))
        points = np.concatenate([np.empty((0, 3)), *(block.points for block in blocks)])
        return points, {
            name: np.concatenate([block.columns[name] for block in blocks]) if blocks else np.empty(0)
            for name in self.places.columns
        }


@dataclass(frozen=True, slots=True)
class Census:
    """The labels of a table, sorted: labels (N, k), and of each the points, the first and the last row."""

    labels: Label
    counts: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    rows: int

    def pick(self, which: NDArray[Any]) -> "Census":
        """The labels at `which`: a mask, or indices in a new order."""
        return Census(self.labels[which], self.counts[which], self.first[which], self.last[which], self.rows)


@dataclass(slots=True)
class Scattered:
    """A table whose clouds are the rows of one label, wherever they stand.

    Attributes:
        needs: columns that `label` reads.
        label: labels (n, k) of the rows of a block.
        census: which labels there are, and where.
        name: key and attributes of cloud i.
        corner: lower corners of tiles (N, k), from which the first k coordinates of a cloud's points are
            counted; None for no tiles.
    """

    table: Table
    needs: tuple[str, ...]
    label: Labeller
    census: Census
    name: Callable[[int], tuple[str, Attributes]]
    corner: Points | None = None
    places: Places = field(default_factory=Places)

    @property
    def scale(self) -> Scale:
        return self.table.scale

    def __len__(self) -> int:
        return len(self.census.counts)

    def sizes(self, file: Any) -> Iterable[int]:
        return map(int, self.census.counts)

    def pieces(self, file: Any, start: int, stop: int) -> Iterator[Piece]:
        for first, last in split_batches(self.census.counts, start, stop):
            rows = self.places.read(file, first, last)
            points, carried = self._gather(file, first, last)
            ends = np.cumsum(self.census.counts[first:last])
            for i, attributes, end, parts in zip(range(first, last), rows, ends, carried, strict=True):
                key, own = self.name(i)
                cloud = points[end - self.census.counts[i] : end].copy()
                if self.corner is not None:
                    tiled = cloud[:, : self.corner.shape[1]]
                    np.maximum(tiled - self.corner[i], 0, out=tiled)  # on the corner but for rounding
                columns = {name: np.concatenate(values) for name, values in parts.items()}
                yield key, cloud, attributes | own | self.places.pick_constants(columns, key)

    def _gather(self, file: Any, first: int, last: int) -> tuple[Points, list[dict[str, list[Label]]]]:
        """Points of the clouds first <= i < last, one after another, and what their columns hold."""
        census = self.census
        numbers = {tuple(label): i for i, label in enumerate(census.labels[first:last].tolist())}
        filled = np.cumsum(census.counts[first:last]) - census.counts[first:last]
        points = np.empty((int(census.counts[first:last].sum()), 3))
        carried: list[dict[str, list[Label]]] = [{name: [] for name in self.places.columns} for _ in numbers]
        low, high = int(census.first[first:last].min()), int(census.last[first:last].max()) + 1
        columns = tuple(dict.fromkeys([*self.needs, *self.places.columns]))
        for block in self.table.blocks(file, columns, low, high):
            labels, inverse = find_unique_rows(self.label(block))
            number = np.array([numbers.get(tuple(label), -1) for label in labels.tolist()], dtype=int)[
                inverse
            ]
            order = np.argsort(number, kind="stable")
            present, begin = np.unique(number[order], return_index=True)
            for i, rows in zip(present.tolist(), np.split(order, begin[1:]), strict=True):
                if i >= 0:
                    points[filled[i] : filled[i] + len(rows)] = block.points[rows]
                    filled[i] += len(rows)
                    for name, parts in carried[i].items():
                        parts.append(np.unique(block.columns[name][rows]))
        return points, carried


def take_census(
    blocks: Iterable[Block], label: Labeller, given: Callable[[Label], NDArray[np.bool_]]
) -> Census:
    """Count the rows of each label; rows whose label is not `given` belong to no cloud.

    It holds a block and the labels that differ.
    """
    none = np.zeros(0, dtype=np.int64)
    census = Census(np.zeros((0, 1)), none, none, none, 0)
    for block in blocks:
        labels = label(block)
        rows = block.first + np.arange(len(labels))
        part = _merge(Census(labels, np.ones(len(labels), dtype=np.int64), rows, rows, len(labels)))
        census = _merge(census, part) if census.rows else part
    return census.pick(given(census.labels))


def find_unique_rows(labels: Label) -> tuple[Label, NDArray[np.int64]]:
    """The rows of labels (n, k) that differ, sorted, and for each row which one it is.

    Column by column, since `np.unique` along an axis sorts records, many times slower.
    """
    codes = np.zeros(len(labels), dtype=np.int64)
    for column in labels.T:
        values, inverse = np.unique(column, return_inverse=True)
        _, codes = np.unique(codes * max(1, len(values)) + inverse, return_inverse=True)
    _, index = np.unique(codes, return_index=True)
    return labels[index], codes


def split_batches(counts: NDArray[np.int64], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Ranges of clouds whose points take BATCH_BYTES at most, or of a single larger cloud."""
    ends = np.cumsum(counts)
    while start < stop:
        before = ends[start] - counts[start]
        most = before + BATCH_BYTES // POINT_BYTES
        last = min(stop, max(start + 1, int(np.searchsorted(ends, most, side="right"))))
        yield start, last
        start = last


def _merge(*parts: Census) -> Census:
    """One census of several in the order of their rows, in which a label may stand more than once."""
    labels, inverse = find_unique_rows(np.concatenate([part.labels for part in parts]))
    counts, first, last = (np.zeros(len(labels), dtype=np.int64) for _ in range(3))
    np.add.at(counts, inverse, np.concatenate([part.counts for part in parts]))
    # Of several values for one label the one assigned last stays.
    first[inverse[::-1]] = np.concatenate([part.first for part in parts])[::-1]
    last[inverse] = np.concatenate([part.last for part in parts])
    return Census(labels, counts, first, last, sum(part.rows for part in parts))
