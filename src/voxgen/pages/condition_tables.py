"""What the report says of conditions: whether samples are what was asked, and the scores of each class."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxgen.evaluation.metric import Metric
from voxgen.io.files import read_json
from voxgen.metrics.bootstrap import Estimate
from voxgen.pages.score_tables import NONE, Cell, Json, ScoreTable, group_rows, word_chance

OBEYED = ("what was asked", "samples", "test volumes", "difference")


@dataclass(frozen=True)
class ConditionTables:
    """The rows of OBEYED, sentences, and the scores of each class beside test volumes of that class."""

    columns: tuple[str, ...]
    obeyed: list[list[str]]
    findings: list[str]
    scores: ScoreTable | None


def tabulate_conditions(path: Path | None) -> ConditionTables | None:
    """The tables of conditions.json; none where the prior is told nothing."""
    if path is None:
        return None
    found = read_json(path)
    rows = _label_rows(found) if found["label"] else []
    for name, content in found["covariates"].items():
        rows.append([f"{name}: correlation", *_beside(content)])
        rows.append(
            [f"{name}: error", *(f"{content[one]['error']:.3g}" for one in ("samples", "test")), NONE]
        )
    return ConditionTables(OBEYED, rows, found["findings"], _class_scores(found) if found["scores"] else None)


def _label_rows(found: Json) -> list[list[str]]:
    content = found["label"]
    rows = [[f"label, mean over classes (chance: {100 * content['chance']:.0f} %)", *_beside(content, "%")]]
    for one in found["classes"]:
        shares = [content[name]["classes"].get(one) for name in ("samples", "test")]
        texts = [Estimate.from_json(share).text("%") if share else NONE for share in shares]
        rows.append([f"label {one}", *texts, NONE])
    return rows


def _beside(content: Json, unit: str = "") -> list[str]:
    parts: list[Any] = [content["samples"]["all"], content["test"]["all"], content["difference"]]
    return [Estimate.from_json(part).text(unit) for part in parts]


def _class_scores(found: Json) -> ScoreTable:
    rows = [
        (Metric.from_json(score), [_cell(score, one) for one in found["classes"]])
        for score in found["scores"].values()
    ]
    sizes = f"{found['n']['samples']} samples, {found['n']['test']} test volumes, each class beside its own"
    return ScoreTable("", sizes, found["classes"], len(found["classes"]), group_rows(rows))


def _cell(score: Json, one: str) -> Cell:
    found = score["by_class"].get(one)
    if found is None:
        return Cell([NONE])
    test = found["test"]
    return Cell(
        [Estimate.from_json(found["estimate"]).text(score["unit"]), *(word_chance(test) if test else ())]
    )
