"""Clouds in CSV files: each file is one table, cut like any other."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds import cutting
from voxgen.sources.clouds.attributes import SETTINGS, Places
from voxgen.sources.clouds.columns import (
    choose_named_axes,
    choose_numbered_axes,
    match_name,
    name_some,
    split_unit,
    tells_clouds_apart,
)
from voxgen.sources.clouds.cutting import Block, Columns, Runs, Scattered
from voxgen.sources.clouds.grouping import cut
from voxgen.sources.clouds.parts import Found, Scale, place_points
from voxgen.sources.clouds.units import find_scale, join_units
from voxgen.sources.clouds.writing import Form

HEAD_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written; `names` are its columns, numbers as text where it has no header."""

    names: tuple[str, ...]
    header: bool
    separator: str
    decimal: str
    encoding: str


@dataclass(frozen=True, slots=True)
class CsvTable:
    """The table of a CSV file; what holds it is its path."""

    dialect: Dialect
    axes: tuple[int, ...]
    scale: Scale
    z: float | None
    key: str = "table"

    def position(self, name: str) -> int | None:
        """Which column `name` is, with or without its unit and whatever its case; None unless it is one."""
        found = match_name(name, self.dialect.names)
        return self.dialect.names.index(found[0]) if len(found) == 1 else None

    def count(self, file: Path) -> int:
        return sum(len(block.points) for block in self.blocks(file, (), 0, None))

    def columns(self, file: Path) -> Columns:
        names = self.dialect.names
        return Columns([name for name in names if tells_clouds_apart(split_unit(name)[0])], names)

    def has_column(self, file: Path, name: str) -> bool:
        return self.position(name) is not None

    def blocks(
        self, file: Path, columns: Sequence[str], start: int, stop: int | None, points: bool = True
    ) -> Iterator[Block]:
        numbers = {name: i for name in columns if (i := self.position(name)) is not None}
        axes = self.axes if points else ()
        for first, frame in _read_frames(file, self.dialect, axes, tuple(numbers.values()), stop):
            if first + len(frame) <= start:
                continue
            frame = frame.iloc[max(0, start - first) :]
            raw = frame[list(axes)].to_numpy(np.float64)
            found = place_points(raw, self.scale, self.z) if points else raw
            texts = {name: frame[i].fillna("").to_numpy().astype(str) for name, i in numbers.items()}
            yield Block(max(first, start), found, texts)


def plan_csv(
    path: Path, wanted: CloudSettings, carry: Sequence[str]
) -> tuple[Sequence[Runs | Scattered], Found, Form]:
    """Find the clouds of a CSV file: their part, what was recognised, and the form to write them in.

    Raises:
        InputError: the file is missing or not a table of numbers, or a setting does not fit it.
    """
    for name in ("key", "offsets", "counts"):
        if getattr(wanted, name) is not None:
            raise InputError(
                f"{path}: data.{name} is for HDF5 files, but data.source is csv; set data.{name} to null"
            )
    dialect = sniff(path)
    axes = _choose_axes(path, dialect, wanted)
    names = tuple(dialect.names[axis] for axis in axes)
    units = tuple(split_unit(name)[1] for name in names)
    notes = [] if dialect.separator == "," else [f"separator {dialect.separator!r}"]
    found = Found(columns=names if dialect.header else axes, tile=wanted.tile, notes=notes)
    found.unit_found, found.scale = join_units(units), find_scale(units, wanted, str(path), notes)
    table = CsvTable(dialect, axes, found.scale, wanted.z)
    part = cut(table, path, str(path), wanted, found)
    for name in carry:
        if not table.has_column(path, name):
            there = name_some(dialect.names)
            raise InputError(
                f"{path}: no column '{name}', there is: {there}; correct {SETTINGS}, or set it to null"
            )
    part.places = Places(str(path), columns=tuple(carry), parse=True)
    by = "a table by column" if wanted.tile is None else "a table by tiles"
    found.layout = f"CSV, {'one cloud per file' if isinstance(part, Runs) else by}"
    return [part], found, Form("table", "points", wanted.unit, np.dtype(np.float32))


def sniff(path: Path) -> Dialect:
    """Separator, decimal mark, encoding and header of a CSV file, from its beginning.

    Raises:
        InputError: the file is missing, empty, HDF5, or not text.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; correct data.files")
    if h5py.is_hdf5(path):
        raise InputError(f"{path}: is HDF5, expected CSV; set data.source: h5, or correct data.files")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if b"\0" in head:
        raise InputError(f"{path}: is not text, expected CSV; correct data.files")
    if len(head) == HEAD_BYTES:  # the last line, and with it a character, may be cut
        head = head[: head.rfind(b"\n") + 1] or head
    try:
        encoding, text = "utf-8-sig", head.decode("utf-8-sig")
    except UnicodeDecodeError:
        encoding, text = "latin-1", head.decode("latin-1")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path}: is empty, expected CSV with columns x, y, z; fetch it again")
    separator = max(",;\t", key=lambda mark: len(_split(lines[0], mark)))
    first = _split(lines[0], separator)
    comma = any(re.fullmatch(r"\s*-?\d*,\d+\s*", part) for part in _split(lines[:2][-1], separator))
    decimal = "," if comma and separator != "," else "."
    header = not all(_is_number(part, decimal) for part in first)
    names = [part.strip().removeprefix("#").strip() or str(i) for i, part in enumerate(first)]
    if header and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: row 0: the column '{twice}' occurs twice; rename one")
    numbered = tuple(map(str, range(len(first))))
    return Dialect(tuple(names) if header else numbered, header, separator, decimal, encoding)


def _choose_axes(path: Path, dialect: Dialect, wanted: CloudSettings) -> tuple[int, ...]:
    columns = wanted.columns
    if columns is not None and all(isinstance(column, int) for column in columns):
        return choose_numbered_axes(len(dialect.names), wanted, str(path))
    if not dialect.header:
        raise InputError(
            f"{path}: row 0: its {len(dialect.names)} columns have no names, expected a header with x, y, z; "
            "add one, or number x, y, z in data.columns: [0, 1, 2]"
        )
    return tuple(dialect.names.index(name) for name in choose_named_axes(dialect.names, wanted, str(path)))


def _read_frames(
    path: Path, dialect: Dialect, axes: Sequence[int], texts: Sequence[int], stop: int | None
) -> Iterator[tuple[int, Any]]:
    """Yield (first row, frame) of the wanted columns, coordinates as float64 and others as text."""
    import pandas as pd  # slow to import, and only CSV needs it

    others = dict.fromkeys(range(len(dialect.names)), str)
    types: dict[int, type] = {**others, **dict.fromkeys(axes, float)}
    first = 0
    try:
        with pd.read_csv(
            path,
            sep=dialect.separator,
            decimal=dialect.decimal,
            encoding=dialect.encoding,
            encoding_errors="replace",
            header=None,
            names=list(others),
            skiprows=int(dialect.header),
            index_col=False,
            dtype=types,
            skipinitialspace=True,
            nrows=stop,
            chunksize=cutting.BLOCK_ROWS,
        ) as reader:
            for frame in reader:
                yield first, frame[[*axes, *texts]]  # `usecols` would let rows of too many cells pass
                first += len(frame)
    except pd.errors.EmptyDataError:
        return
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(_describe_failure(path, dialect, axes, str(error))) from None


def _describe_failure(path: Path, dialect: Dialect, axes: Sequence[int], error: str) -> str:
    """Where the first coordinate stands that is not a number; else what pandas says."""
    with path.open(newline="", encoding=dialect.encoding, errors="replace") as file:
        for row, parts in enumerate(csv.reader(file, delimiter=dialect.separator), -int(dialect.header)):
            for axis in axes if row >= 0 else ():
                if axis < len(parts) and parts[axis].strip() and not _is_number(parts[axis], dialect.decimal):
                    name = dialect.names[axis]
                    return (
                        f"{path}: row {row}: column '{name}' holds '{parts[axis]}', expected a number; "
                        "mend the row, or correct data.columns"
                    )
    expected = f"expected {len(dialect.names)} columns; mend the file"
    return f"{path}: cannot be read as CSV ({error.strip()}), {expected}"


def _split(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator))


def _is_number(text: str, decimal: str) -> bool:
    try:
        float(text.strip().replace(decimal, "."))
    except ValueError:
        return False
    return True
