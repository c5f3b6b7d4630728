"""The report: all that is to be said of a run, in one page that opens offline."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from voxgen.io.files import read_json
from voxgen.pages.condition_tables import tabulate_conditions
from voxgen.pages.provenance import data_rows, digest_rows, dropped_rows, environment_rows, time_rows
from voxgen.pages.rendering import own, picture, rendered
from voxgen.pages.report_inputs import Data, Run, Scores
from voxgen.pages.report_tables import describe_sizes, list_copies, list_worst, word_verdict
from voxgen.pages.sample_scenes import report_scenes
from voxgen.pages.scenes import script, style
from voxgen.pages.score_tables import CHANCE, WORDS, tabulate
from voxgen.pages.worst_differences import show_worst

HOW_TO_READ = (
    f"{CHANCE} The ceiling says what the autoencoder alone does. For nearest neighbours (1-NNA, coverage, "
    "matching) read the last reference instead: each rebuilt test volume finds its own original."
)
FIGURES = ("samples", "spectrum", "memorisation", "reconstructions", "data")


def report_page(
    title: str,
    scores: Scores,
    data: Data,
    run: Run,
    figures: Mapping[str, Path],
    histories: Mapping[str, Path],
) -> str:
    """The page's HTML.

    `figures` maps some of FIGURES to PNGs, `histories` the caption of each training to the PNG of its losses.

    Raises:
        ValueError: a figure has no place on the page.
    """
    if unknown := set(figures) - set(FIGURES):
        raise ValueError(f"figures {sorted(unknown)} have no place; there are {FIGURES}")
    summary, samples = read_json(scores.summary), read_json(scores.samples)
    reconstruction, memorisation = read_json(scores.reconstruction), read_json(scores.memorisation)
    machine, packages = environment_rows(run.environment)
    dropped, named = dropped_rows(data)
    return rendered(
        "report.html",
        title=title,
        style=own("page.css") + style(),
        viewer_script=script(),
        summary=summary,
        verdict=word_verdict(summary),
        chance=CHANCE,
        differences=show_worst(summary, samples, data),
        words=WORDS,
        figures={name: picture(path.read_bytes()) for name, path in figures.items()},
        scenes=report_scenes(data),
        samples=samples,
        samples_table=tabulate(samples, "samples", "samples", f"{describe_sizes(samples)}. {HOW_TO_READ}"),
        conditions=tabulate_conditions(scores.conditions),
        spaces=list_copies(memorisation),
        reconstruction_table=tabulate(
            reconstruction,
            "model",
            "autoencoder",
            f"{reconstruction['n']} test volumes, on {reconstruction['device']}",
        ),
        reconstruction_findings=[metric["finding"] for metric in reconstruction["metrics"].values()],
        worst=list_worst(reconstruction),
        histories={caption: picture(path.read_bytes()) for caption, path in histories.items()},
        data_rows=data_rows(data.grid, data.splits),
        dropped=dropped,
        dropped_rows=named,
        settings=yaml.safe_dump(dict(run.settings), sort_keys=False, allow_unicode=True),
        digest_rows=digest_rows(run.artefacts),
        machine_rows=machine,
        package_rows=packages,
        time_rows=time_rows(run.benchmarks),
    )
