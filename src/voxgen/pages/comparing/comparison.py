"""Runs side by side: all that a comparison says, for the terminal and for the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from voxgen.pages.comparing.comparability import comparability
from voxgen.pages.comparing.course import Rows, loss_rows, other_latents, times
from voxgen.pages.comparing.runs import Run
from voxgen.pages.comparing.scores import Block, blocks, reading
from voxgen.pages.comparing.settings import Setting, differing

NONE = "–"


@dataclass(frozen=True)
class Comparison:
    """What is said of runs; the first is the one that others are held against.

    Attributes:
        reasons: why no scores of a run and of the first may be compared, a sentence each.
        doubts: what holds for some scores only, or could not be checked.
        missing: what runs do not have.
        readings: a sentence on each run beside the first.
        verdicts: what is judged, then the verdict of each run's own gates (pass, look, fail, or a dash).
        settings: those that differ.
        blocks: scores.
        losses, times: rows with a column for each run.
        other_latents: the denoisers learned the latents of different autoencoders.
    """

    reasons: list[str]
    doubts: list[str]
    missing: list[str]
    readings: list[str]
    verdicts: Rows
    settings: list[Setting]
    blocks: list[Block]
    losses: Rows
    times: Rows
    other_latents: bool


def comparison(runs: Sequence[Run]) -> Comparison:
    """Hold runs (two or more) against the first.

    Raises:
        InputError: a run's scores are not in the form that this version writes.
    """
    compared = [comparability(runs[0], run) for run in runs]
    found = blocks(runs, compared)
    beside = [f"{run.name} beside {runs[0].name}:" for run in runs]
    rest = range(1, len(runs))
    return Comparison(
        reasons=[f"{beside[i]} {reason}" for i in rest for reason in compared[i].reasons],
        doubts=list(dict.fromkeys(f"{beside[i]} {doubt}" for i in rest for doubt in compared[i].doubts)),
        missing=[f"{run.name}: {'; '.join(run.missing)}" for run in runs if run.missing],
        readings=[reading(found, runs, i) for i in rest],
        verdicts=_verdicts(runs),
        settings=differing(runs),
        blocks=found,
        losses=loss_rows(runs),
        times=times(runs),
        other_latents=other_latents(runs),
    )


def _verdicts(runs: Sequence[Run]) -> Rows:
    summaries = [run.parts.get("summary", {}) for run in runs]
    if not any(summaries):
        return []
    sections = dict.fromkeys(name for one in summaries for name in one.get("sections", {}))
    judged = [
        [name, *(one.get("sections", {}).get(name, {}).get("verdict", NONE) for one in summaries)]
        for name in sections
    ]
    return [["all", *(one.get("verdict", NONE) for one in summaries)], *judged]
