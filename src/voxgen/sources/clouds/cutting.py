"""Cutting tables into clouds: by runs of rows, by the values of a column, or into tiles of space."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.sources.clouds.attributes import Beside
from voxgen.sources.clouds.parts import Attributes, Piece, Points
from voxgen.sources.clouds.tables import Block, Table

BATCH_BYTES = 64 << 20
POINT_BYTES = 3 * 8

Label = NDArray[Any]
Labeller = Callable[[Block], Label]


@dataclass(slots=True)
class Whole:
    """A table that is one cloud."""

    table: Table
    beside: Beside = field(default_factory=Beside)

    def __len__(self) -> int:
        return 1

    def sizes(self, file: Any) -> Iterable[int]:
        return [self.table.count(file)]

    def pieces(self, file: Any, start: int, stop: int) -> Iterator[Piece]:
        for _ in range(start, stop):
            blocks = list(self.table.blocks(file, self.beside.columns, 0, None))
            points = np.concatenate([np.empty((0, 3)), *(block.points for block in blocks)])
            columns = {name: [block.columns[name] for block in blocks] for name in self.beside.columns}
            (attributes,) = self.beside.rows(file, 0, 1)
            yield self.table.key, points, attributes | self.beside.constants(columns, self.table.key)


@dataclass(slots=True)
class Runs:
    """A table whose clouds are consecutive rows, edges[i] <= row < edges[i + 1]."""

    table: Table
    edges: NDArray[np.int64]
    beside: Beside = field(default_factory=Beside)

    def __len__(self) -> int:
        return len(self.edges) - 1

    def sizes(self, file: Any) -> Iterable[int]:
        return map(int, np.diff(self.edges))

    def pieces(self, file: Any, start: int, stop: int) -> Iterator[Piece]:
        for first, last in batches(np.diff(self.edges), start, stop):
            low, high = int(self.edges[first]), int(self.edges[last])
            blocks = list(self.table.blocks(file, self.beside.columns, low, high))
            points = np.concatenate([np.empty((0, 3)), *(block.points for block in blocks)])
            columns = {
                name: np.concatenate([block.columns[name] for block in blocks]) if blocks else np.empty(0)
                for name in self.beside.columns
            }
            rows = self.beside.rows(file, first, last)
            for i, attributes in zip(range(first, last), rows, strict=True):
                own = slice(self.edges[i] - low, self.edges[i + 1] - low)
                key = f"{self.table.key}[{self.edges[i]}:{self.edges[i + 1]}]"
                values = {name: [column[own]] for name, column in columns.items()}
                yield key, points[own].copy(), attributes | self.beside.constants(values, key)


@dataclass(slots=True)
class Scattered:
    """A table whose clouds are the rows of one label, wherever they stand.

    Attributes:
        needs: columns that `label` reads.
        label: labels (n, k) of the rows of a block.
        census: which labels there are, and where.
        name: key and attributes of cloud i.
        origin: what is subtracted from the points of each cloud (N, 3), None for nothing.
    """

    table: Table
    needs: tuple[str, ...]
    label: Labeller
    census: "Census"
    name: Callable[[int], tuple[str, Attributes]]
    origin: Points | None = None
    beside: Beside = field(default_factory=Beside)

    def __len__(self) -> int:
        return len(self.census.counts)

    def sizes(self, file: Any) -> Iterable[int]:
        return map(int, self.census.counts)

    def pieces(self, file: Any, start: int, stop: int) -> Iterator[Piece]:
        for first, last in batches(self.census.counts, start, stop):
            rows = self.beside.rows(file, first, last)
            points, carried = self._batch(file, first, last)
            ends = np.cumsum(self.census.counts[first:last])
            for i, attributes, end, columns in zip(range(first, last), rows, ends, carried, strict=True):
                key, own = self.name(i)
                cloud = points[end - self.census.counts[i] : end].copy()
                if self.origin is not None:
                    cloud -= self.origin[i]
                yield key, cloud, attributes | own | self.beside.constants(columns, key)

    def _batch(self, file: Any, first: int, last: int) -> tuple[Points, list[dict[str, list[Label]]]]:
        """Points of the clouds first <= i < last, one after another, and what their columns hold."""
        census = self.census
        places = {tuple(label): i for i, label in enumerate(census.labels[first:last].tolist())}
        filled = np.cumsum(census.counts[first:last]) - census.counts[first:last]
        points = np.empty((int(census.counts[first:last].sum()), 3))
        carried: list[dict[str, list[Label]]] = [{name: [] for name in self.beside.columns} for _ in places]
        low, high = int(census.first[first:last].min()), int(census.last[first:last].max()) + 1
        wanted = tuple(dict.fromkeys([*self.needs, *self.beside.columns]))
        for block in self.table.blocks(file, wanted, low, high):
            labels, inverse = unique_rows(self.label(block))
            place = np.array([places.get(tuple(label), -1) for label in labels.tolist()], dtype=int)[inverse]
            order = np.argsort(place, kind="stable")
            present, begin = np.unique(place[order], return_index=True)
            for i, rows in zip(present.tolist(), np.split(order, begin[1:]), strict=True):
                if i >= 0:
                    points[filled[i] : filled[i] + len(rows)] = block.points[rows]
                    filled[i] += len(rows)
                    for name, parts in carried[i].items():
                        parts.append(np.unique(block.columns[name][rows]))
        return points, carried


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


def take_census(
    blocks: Iterable[Block], label: Labeller, given: Callable[[Label], NDArray[np.bool_]]
) -> Census:
    """Count the rows of each label; rows whose label is not `given` belong to no cloud.

    It holds a block and the labels that differ.
    """
    census, rows = None, 0
    for block in blocks:
        labels, inverse = unique_rows(label(block))
        rows += len(inverse)
        last = np.zeros(len(labels), dtype=np.int64)
        last[inverse] = np.arange(block.first, block.first + len(inverse))
        first = np.zeros(len(labels), dtype=np.int64)
        first[inverse[::-1]] = np.arange(block.first, block.first + len(inverse))[::-1]
        part = Census(labels, np.bincount(inverse, minlength=len(labels)), first, last, rows)
        census = part if census is None else _merged(census, part)
    if census is None:
        empty = np.zeros(0, dtype=np.int64)
        return Census(np.zeros((0, 1)), empty, empty, empty, 0)
    return census.pick(given(census.labels))


def unique_rows(labels: Label) -> tuple[Label, NDArray[np.int64]]:
    """The rows of labels (n, k) that differ, sorted, and for each row which one it is.

    Column by column, since `np.unique` along an axis sorts records, many times slower.
    """
    codes = np.zeros(len(labels), dtype=np.int64)
    for column in labels.T:
        values, inverse = np.unique(column, return_inverse=True)
        _, codes = np.unique(codes * max(1, len(values)) + inverse, return_inverse=True)
    _, index = np.unique(codes, return_index=True)
    return labels[index], codes


def batches(counts: NDArray[np.int64], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Ranges of clouds whose points take BATCH_BYTES at most, or of a single larger cloud."""
    ends = np.cumsum(counts)
    while start < stop:
        before = ends[start] - counts[start]
        most = before + BATCH_BYTES // POINT_BYTES
        last = min(stop, max(start + 1, int(np.searchsorted(ends, most, side="right"))))
        yield start, last
        start = last


def _merged(a: Census, b: Census) -> Census:
    labels, inverse = unique_rows(np.concatenate([a.labels, b.labels]))
    counts = np.zeros(len(labels), dtype=np.int64)
    np.add.at(counts, inverse, np.concatenate([a.counts, b.counts]))
    first = np.full(len(labels), np.iinfo(np.int64).max)
    np.minimum.at(first, inverse, np.concatenate([a.first, b.first]))
    last = np.zeros(len(labels), dtype=np.int64)
    np.maximum.at(last, inverse, np.concatenate([a.last, b.last]))
    return Census(labels, counts, first, last, b.rows)
