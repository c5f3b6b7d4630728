"""The report: all that is to be said of a run, in one page that opens offline."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from voxgen.io.files import read_json
from voxgen.pages.provenance import data_rows, digest_rows, dropped_rows, environment_rows, time_rows
from voxgen.pages.rendering import own, picture, rendered
from voxgen.pages.shown import scenes
from voxgen.pages.sources import Data, Run, Scores
from voxgen.pages.tables import WORDS, metric_table, readings, sizes, spaces, verdict_line, worst_rows
from voxgen.pages.viewer import script, style

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
        verdict=verdict_line(summary),
        words=WORDS,
        figures={name: picture(path.read_bytes()) for name, path in figures.items()},
        scenes=scenes(data),
        samples=samples,
        samples_sizes=sizes(samples),
        samples_table=metric_table(samples, "samples", "samples"),
        spaces=spaces(memorisation),
        reconstruction=reconstruction,
        reconstruction_table=metric_table(reconstruction, "model", "autoencoder"),
        reconstruction_readings=readings(reconstruction["metrics"]),
        worst=worst_rows(reconstruction),
        histories={caption: picture(path.read_bytes()) for caption, path in histories.items()},
        data_rows=data_rows(data),
        dropped=dropped,
        dropped_rows=named,
        settings=yaml.safe_dump(dict(run.settings), sort_keys=False, allow_unicode=True),
        digest_rows=digest_rows(run.artefacts),
        machine_rows=machine,
        package_rows=packages,
        time_rows=time_rows(run.benchmarks),
    )
