"""Runs side by side: all that a comparison says, for the terminal and for the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from voxgen.pages.comparing.comparability import check_comparability
from voxgen.pages.comparing.finished_runs import FinishedRun
from voxgen.pages.comparing.progress import compare_times, differ_in_latents, loss_rows
from voxgen.pages.comparing.run_scores import sum_up, tabulate_runs
from voxgen.pages.comparing.run_settings import list_differences
from voxgen.pages.provenance import Rows
from voxgen.pages.score_tables import NONE, ScoreTable


@dataclass(frozen=True)
class Comparison:
    """What is said of runs; the others are held against the first.

    Attributes:
        reasons: why no scores of a run and of the first may be compared, one sentence each.
        doubts: what holds for some scores only, or could not be checked.
        missing: what runs do not have.
        findings: a sentence per run, which compares it with the first.
        verdicts: what is judged, then the verdict of each run's own gates (pass, look, fail, or a dash).
        settings: those that differ, a value per run.
        tables: scores.
        losses, times: rows with a column per run.
        other_latents: the denoisers learned the latents of different autoencoders.
    """

    reasons: list[str]
    doubts: list[str]
    missing: list[str]
    findings: list[str]
    verdicts: Rows
    settings: Rows
    tables: list[ScoreTable]
    losses: Rows
    times: Rows
    other_latents: bool


def compare_runs(runs: Sequence[FinishedRun]) -> Comparison:
    """Hold runs (two or more) against the first.

    Raises:
        InputError: a run's scores are not in the form that this version writes.
    """
    compared = [check_comparability(runs[0], run) for run in runs]
    tables = tabulate_runs(runs, compared)
    beside = [f"{run.name} beside {runs[0].name}:" for run in runs]
    rest = range(1, len(runs))
    return Comparison(
        reasons=[f"{beside[i]} {reason}" for i in rest for reason in compared[i].reasons],
        doubts=list(dict.fromkeys(f"{beside[i]} {doubt}" for i in rest for doubt in compared[i].doubts)),
        missing=[f"{run.name}: {'; '.join(run.missing)}" for run in runs if run.missing],
        findings=[sum_up(tables, runs, i) for i in rest],
        verdicts=_verdicts(runs),
        settings=list_differences(runs),
        tables=tables,
        losses=loss_rows(runs),
        times=compare_times(runs),
        other_latents=differ_in_latents(runs),
    )


def _verdicts(runs: Sequence[FinishedRun]) -> Rows:
    summaries = [run.parts.get("summary", {}) for run in runs]
    if not any(summaries):
        return []
    sections = dict.fromkeys(name for one in summaries for name in one.get("sections", {}))
    judged = [
        [name, *(one.get("sections", {}).get(name, {}).get("verdict", NONE) for one in summaries)]
        for name in sections
    ]
    return [["all", *(one.get("verdict", NONE) for one in summaries)], *judged]
