"""Scores of runs side by side, each held against the first run's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voxgen.errors import InputError
from voxgen.evaluation.metric import Metric
from voxgen.evaluation.metric_table import LATENT_STD
from voxgen.metrics.bootstrap import Estimate
from voxgen.pages.comparing.comparability import Comparability
from voxgen.pages.comparing.finished_runs import PARTS, FinishedRun
from voxgen.pages.comparing.run_tests import NONE_FOUND, tell_apart
from voxgen.pages.score_tables import NONE, Cell, ScoreTable, group_rows, in_digits

OVERLAP = "intervals overlap"
NOT_COMPARABLE = "not comparable"
LEGEND = (
    "Better and worse are beside {first}. Scores with one number per volume are tested: samples against "
    "samples, by permutations, corrected for their number. For the others there are only intervals: where "
    "they overlap nothing is claimed, which does not show that the runs are equal."
)
# Each evaluation: its title, where its scores lie, the value's name and the reference's, and their words.
EVALUATIONS = {
    "reconstruction": ("Reconstruction", "metrics", "model", "blurred", "a blurred input", "test volumes"),
    "samples": ("Samples", "metrics", "samples", "train", "floor: train volumes", "volumes per set"),
    "memorisation": (
        "Copies of train volumes",
        "spaces",
        "share",
        "expected",
        "expected of unseen volumes",
        "samples",
    ),
}


@dataclass(frozen=True)
class Measured:
    """A metric of one run, and what it is held against in its own evaluation, in words."""

    metric: Metric
    estimate: Estimate
    reference: str


def tabulate_runs(runs: Sequence[FinishedRun], compared: Sequence[Comparability]) -> list[ScoreTable]:
    """The evaluations that some run has; `compared` says for each run how it stands to the first one."""
    may = [not one.reasons for one in compared]
    tables = []
    for part, (title, *_, reference, _) in EVALUATIONS.items():
        scores = [_read_scores(run, part) for run in runs]
        if any(scores):
            named = dict.fromkeys(name for one in scores for name in one)
            tested = [tell_apart(runs[0], run) if part == "samples" else {} for run in runs]
            rows = [
                _row([one.get(name) for one in scores], runs, may, part, [one.get(name) for one in tested])
                for name in named
            ]
            rows += [_latents(runs)] if part == "samples" else []
            columns = [*(run.name for run in runs), reference]
            tables.append(ScoreTable(title, _sizes(runs, part), columns, len(runs), group_rows(rows)))
    return tables


def sum_up(tables: Sequence[ScoreTable], runs: Sequence[FinishedRun], place: int) -> str:
    """In one sentence, how the run at `place` compares with the first."""
    named: dict[str, list[str]] = {}
    for table in tables:
        for row in table.rows:
            named.setdefault(row.cells[place].outcome, []).append(f"{table.title.lower()}: {row.label}")
    counts = Counter({outcome: len(labels) for outcome, labels in named.items() if outcome})
    start = f"{runs[place].name} beside {runs[0].name}:"
    if not counts:
        return f"{start} they share no score."
    if counts[NOT_COMPARABLE] == counts.total():
        return f"{start} not comparable."
    parts = [
        f"{outcome} in {counts[outcome]} ({', '.join(named[outcome])})"
        for outcome in ("better", "worse")
        if counts[outcome]
    ]
    parts += [f"no difference found in {counts[NONE_FOUND]}"] if counts[NONE_FOUND] else []
    parts += [f"intervals that overlap in {counts[OVERLAP]}"] if counts[OVERLAP] else []
    parts += [f"not comparable in {counts[NOT_COMPARABLE]}"] if counts[NOT_COMPARABLE] else []
    return f"{start} of {counts.total()} scores {'; '.join(parts)}."


def _read_scores(run: FinishedRun, part: str) -> dict[str, Measured]:
    _, place, value, reference, *_ = EVALUATIONS[part]
    found = {}
    try:
        for name, one in run.parts.get(part, {place: {}})[place].items():
            metric = Metric.from_json(one)
            words = NONE
            if isinstance(one.get(reference), float):
                words = in_digits(one[reference], metric.unit)
            elif reference in one:
                words = Estimate.from_json(one[reference]).text(metric.unit)
            found[name] = Measured(metric, Estimate.from_json(one[value]), words)
    except (KeyError, TypeError, AttributeError) as error:
        file = run.results / PARTS[part][0]
        raise InputError(
            f"{file}: not the scores that this version writes ({type(error).__name__}: {error}); "
            "delete it and run again"
        ) from None
    return found


def _row(
    scores: Sequence[Measured | None],
    runs: Sequence[FinishedRun],
    may: Sequence[bool],
    part: str,
    tested: Sequence[str | None],
) -> tuple[Metric, list[Cell]]:
    """A metric that at least one run has, and its cells; `tested` says what a test of each run found."""
    known = next(score for score in scores if score)
    cells = []
    for place, score in enumerate(scores):
        if score is None:
            cells.append(Cell([NONE]))
            continue
        outcome = ""
        if place and scores[0]:
            outcome = _compare(scores[0], score, may[place], part, tested[place])
        cells.append(Cell([score.estimate.text(score.metric.unit)], outcome))
    named = {run.name: score.reference for run, score in zip(runs, scores, strict=True) if score}
    return known.metric, [*cells, Cell(_distinct(named))]


def _compare(first: Measured, score: Measured, may: bool, part: str, tested: str | None) -> str:
    """Shares of copies are means, which the size of a set does not bias; all else must have the same n."""
    same_size = part == "memorisation" or first.estimate.n == score.estimate.n
    if not (may and same_size and first.metric == score.metric):
        return NOT_COMPARABLE
    return tested or score.metric.compare(score.estimate, first.estimate)


def _latents(runs: Sequence[FinishedRun]) -> tuple[Metric, list[Cell]]:
    values = [run.parts.get("samples", {}).get("latent", {}).get("std") for run in runs]
    words = [NONE if value is None else f"{value:.3f}" for value in values]
    return LATENT_STD, [Cell([one]) for one in (*words, NONE)]


def _sizes(runs: Sequence[FinishedRun], part: str) -> str:
    """How many volumes the scores rest on, in words."""
    words = EVALUATIONS[part][-1]
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
