"""Lines of a text table as cells: separators, decimal marks, numbers, and which of them a file uses."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

SPACES = " "  # stands for any number of spaces and tabs
SEPARATORS = ("\t", ";", ",", SPACES)
MARKS = ("#", "%", "//")
SAMPLE = 40  # lines that show how rows are written
LONGEST = 100_000  # characters of a line that may be a row

# What pandas takes for a missing number.
MISSING = {
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
    *("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
}
# Digits, and words for what is infinite or undefined; a decimal comma is followed by digits.
_NUMBERS = {
    ".": re.compile(r"\s*[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf|infinity)\s*", re.IGNORECASE),
    ",": re.compile(r"\s*[-+]?(?:(?:\d+(?:,\d+)?|,\d+)(?:e[-+]?\d+)?|nan|inf|infinity)\s*", re.IGNORECASE),
}
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")


@dataclass(frozen=True, slots=True)
class Form:
    """How the rows of a text table are written.

    Attributes:
        separator: between cells; SPACES for any number of spaces and tabs.
        decimal: the decimal mark.
        width: cells of a row.
        closed: whether a separator ends each row, so that its last cell is always empty.
        numeric: columns of numbers.
    """

    separator: str
    decimal: str
    width: int
    closed: bool = False
    numeric: frozenset[int] = frozenset()

    def split(self, text: str) -> list[str]:
        return split_cells(text, self.separator)

    def is_comment(self, text: str) -> bool:
        marks = MARKS if self.separator == ";" else (*MARKS, ";")
        return text.lstrip().startswith(marks)

    def is_number(self, cell: str) -> bool:
        """Whether the cell is written as a number, infinite and undefined ones included."""
        return _NUMBERS[self.decimal].fullmatch(cell) is not None

    def rows(self, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """Number and cells of the lines that have the width of a row and two numbers at least."""
        for number, text in enumerate(lines):
            cells = self.split(text)
            if len(cells) == self.width and sum(map(self.is_number, cells)) > 1 and not self.is_comment(text):
                yield number, cells

    def is_row(self, cells: Sequence[str]) -> bool:
        """Whether the cells fill a row, with a number or nothing where all rows have numbers."""
        return len(cells) == self.width and all(
            self.is_number(cells[i]) or is_missing(cells[i]) for i in self.numeric
        )


def split_cells(text: str, separator: str) -> list[str]:
    """The cells of a line, without quotes and the space around them."""
    if len(text) > LONGEST:
        return [text]
    if separator == SPACES:
        text = text.replace("\t", " ").strip()
    cells = next(csv.reader([text], delimiter=separator, skipinitialspace=True), [])
    return [cell.strip() for cell in cells]


def is_missing(cell: str) -> bool:
    """Whether the cell says that there is no value."""
    return cell.strip() in MISSING


def find_form(lines: Sequence[str]) -> Form | None:
    """How the rows among the lines are written; None where no line has two numbers."""
    filled = [line for line in lines if line.strip() and "\0" not in line]
    return _try_forms(filled[-SAMPLE:]) or _try_forms(filled)


def find_columns(form: Form, lines: Sequence[str]) -> Form:
    """The form with what its rows among the lines hold: columns of numbers, and a last one that is empty."""
    step = max(1, len(lines) // SAMPLE)
    rows = [cells for _, cells in form.rows(lines[::step])] or [cells for _, cells in form.rows(lines)]
    numeric = set()
    for i, column in enumerate(zip(*rows, strict=True)):
        given = [cell for cell in column if not is_missing(cell)]
        numbers = sum(map(form.is_number, given))
        others = len(given) - numbers
        if others <= numbers and others <= max(1, len(given) // 10) and given:
            numeric.add(i)
    closed = form.separator != SPACES and all(cells[-1] == "" for cells in rows)
    return replace(form, closed=closed, numeric=frozenset(numeric))


def may_be_thousands(form: Form, lines: Sequence[str]) -> str | None:
    """A number with a comma, where nothing in the lines tells a decimal comma from one between thousands."""
    if form.decimal != ",":
        return None
    cells = [cell for _, cells in form.rows(lines) for cell in cells if "," in cell and form.is_number(cell)]
    return cells[0] if cells and all(map(_THOUSANDS.fullmatch, cells)) else None


def _try_forms(lines: Sequence[str]) -> Form | None:
    """The form in which most lines are rows, and most of their cells numbers."""
    best, most = None, (0, 0.0)
    there = set("".join(lines)) | {SPACES}
    for separator in (mark for mark in SEPARATORS if mark in there):
        for decimal in ".," if "," in there else ".":
            form, score = _try_form(lines, Form(separator, decimal, 0))
            if score > most:
                best, most = form, score
        if most[0] >= len(lines) - 1 and most[1] == 1:  # every line but a header, every cell
            break
    return best


def _try_form(lines: Sequence[str], form: Form) -> tuple[Form, tuple[int, float]]:
    """The form with the width that most rows have; its rows, and the share of numbers in what they hold."""
    counts: Counter[int] = Counter()
    numbers: Counter[int] = Counter()
    filled: Counter[int] = Counter()
    for line in lines:
        cells = form.split(line)
        found = sum(map(form.is_number, cells))
        if found > 1 and not form.is_comment(line):
            counts[len(cells)] += 1
            numbers[len(cells)] += found
            filled[len(cells)] += sum(map(bool, cells))
    if not counts:
        return form, (0, 0.0)
    width, rows = counts.most_common(1)[0]
    return replace(form, width=width), (rows, numbers[width] / filled[width])
