"""Where the table of a text file is: its header, its first and its last row, and what stands around it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from voxgen.errors import InputError
from voxgen.sources.clouds.columns import name_some
from voxgen.sources.clouds.text_cells import SPACES, Form, find_columns, find_form, may_be_thousands
from voxgen.sources.clouds.text_footer import find_stop
from voxgen.sources.clouds.text_header import Names, find_header, read_names_alone, read_unit_column
from voxgen.sources.clouds.text_lines import count_bytes, find_encoding, read_lines
from voxgen.sources.clouds.text_programs import BINARY, refuse_foreign
from voxgen.sources.clouds.units import Units

HEAD_BYTES = (1 << 16, 1 << 20, 1 << 24)  # tried in turn, where lines before the table fill the head


@dataclass(frozen=True, slots=True)
class TextTable:
    """How the table of a text file is written.

    Attributes:
        names: its columns; their numbers as text where it has no header.
        header: whether it has one.
        units: of each column, where a row below the header states them.
        form: how its rows are written.
        start, stop: the bytes of its rows.
        first_line: the line of the file that is row 0, from 1.
        preamble: lines before the table and its header.
        notes: what stands around the table and is not read.
    """

    names: tuple[str, ...]
    header: bool
    units: Units
    form: Form
    encoding: str
    start: int
    stop: int
    first_line: int
    preamble: tuple[str, ...]
    notes: tuple[str, ...]


def find_table(path: Path, fits: Names) -> TextTable:
    """The table of a text file; `fits` tells names of columns that hold the coordinates from others.

    Raises:
        InputError: the file is missing, empty, HDF5, not text, or another kind of file; its header does not
            stand over its rows, or names a column twice; its numbers could mean two things.
    """
    encoding, mark, lines, form = _read_head(path)
    texts = [line.rstrip("\r\n") for line in lines]
    if form is None:
        _refuse_without_rows(path, texts)
        form, header = read_names_alone(path, texts)
    else:
        form = find_columns(form, texts)
        header = find_header(path, texts, form, fits)
        if header.begin:  # lines before the table may have looked like rows
            form = find_columns(form, texts[header.rows :])
    if not header.found or not fits(header.names):
        refuse_foreign(path, texts)
    if (number := may_be_thousands(form, texts)) is not None:
        raise InputError(
            f"{path}: numbers such as {number} may have a decimal comma or one between thousands; "
            "write them with a decimal point"
        )
    units = read_unit_column(header, form, texts[header.rows :])
    start = mark + count_bytes(lines[: header.rows], encoding)
    stop, after = find_stop(path, encoding, start, form)
    around = [*texts[: header.begin], *texts[header.begin + 1 : header.rows]]
    preamble = tuple(text for text in around if text.strip())
    said = "spaces" if form.separator == SPACES else repr(form.separator)
    notes = [] if form.separator == "," else [f"separator {said}"]
    notes += [f"encoding {encoding}"] if encoding.startswith("utf-16") else []
    notes += _name_lines("before", preamble) + _name_lines("after", after)
    return TextTable(
        header.names, header.found, units, form, encoding, start, stop,
        header.rows + 1, preamble, tuple(notes),
    )  # fmt: skip


def _read_head(path: Path) -> tuple[str, int, list[str], Form | None]:
    """Encoding, bytes of its mark, first lines and form of a file: so many that a row is there."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; correct data.files")
    if h5py.is_hdf5(path):
        raise InputError(f"{path}: is HDF5, expected CSV; set data.source: h5, or correct data.files")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES[0])
    for magic, what in BINARY.items():
        if head.startswith(magic):
            raise InputError(f"{path}: is {what}")
    encoding, mark = find_encoding(head)
    size = path.stat().st_size
    lines, form = list[str](), None
    for most in HEAD_BYTES:
        lines = read_lines(path, encoding, mark, min(most, size))
        if size > most:
            lines = lines[:-1] or lines  # the last one may be cut
        form = find_form([line.rstrip("\r\n") for line in lines])
        if size <= most or form is not None:
            break
    return encoding, mark, lines, form


def _refuse_without_rows(path: Path, texts: Sequence[str]) -> None:
    """Refuse what is no table without rows either."""
    if not any(text.strip() for text in texts):
        raise InputError(f"{path}: is empty, expected CSV with columns x, y, z; fetch it again")
    if any("\0" in text for text in texts):
        raise InputError(f"{path}: is not text, expected CSV; correct data.files")


def _name_lines(where: str, lines: Sequence[str]) -> list[str]:
    """A note on lines before or after the table."""
    shown = [line.strip("\0 \t") for line in lines]
    shown = [repr(line if len(line) <= 60 else line[:57] + "...") for line in shown if line]
    count = f"{len(shown)} line{'s' if len(shown) > 1 else ''} {where} the table"
    return [f"{count}, not read as rows: {name_some(shown, 3)}"] if shown else []
