"""The page of a comparison: one file that opens offline, in the report's looks."""

from collections.abc import Sequence

from markupsafe import Markup

from voxgen.figures.sheet import png
from voxgen.figures.training_curves import draw_validation
from voxgen.pages.comparing.comparison import Comparison
from voxgen.pages.comparing.finished_runs import FinishedRun
from voxgen.pages.comparing.progress import TRAININGS, validation_curves
from voxgen.pages.comparing.run_scores import LEGEND
from voxgen.pages.comparing.run_settings import describe_extent
from voxgen.pages.rendering import own, picture, rendered
from voxgen.pages.sample_scenes import comparison_scenes
from voxgen.pages.scenes import script, style
from voxgen.pages.score_tables import WORDS

PREVIEW = "samples/preview.png"


def comparison_page(runs: Sequence[FinishedRun], found: Comparison) -> Markup:
    """The page's HTML."""
    scenes = comparison_scenes(runs)
    drawn = {title: validation_curves(runs, training) for training, title in TRAININGS.items()}
    files = {run.name: run.results / PREVIEW for run in runs}
    previews = {name: picture(file.read_bytes()) for name, file in files.items() if file.is_file()}
    return rendered(
        "compare.html",
        title=f"Comparison: {', '.join(run.name for run in runs)}",
        style=own("page.css") + own("compare.css") + (style() if scenes else Markup()),
        viewer_script=script() if scenes else Markup(),
        runs=runs,
        found=found,
        words=WORDS,
        legend=LEGEND.format(first=runs[0].name),
        extent=describe_extent(runs),
        previews=previews,
        scenes=scenes,
        losses={title: picture(png(draw_validation(some, title))) for title, some in drawn.items() if some},
    )
