"""Scores as tables: what report and comparison say of an evaluation's JSON, in the same rows and columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from voxgen.evaluation.metric import Metric
from voxgen.evaluation.metric_table import GROUPS
from voxgen.metrics.bootstrap import Estimate
from voxgen.metrics.permutation import word_p

Json = Mapping[str, Any]
NONE = "–"
WORDS = {"pass": "passed", "look": "look", "fail": "failed"}
CHANCE = (
    "p says how often two sets of one kind would differ as much by chance: the labels of both sets are "
    "shuffled, many times. It is corrected for the number of gated scores; where a score has no gate it "
    "stands alone. Brackets hold the interval of a value; they illustrate and decide nothing."
)


@dataclass(frozen=True)
class Cell:
    """A column of a row: values in words, and how they compare with the first run ("": no comparison)."""

    lines: Sequence[str]
    outcome: str = ""


@dataclass(frozen=True)
class ScoreRow:
    """One metric with a cell per column."""

    label: str
    meaning: str
    good: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class ScoreTable:
    """Rows in groups with their headings ("" for none); the first `own` columns are no references."""

    title: str
    sizes: str
    columns: Sequence[str]
    own: int
    groups: Sequence[tuple[str, Sequence[ScoreRow]]]

    @property
    def rows(self) -> list[ScoreRow]:
        return [row for _, rows in self.groups for row in rows]


def group_rows(rows: Iterable[tuple[Metric, Sequence[Cell]]]) -> list[tuple[str, list[ScoreRow]]]:
    """Rows under the headings of their metrics' groups."""
    return [
        (
            GROUPS.get(name, name),
            [ScoreRow(metric.label, metric.meaning, metric.good, cells) for metric, cells in some],
        )
        for name, some in groupby(rows, key=lambda row: row[0].group)
    ]


def tabulate(scores: Json, model: str, heading: str, sizes: str) -> ScoreTable:
    """The metrics of one evaluation: `model` under `heading`, then the references that were measured."""
    metrics = scores["metrics"].values()
    references = [key for key in scores["references"] if any(key in metric for metric in metrics)]
    rows = [(Metric.from_json(one), [_cell(one, key) for key in (model, *references)]) for one in metrics]
    columns = [heading, *(scores["references"][key] for key in references)]
    return ScoreTable("", sizes, columns, 1, group_rows(rows))


def in_digits(value: float | None, unit: str = "") -> str:
    """Three digits of a number with its unit; shares become per cent; a dash for none."""
    if value is None:
        return NONE
    return f"{100 * value if unit == '%' else value:.3g} {unit}".strip()


def _cell(metric: Json, key: str) -> Cell:
    if key not in metric:
        return Cell([NONE])
    test = metric.get("tests", {}).get(key)
    return Cell([Estimate.from_json(metric[key]).text(metric["unit"]), *(word_chance(test) if test else ())])


def word_chance(test: Json) -> list[str]:
    """The p-value of a test in words, as lines of a cell."""
    return [word_p(test["corrected"])] if "corrected" in test else [f"{word_p(test['p'])}, alone"]
