"""The header of a text table: names and units of its columns, over its first row."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxgen.errors import InputError
from voxgen.sources.clouds.columns import find_axes
from voxgen.sources.clouds.text_cells import SPACES, Form, split_cells
from voxgen.sources.clouds.text_programs import read_rapidstorm
from voxgen.sources.clouds.units import Units, is_unit, may_be_length

NEAR = 20  # lines below the first row in which a header that came late is looked for
MARKS = re.compile(r"\s*(#+|%+|//|;)\s*((columns|fields|header|names)\s*[:=]\s*)?", re.IGNORECASE)
# Over rows that are separated by spaces: two spaces or more, or any but before a unit in brackets.
SPACED = (re.compile(r"\s{2,}|\t"), re.compile(r"(?<!\s)\s+(?![\[(])"))

Names = Callable[[Sequence[str]], bool]


@dataclass(frozen=True, slots=True)
class Header:
    """Names and units of columns, and the lines at which the header and the rows begin.

    Where no header was found, columns are named by their numbers.
    """

    names: tuple[str, ...]
    units: Units
    begin: int
    rows: int
    found: bool = True


def find_header(path: Path, texts: Sequence[str], form: Form, fits: Names) -> Header:
    """The first line that names the coordinates, over rows; else the line over the first row, if any.

    Raises:
        InputError: rows stand before the header, or it names a column twice.
    """
    rows = next((i for i, cells in form.rows(texts) if form.is_row(cells)), len(texts))
    for i, text in enumerate(texts[: rows + NEAR]):
        names = _read_names(path, text, form)
        if names is None or not fits(names):
            continue
        if rows < i:
            raise InputError(
                f"{path}: line {rows + 1} is a row of numbers, but the header is line {i + 1}; "
                "move the header up, or take the lines before it out"
            )
        below, units = _read_units(texts, i + 1, form, fits)
        return Header(_check_names(path, names, form, i), units, i, below)
    return _guess_header(path, texts, rows, form)


def _guess_header(path: Path, texts: Sequence[str], rows: int, form: Form) -> Header:
    """The header over the first row, whatever it names; without one, columns are numbered."""
    above = next((i for i in range(rows - 1, -1, -1) if texts[i].strip()), None)
    none: Units = (None,) * form.width
    numbers = tuple(map(str, range(form.width)))
    if above is not None:
        names = _read_names(path, texts[above], form)
        if names is not None:
            return Header(_check_names(path, names, form, above), none, above, rows)
        cells = form.split(texts[above])
        if len(cells) == form.width and not form.is_comment(texts[above]):
            return Header(numbers, none, above, above, found=False)  # a damaged row: reading it will tell
    if rows + 1 < len(texts) and _is_numbering(form.split(texts[rows]), form.split(texts[rows + 1]), form):
        return Header(numbers, none, rows + 1, rows + 1, found=False)
    return Header(numbers, none, rows, rows, found=False)


def _is_numbering(first: Sequence[str], second: Sequence[str], form: Form) -> bool:
    """Whether the first row only numbers the columns, as pandas writes where they have no names."""
    given = [cell for i, cell in enumerate(first) if cell or i]
    counted = given == [str(i) for i in range(len(given))]
    fractions = any(form.decimal in cell for cell in second)
    return counted and (len(given) < len(first) or fractions)


def _read_names(path: Path, text: str, form: Form) -> list[str] | None:
    """The cells of a line that may be a header of the table: as many as a row has, and no numbers."""
    stated = read_rapidstorm(path, text)
    if stated is not None:
        return stated if len(stated) == form.width else None
    commented = form.is_comment(text)
    for cells in _split_header(MARKS.sub("", text, count=1) if commented else text, form, commented):
        while len(cells) > form.width and not cells[-1]:
            cells.pop()
        if len(cells) == form.width - 1 and form.closed:
            cells.append("")
        words = [cell for cell in cells if cell]
        if len(cells) == form.width and words and not any(map(form.is_number, words)):
            return cells
    return None


def _split_header(text: str, form: Form, commented: bool) -> Iterator[list[str]]:
    """The cells of a header in the ways in which it may be written over such rows."""
    yield form.split(text)
    if form.separator == SPACES:
        for between in SPACED:
            yield [cell.strip(' "') for cell in between.split(text.strip())]
    if form.separator == SPACES or commented:
        for separator in "\t;, ":
            yield split_cells(text, separator)


def _read_units(texts: Sequence[str], line: int, form: Form, fits: Names) -> tuple[int, Units]:
    """The first line below a header, and the units that a line in between states.

    Lines that name the columns in other words stand in between as well: TrackMate writes three headers.
    """
    units: Units = (None,) * form.width

    def named(cells: Sequence[str]) -> bool:
        words = len(cells) == form.width and not any(map(form.is_number, cells))
        axes = find_axes(cells)
        return words and (fits(cells) or bool(axes["x"] and axes["y"]))

    while line < len(texts):
        text = MARKS.sub("", texts[line], count=1) if form.is_comment(texts[line]) else texts[line]
        cells = form.split(text)
        if len(cells) == form.width and _are_units(cells):
            units = tuple(cell.strip("[]() ") or None for cell in cells)
        elif not (form.is_comment(texts[line]) or not text.strip() or named(cells)):
            break
        line += 1
    return line, units


def _are_units(cells: Sequence[str]) -> bool:
    """Whether the cells are units and nothing else, lengths among them."""
    bare = [cell.strip("[]() ") for cell in cells]
    bracketed = [cell[:1] in ("[", "(") for cell in cells]
    units = [not cell or cell == "-" or is_unit(cell) or not may_be_length(cell) for cell in bare]
    return any(map(is_unit, bare)) and all(
        unit or brackets for unit, brackets in zip(units, bracketed, strict=True)
    )


def read_unit_column(header: Header, form: Form, texts: Sequence[str]) -> Units:
    """The units of the header, or the one that all rows state in a column 'Unit', as Imaris writes it."""
    column = next((i for i, name in enumerate(header.names) if name.lower() in ("unit", "units")), None)
    if column is None or any(header.units):
        return header.units
    stated = {cells[column] for _, cells in form.rows(texts)}
    return (stated.pop(),) * form.width if len(stated) == 1 and all(map(is_unit, stated)) else header.units


def _check_names(path: Path, names: Sequence[str], form: Form, line: int) -> tuple[str, ...]:
    named = [name.strip().strip('"') or str(i) for i, name in enumerate(names)]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: line {line + 1}: the column '{twice}' occurs twice; rename one")
    return tuple(named)


def read_names_alone(path: Path, texts: Sequence[str]) -> tuple[Form, Header]:
    """Form and header of a table without rows of numbers: the first line that is no comment.

    Raises:
        InputError: it names a column twice.
    """
    line = next((i for i, text in enumerate(texts) if text.strip() and not MARKS.match(text)), 0)
    text = MARKS.sub("", texts[line], count=1)
    separator = max(",;\t ", key=lambda mark: len(split_cells(text, mark)))
    form = Form(separator, ".", len(split_cells(text, separator)))
    names = _check_names(path, form.split(text), form, line)
    return form, Header(names, (None,) * form.width, line, line + 1)
