"""What stands after the rows of a text table: summaries, metadata, comments."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from voxgen.errors import InputError
from voxgen.sources.clouds.text_cells import Form, is_missing
from voxgen.sources.clouds.text_lines import count_bytes, read_lines

TAIL_BYTES = 1 << 14
SUMMARIES = re.compile(
    r"(mean|average|avg|sd|sem|std|stdev|std\.? ?dev\.?|var|min|max|minimum|maximum|median|sum|total|count"
    r"|mittelwert|summe|gesamt|moyenne|somme|media|promedio|suma|totale?)s?\s*[:=]?",
    re.IGNORECASE,
)
LETTERS = re.compile("[A-Za-z]{2}")


def find_stop(path: Path, encoding: str, start: int, form: Form) -> tuple[int, list[str]]:
    """The byte at which the rows that begin at `start` end, and the lines after them.

    Raises:
        InputError: the last row may be a sum.
    """
    size = path.stat().st_size
    if not form.numeric or size <= start:
        return size, []
    begin = max(start, size - TAIL_BYTES)
    begin += (begin - start) % 2 if encoding.startswith("utf-16") else 0
    lines = read_lines(path, encoding, begin, size)[begin > start :]
    summaries = _find_summaries(lines, form)
    stop, after = len(lines), list[str]()
    for number in range(len(lines) - 1, -1, -1):
        text = lines[number].rstrip("\r\n")
        if text.strip("\0 \t") and not _is_footer(number, lines, form, summaries):
            _check_last(path, text, lines[:number], form)
            return size - count_bytes(lines[stop:], encoding), after
        if text.strip():
            stop, after = number, [text, *after]
    return size, []  # no row among them: reading will tell


def _find_summaries(lines: Sequence[str], form: Form) -> set[str]:
    """Words such as mean that stand in one line alone; not Max or Min without others: they are names."""
    likely = (line.rstrip("\r\n") for line in lines if LETTERS.search(line))
    cells = [cell for line in likely for cell in form.split(line)]
    counts = Counter(cell for cell in cells if SUMMARIES.fullmatch(cell))
    alone = {word for word, count in counts.items() if count == 1}
    return alone if {word.lower() for word in alone} - {"max", "min"} else set()


def _is_footer(number: int, lines: Sequence[str], form: Form, summaries: set[str]) -> bool:
    """Whether a line at the end is no row: a comment, a line of words, or one that holds 'mean' or such.

    A line that could be a damaged row is none.
    """
    text = lines[number].rstrip("\r\n")
    cells = form.split(text)
    if form.is_comment(text) or "\0" in text:
        return True
    if len(cells) == form.width:
        numbers = any(form.is_number(cell) or is_missing(cell) for cell in cells)
        return not numbers or not summaries.isdisjoint(cells)
    begins_with_text = not form.is_number(next((cell for cell in cells if cell), ""))
    apart = len(cells) == 1 or (number > 0 and not lines[number - 1].strip())
    return begins_with_text and (0 in form.numeric or apart)


def _check_last(path: Path, text: str, above: Sequence[str], form: Form) -> None:
    """Refuse a last row that begins with nothing, where all others begin with something: it may be a sum."""
    cells = form.split(text)
    firsts = [form.split(line)[0] for line in above if line.strip()]
    if len(cells) == form.width and not cells[0] and firsts and all(firsts):
        raise InputError(
            f"{path}: the last row begins with an empty cell, as no other does: {text[:80]!r}; "
            "take it out if it is a summary, or fill the cell"
        )
