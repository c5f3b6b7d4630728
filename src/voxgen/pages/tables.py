"""Scores as rows of tables: what a page says of an evaluation's JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from voxgen.metrics.bootstrap import Estimate

Json = Mapping[str, Any]
CLOSEST = 5  # pairs of sample and train volume in a table; the figure shows more
GROUPS = {
    "volumes": "Voxels",
    "features": "Features of a network",
    "clouds": "Point clouds",
    "diversity": "Diversity",
}
GOOD = {"higher": "higher", "lower": "lower", "towards 0": "near 0", "towards 0.5": "near 50 %"}
WORDS = {"pass": "passed", "look": "look", "fail": "failed"}


@dataclass(frozen=True)
class MetricRow:
    """One metric: a value in words for each column, "" where a reference is missing."""

    label: str
    meaning: str
    values: Sequence[str]
    good: str


@dataclass(frozen=True)
class MetricTable:
    """Columns, and groups of rows with their headings ("" for none)."""

    columns: Sequence[str]
    groups: Sequence[tuple[str, Sequence[MetricRow]]]


def metric_table(scores: Json, model: str, heading: str) -> MetricTable:
    """The metrics of an evaluation: `model` under `heading`, then the references that were measured."""
    metrics = list(scores["metrics"].values())
    references = [key for key in scores["references"] if any(key in metric for metric in metrics)]
    groups = groupby(metrics, key=lambda metric: str(metric.get("group", "")))
    return MetricTable(
        [heading, *(scores["references"][key] for key in references)],
        [
            (GROUPS.get(name, name), [_row(metric, [model, *references]) for metric in some])
            for name, some in groups
        ],
    )


def readings(metrics: Json) -> list[str]:
    """What each metric's numbers say, in words."""
    return [metric["reading"] for metric in metrics.values()]


def sizes(scores: Json) -> str:
    """How many volumes and clouds the samples' scores rest on, and how many samples are empty."""
    text = f"{scores['n']} volumes a set"
    if scores["counts"]:
        text += f"; clouds: {scores['n_clouds']} a set, {scores['points']} points each"
    empty = scores["empty"].get("samples", 0)
    return f"{text}; empty samples: {empty}" if empty else text


def verdict_line(summary: Json) -> str:
    """The whole verdict in one sentence: what asks for attention first."""
    names: dict[str, list[str]] = {"fail": [], "look": [], "pass": []}
    for name, section in summary["sections"].items():
        names[section["verdict"]].append(name)
    if not names["fail"] and not names["look"]:
        return "All gates are passed."
    starts = {"fail": "Failed", "look": "Worth a look", "pass": "Passed"}
    return " ".join(f"{starts[key]}: {', '.join(some)}." for key, some in names.items() if some)


def worst_rows(reconstruction: Json) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the worst test volumes, with their own scores."""
    metrics = reconstruction["metrics"]
    by_id = {volume["id"]: volume for volume in reconstruction["volumes"]}
    present = [name for name in metrics if all(name in by_id[one] for one in reconstruction["worst"])]
    rows = [
        [one, *(number(by_id[one][name], metrics[name]["unit"]) for name in present)]
        for one in reconstruction["worst"]
    ]
    return ["volume", *(metrics[name]["label"] for name in present)], rows


def spaces(memorisation: Json) -> list[dict[str, Any]]:
    """For each space of the search for copies: label, facts in words, rows of the closest pairs, reading."""
    return [
        {
            "label": space["label"],
            "reading": space["reading"],
            "facts": [
                ("nearer to a train volume than the threshold", Estimate.from_json(space["share"]).text("%")),
                ("expected of unseen volumes", number(space.get("expected", memorisation["quantile"]), "%")),
                ("threshold of the distance", number(space["threshold"])),
                ("median distance of test volumes", number(space["median_test"])),
                ("median distance of samples", number(space["median_samples"])),
                ("train volumes", str(space["n_train"])),
            ],
            "pairs": [
                [pair["sample"], pair["train"], number(pair["distance"]), _ratio(pair["ratio"])]
                for pair in space["pairs"][:CLOSEST]
            ],
        }
        for space in memorisation["spaces"].values()
    ]


def number(value: float | None, unit: str = "") -> str:
    """Three digits of a number with its unit; shares become per cent; a dash for none."""
    if value is None:
        return "–"
    shown = f"{100 * value if unit == '%' else value:.3g}"
    return f"{shown} {unit}".strip()


def _ratio(value: float | None) -> str:
    """Three decimals: what tells is on which side of 1 it lies."""
    return "–" if value is None else f"{value:.3f}"


def _row(metric: Json, keys: Iterable[str]) -> MetricRow:
    values = [Estimate.from_json(metric[key]).text(metric["unit"]) if key in metric else "" for key in keys]
    return MetricRow(metric["label"], metric["meaning"], values, GOOD[metric["direction"]])
