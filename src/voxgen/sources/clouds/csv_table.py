"""Clouds in text files: each file is one table, cut like any other."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds import cutting
from voxgen.sources.clouds.attributes import SETTINGS, Places
from voxgen.sources.clouds.columns import (
    choose_named_axes,
    choose_numbered_axes,
    find_axes,
    match_name,
    name_some,
    split_unit,
)
from voxgen.sources.clouds.cutting import Block, Columns, Runs, Scattered
from voxgen.sources.clouds.grouping import cut
from voxgen.sources.clouds.meaning import split_words, tells_clouds_apart, tells_kinds_apart
from voxgen.sources.clouds.padding import MASKS
from voxgen.sources.clouds.parts import Found, Scale, place_points
from voxgen.sources.clouds.text_cells import SPACES, is_missing
from voxgen.sources.clouds.text_lines import open_part
from voxgen.sources.clouds.text_programs import find_pixel, state_units
from voxgen.sources.clouds.text_table import TextTable, find_table
from voxgen.sources.clouds.units import Units, find_scale, is_pixels, join_units
from voxgen.sources.clouds.writing import Form


@dataclass(frozen=True, slots=True)
class CsvTable:
    """The table of a text file; what holds it is its path."""

    text: TextTable
    axes: tuple[int, ...]
    scale: Scale
    z: float | None
    key: str = "table"

    def position(self, name: str) -> int | None:
        """Which column `name` is, with or without its unit and whatever its case; None unless it is one."""
        found = match_name(name, self.text.names)
        return self.text.names.index(found[0]) if len(found) == 1 else None

    def count(self, file: Path) -> int:
        return sum(len(block.points) for block in self.blocks(file, (), 0, None))

    def columns(self, file: Path) -> Columns:
        names = self.text.names
        said = {name: split_unit(name)[0] for name in names}
        return Columns(
            [name for name in names if tells_clouds_apart(said[name])],
            names,
            kinds=[name for name in names if tells_kinds_apart(said[name])],
        )

    def has_column(self, file: Path, name: str) -> bool:
        return self.position(name) is not None

    def blocks(
        self, file: Path, columns: Sequence[str], start: int, stop: int | None, points: bool = True
    ) -> Iterator[Block]:
        numbers = {name: i for name in columns if (i := self.position(name)) is not None}
        axes = self.axes if points else ()
        for first, frame in _read_frames(file, self.text, axes, tuple(numbers.values()), stop):
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
    """Find the clouds of a text file: their part, what was recognised, and the form to write them in.

    Raises:
        InputError: the file is missing or not a table of numbers, or a setting does not fit it.
    """
    for name in ("key", "offsets", "counts", "mask"):
        if wanted.named(name) is not None:
            raise InputError(
                f"{path}: data.{name} is for HDF5 files, but data.source is csv; set data.{name} to null"
            )
    text = find_table(path, lambda names: _hold_the_coordinates(names, wanted))
    axes = _choose_axes(path, text, wanted)
    names = tuple(text.names[axis] for axis in axes)
    found = Found(columns=names if text.header else axes, tile=wanted.tile, notes=list(text.notes))
    if others := [name for axis in find_axes(text.names).values() for name in axis if name not in names]:
        found.notes.append(f"columns {name_some(others)} are coordinates as well: not used (data.columns)")
    units = _find_units(path, text, axes, found.notes)
    in_pixels = wanted.scale is None and any(unit is not None and is_pixels(unit) for unit in units)
    pixel = find_pixel(path, text.names, text.preamble, found.notes) if in_pixels else None
    found.unit_found = join_units(units)
    found.scale = find_scale(units, wanted, str(path), found.notes, pixel)
    table = CsvTable(text, axes, found.scale, wanted.z)
    if wanted.mask is None:
        _refuse_masks(table, path)
    part = cut(table, path, str(path), wanted, found)
    for name in carry:
        if not table.has_column(path, name):
            there = name_some(text.names)
            raise InputError(
                f"{path}: no column '{name}', there is: {there}; correct {SETTINGS}, or set it to null"
            )
    part.places = Places(str(path), columns=tuple(carry), parse=True)
    by = "a table by column" if wanted.tile is None else "a table by tiles"
    found.layout = f"CSV, {'one cloud per file' if isinstance(part, Runs) else by}"
    return [part], found, Form("table", "points", wanted.unit, np.dtype(np.float32))


def _refuse_masks(table: CsvTable, path: Path) -> None:
    """Refuse a column that is called a mask and has several values."""
    for name in table.text.names:
        if split_words(name) & MASKS:
            blocks = table.blocks(path, [name], 0, None, points=False)
            if len({value for block in blocks for value in np.unique(block.columns[name]).tolist()}) > 1:
                raise InputError(
                    f"{path}: the column {name} may say which rows are points; take the others out, "
                    "or set data.mask to none"
                )


def _hold_the_coordinates(names: Sequence[str], wanted: CloudSettings) -> bool:
    """Whether these are names of columns among which the settings find x and y."""
    asked = [column for column in wanted.columns or () if isinstance(column, str)]
    if asked:
        return all(match_name(column, names) for column in asked)
    axes = find_axes(names)
    return bool(axes["x"] and axes["y"])


def _choose_axes(path: Path, text: TextTable, wanted: CloudSettings) -> tuple[int, ...]:
    if wanted.columns_are_numbers:
        return choose_numbered_axes(len(text.names), wanted, str(path))
    if not text.header:
        above = f" and the line above them is {text.preamble[-1][:60]!r}" if text.preamble else ""
        raise InputError(
            f"{path}: row 0: its {len(text.names)} columns have no names{above}, expected a header with "
            "x, y, z; add one, or number x, y, z in data.columns: [0, 1, 2]"
        )
    return tuple(text.names.index(name) for name in choose_named_axes(text.names, wanted, str(path)))


def _find_units(path: Path, text: TextTable, axes: Sequence[int], notes: list[str]) -> Units:
    """The unit of each axis: of its name, of the row below the header, or of what its program says."""
    units = []
    for axis in axes:
        name, below = text.names[axis], text.units[axis]
        named = split_unit(name)[1]
        if named is not None and below is not None and named != below:
            raise InputError(
                f"{path}: column '{name}' has the units {named} and {below}, expected one; set data.scale"
            )
        units.append(named if below is None else below)
    if None not in units:
        return tuple(units)
    stated = state_units(path, text.names, text.preamble, len(axes), notes)
    return tuple(other if unit is None else unit for unit, other in zip(units, stated, strict=True))


def _read_frames(
    path: Path, text: TextTable, axes: Sequence[int], texts: Sequence[int], stop: int | None
) -> Iterator[tuple[int, Any]]:
    """Yield (first row, frame) of the wanted columns, coordinates as float64 and others as text."""
    import pandas as pd  # slow to import, and only text files need it

    form = text.form
    types: dict[int, type] = dict.fromkeys(range(form.width), str)
    types |= dict.fromkeys(form.numeric, float) | dict.fromkeys(texts, str) | dict.fromkeys(axes, float)
    last = form.width - 1 - form.closed
    first, complete = 0, False
    # Text is compared, so that its characters have to be right; of numbers only digits matter.
    errors = "strict" if texts else "replace"
    try:
        with (
            open_part(path, text.encoding, text.start, text.stop, errors) as part,
            pd.read_csv(
                part,
                sep=r"\s+" if form.separator == SPACES else form.separator,
                decimal=form.decimal,
                header=None,
                names=list(types),
                index_col=False,
                dtype=types,
                skipinitialspace=True,
                nrows=stop,
                chunksize=cutting.BLOCK_ROWS,
            ) as reader,
        ):
            for frame in reader:
                if not complete and frame[last].isna().any():  # an empty cell, or a row that ends before it
                    _check_rows(path, text)
                    complete = True
                yield first, frame[[*axes, *texts]]  # `usecols` would let rows of too many cells pass
                first += len(frame)
    except pd.errors.EmptyDataError:
        return
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not all {text.encoding} ({error}); save it as UTF-8") from None
    except (ValueError, pd.errors.ParserError) as error:
        _check_rows(path, text, types, axes)
        expected = f"expected {len(text.names)} columns; mend the file"
        raise InputError(f"{path}: cannot be read as CSV ({str(error).strip()}), {expected}") from None


def _check_rows(
    path: Path, text: TextTable, types: Mapping[int, type] | None = None, axes: Sequence[int] = ()
) -> None:
    """Refuse the first row with too few or too many cells, or with text in a column of numbers.

    Raises:
        InputError: naming the row, the line, and what stands there.
    """
    form, row = text.form, 0
    with open_part(path, text.encoding, text.start, text.stop) as part:
        lines = (" ".join(line.split()) for line in part) if form.separator == SPACES else part
        rows = csv.reader(lines, delimiter=form.separator, skipinitialspace=True)
        for cells in rows:
            if not any(cells) and len(cells) < 2:
                continue
            where = f"{path}: row {row} (line {text.first_line + rows.line_num - 1})"
            if len(cells) not in (form.width, form.width - form.closed):
                raise InputError(
                    f"{where}: found a row of {len(cells)}, expected {form.width} cells "
                    f"({name_some(text.names)}): {form.separator.join(cells)[:80]!r}; mend it, or take it out"
                )
            for column, kind in (types or {}).items():
                cell = cells[column] if column < len(cells) else ""
                if kind is float and not form.is_number(cell) and not is_missing(cell):
                    remedy = "correct data.columns" if column in axes else "the column if it holds names"
                    raise InputError(
                        f"{where}: column '{text.names[column]}' holds '{cell}', expected a number; "
                        f"mend the row, take it out, or {remedy}"
                    )
            row += 1
