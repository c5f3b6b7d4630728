"""Scores of runs side by side, each held against the first run's."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from voxgen.errors import InputError
from voxgen.metrics.bootstrap import Estimate
from voxgen.metrics.comparison import Metric
from voxgen.pages.comparing.comparability import Comparability
from voxgen.pages.comparing.runs import PARTS, Run
from voxgen.pages.tables import GOOD, GROUPS, Json, number

NONE = "–"
OVERLAP = "intervals overlap"
NOT_COMPARABLE = "not comparable"
LEGEND = "Verdicts are beside {first}; where intervals overlap, a difference counts as none."
NEARER = "share of samples nearer to a train volume than 1 % of test volumes are"


@dataclass(frozen=True)
class Score:
    """A metric of one run, and what it is held against in its own evaluation, in words."""

    metric: Metric
    group: str
    estimate: Estimate
    reference: str


@dataclass(frozen=True)
class Cell:
    """A value with its interval in words, and the verdict on it beside the first run's ("" for none)."""

    words: str
    verdict: str = ""


@dataclass(frozen=True)
class Row:
    """One metric: a cell for each run, and the reference, or one by run where they differ."""

    label: str
    meaning: str
    good: str
    cells: Sequence[Cell]
    references: Sequence[str]


@dataclass(frozen=True)
class Block:
    """The rows of one evaluation in groups with their headings ("" for none)."""

    title: str
    sizes: str
    reference: str
    groups: Sequence[tuple[str, Sequence[Row]]]

    @property
    def rows(self) -> list[Row]:
        return [row for _, rows in self.groups for row in rows]


def blocks(runs: Sequence[Run], compared: Sequence[Comparability]) -> list[Block]:
    """The evaluations that some run has; `compared` says for each run how it stands to the first one."""
    may = [not one.reasons for one in compared]
    titles = {
        "reconstruction": ("Reconstruction", "a blurred input"),
        "samples": ("Samples", "floor: train volumes"),
        "memorisation": ("Copies of train volumes", "expected of unseen volumes"),
    }
    found = []
    for part, (title, reference) in titles.items():
        scores = [_scores(run, part) for run in runs]
        if any(scores):
            named = dict.fromkeys(name for one in scores for name in one)
            rows = [_row([one.get(name) for one in scores], runs, may, part) for name in named]
            groups = [(name, [row for _, row in some]) for name, some in groupby(rows, lambda one: one[0])]
            if part == "samples":
                groups.append(("Latents", [_latents(runs)]))
            found.append(Block(title, _sizes(runs, part), reference, groups))
    return found


def reading(found: Sequence[Block], runs: Sequence[Run], place: int) -> str:
    """In one sentence, what the verdicts on the run at `place` say; "" where it shares no score."""
    named: dict[str, list[str]] = {}
    for block in found:
        for row in block.rows:
            named.setdefault(row.cells[place].verdict, []).append(f"{block.title.lower()}: {row.label}")
    counts = Counter({verdict: len(labels) for verdict, labels in named.items() if verdict})
    start = f"{runs[place].name} beside {runs[0].name}:"
    if not counts:
        return f"{start} they share no score."
    if counts[NOT_COMPARABLE] == counts.total():
        return f"{start} not comparable."
    parts = [
        f"{verdict} in {counts[verdict]} ({', '.join(named[verdict])})"
        for verdict in ("better", "worse")
        if counts[verdict]
    ]
    parts += [f"no difference beyond the intervals in {counts[OVERLAP]}"] if counts[OVERLAP] else []
    parts += [f"not comparable in {counts[NOT_COMPARABLE]}"] if counts[NOT_COMPARABLE] else []
    return f"{start} of {counts.total()} scores {'; '.join(parts)}."


def _scores(run: Run, part: str) -> dict[str, Score]:
    read: Mapping[str, Callable[[Json], dict[str, Score]]] = {
        "reconstruction": lambda content: _measured(content, "model", "blurred"),
        "samples": lambda content: _measured(content, "samples", "train"),
        "memorisation": _memorised,
    }
    try:
        return read[part](run.parts[part]) if part in run.parts else {}
    except (KeyError, TypeError, AttributeError) as error:
        file = run.results / PARTS[part][0]
        raise InputError(
            f"{file}: not the scores that this version writes ({type(error).__name__}: {error}); "
            "delete it and run again"
        ) from None


def _measured(content: Json, model: str, reference: str) -> dict[str, Score]:
    found = {}
    for name, one in content["metrics"].items():
        metric = Metric.from_json(one)
        beside = Estimate.from_json(one[reference]).text(metric.unit) if reference in one else NONE
        group = GROUPS.get(one.get("group", ""), one.get("group", ""))
        found[name] = Score(metric, group, Estimate.from_json(one[model]), beside)
    return found


def _memorised(content: Json) -> dict[str, Score]:
    return {
        name: Score(
            Metric(space["label"], "%", "lower", NEARER),
            "",
            Estimate.from_json(space["share"]),
            number(space.get("expected", content["quantile"]), "%"),
        )
        for name, space in content["spaces"].items()
    }


def _row(
    scores: Sequence[Score | None], runs: Sequence[Run], may: Sequence[bool], part: str
) -> tuple[str, Row]:
    """The heading of its group, and the row of one metric that at least one run has."""
    known = next(score for score in scores if score)
    cells = []
    for place, score in enumerate(scores):
        if score is None:
            cells.append(Cell(NONE))
            continue
        verdict = _verdict(scores[0], score, may[place], part) if place and scores[0] else ""
        cells.append(Cell(score.estimate.text(score.metric.unit), verdict))
    references = {
        run.name: score.reference for run, score in zip(runs, scores, strict=True) if score is not None
    }
    metric = known.metric
    row = Row(metric.label, metric.meaning, GOOD[metric.direction], cells, _distinct(references))
    return known.group, row


def _verdict(first: Score, score: Score, may: bool, part: str) -> str:
    """Shares of copies are means, which the size of a set does not bias; all else must have the same n."""
    same_size = part == "memorisation" or first.estimate.n == score.estimate.n
    if not (may and same_size and first.metric == score.metric):
        return NOT_COMPARABLE
    return score.metric.verdict(score.estimate, first.estimate)


def _latents(runs: Sequence[Run]) -> Row:
    values = [run.parts.get("samples", {}).get("latent", {}).get("std") for run in runs]
    cells = [Cell(NONE if value is None else f"{value:.3f}") for value in values]
    meaning = "of all sampled latents, whitened: 1 is right; without an interval, so without a verdict"
    return Row("standard deviation of latents", meaning, "near 1", cells, [NONE])


def _sizes(runs: Sequence[Run], part: str) -> str:
    """How many volumes the scores rest on, in words."""
    words = {"reconstruction": "test volumes", "samples": "volumes a set", "memorisation": "samples"}[part]
    having = [run for run in runs if part in run.parts]
    if part == "memorisation":
        counts = [next(iter(run.parts[part]["spaces"].values()))["share"]["n"] for run in having]
    else:
        counts = [run.parts[part].get("n", NONE) for run in having]
    return "; ".join(_distinct({run.name: f"{n} {words}" for run, n in zip(having, counts, strict=True)}))


def _distinct(named: Mapping[str, str]) -> list[str]:
    """What all runs say, once; or what each of them says, after its name."""
    said = set(named.values())
    return list(said) if len(said) == 1 else [f"{name}: {words}" for name, words in named.items()]
