"""`voxgen compare`: settings, scores and times of finished runs side by side."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from voxgen.errors import InputError
from voxgen.io.files import replacing
from voxgen.pages.comparing.comparison import Comparison, compare_runs
from voxgen.pages.comparing.finished_runs import FinishedRun, read_runs
from voxgen.pages.comparing.run_scores import LEGEND, OVERLAP
from voxgen.pages.comparing.run_settings import describe_extent
from voxgen.pages.comparing.run_tests import NONE_FOUND
from voxgen.pages.score_tables import WORDS, Cell

GAP = "   "


def compare(folders: Sequence[Path], page: Path | None) -> Iterator[str]:
    """The lines of the comparison; the same goes to `page` as HTML, with pictures, if one is given.

    Raises:
        InputError: a folder holds no run, a file in it is damaged, or `page` cannot be written.
    """
    runs = read_runs(folders)
    found = compare_runs(runs)
    if page is not None:
        _write(page, runs, found)
    yield from _lines(runs, found)
    if page is not None:
        yield from ("", f"Written: {page}")


def _write(page: Path, runs: Sequence[FinishedRun], found: Comparison) -> None:
    from voxgen.pages.comparing.comparison_page import comparison_page

    html = comparison_page(runs, found)
    try:
        with replacing(page) as temporary:
            temporary.write_text(html, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--html {page}: cannot be written ({error.strerror})") from None


def _lines(runs: Sequence[FinishedRun], found: Comparison) -> Iterator[str]:
    names = [run.name for run in runs]
    yield from _aligned([[run.name, str(run.results)] for run in runs])
    yield from _warnings(found)
    yield ""
    yield from found.findings
    yield from _table("Verdicts of their own gates", ["", *names], _verdicts(found))
    yield from _table("Settings that differ", ["", *names], found.settings)
    if not found.settings:
        yield from ("", "No recorded setting differs.")
    yield describe_extent(runs)
    for table in found.tables:
        rows = [[row.label, row.good, *map(_cell, row.cells)] for row in table.rows]
        yield from _table(f"{table.title} ({table.sizes})", ["", "good is", *table.columns], rows)
    if found.tables:
        yield from ("", LEGEND.format(first=names[0]))
    yield from _table("Training", ["", *names], found.losses)
    if found.other_latents:
        yield "The priors learned the latents of different autoencoders: their losses do not compare."
    yield from _table("Times", ["", *names], found.times)


def _warnings(found: Comparison) -> Iterator[str]:
    if found.reasons:
        yield from ("", "NOT COMPARABLE")
        yield from (f"  {reason}" for reason in found.reasons)
    if found.doubts:
        yield from ("", "With care")
        yield from (f"  {doubt}" for doubt in found.doubts)
    if found.missing:
        yield from ("", "Missing")
        yield from (f"  {gone}" for gone in found.missing)


def _verdicts(found: Comparison) -> list[list[str]]:
    return [[row[0], *(WORDS.get(verdict, verdict) for verdict in row[1:])] for row in found.verdicts]


def _cell(cell: Cell) -> str:
    words = "; ".join(cell.lines)
    return words if cell.outcome in ("", OVERLAP, NONE_FOUND) else f"{words} {cell.outcome}"


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield from ("", title)
        yield from (f"  {line}" for line in _aligned([columns, *rows]))


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows whose cells begin below one another."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
