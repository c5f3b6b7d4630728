"""Stage `ask_conditions`: settings and split -> what each sample is asked to be, before any training."""

from collections.abc import Sequence
from pathlib import Path

from voxgen.batches.asked import Wanted, asked_rows
from voxgen.batches.conditions import fit_vocabulary, read_conditions
from voxgen.errors import InputError
from voxgen.io.files import read_table, write_table
from voxgen.settings.conditions import ConditionSettings

COLUMNS = ("index", "label", "attributes")


def ask_conditions(
    split: Path,
    table: Path | None,
    asked: Path,
    settings: str | dict[str, str | int | float] | None,
    condition: ConditionSettings,
    samples: int,
    seed: int,
) -> None:
    """Write `asked` (CSV): index, label and attributes (JSON) of each sample, as an index has them.

    `settings` is sampling.condition: null, values for all samples, or the name of `table`.

    Raises:
        InputError: the train split of `split` (split.csv) has not what the prior is to be told, or no such
            class; the table is none, or has other columns.
    """
    train = [row for row in read_table(split) if row["split"] == "train"]
    vocabulary = fit_vocabulary(read_conditions(train), condition)
    wanted: Sequence[Wanted] = [settings] if isinstance(settings, dict) else []
    if table is not None:
        wanted = _read(table)
    where = "sampling.condition" if table is None else str(table)
    rows = asked_rows(wanted, train, vocabulary, samples, seed, where)
    write_table(asked, ({"index": index, **row} for index, row in enumerate(rows)), COLUMNS)


def _read(table: Path) -> list[dict[str, str]]:
    try:
        rows = read_table(table)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{table}: cannot be read as CSV ({error}); give a text with a line of names"
        ) from None
    if not rows:
        raise InputError(f"{table}: no rows; expected a line of names and one row per sample")
    for number, row in enumerate(rows):
        if None in row or None in row.values():
            raise InputError(
                f"{table}, row {number}: expected a cell for each name of the first line; mend it"
            )
    return rows
