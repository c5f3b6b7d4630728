"""The page of a comparison: one file that opens offline, in the report's looks."""

from collections.abc import Sequence

from markupsafe import Markup

from voxgen.pages.comparing.comparison import Comparison
from voxgen.pages.comparing.course import TRAININGS, curves, loss_picture
from voxgen.pages.comparing.drawn import sample_scenes
from voxgen.pages.comparing.runs import Run
from voxgen.pages.comparing.scores import LEGEND
from voxgen.pages.comparing.settings import extent
from voxgen.pages.rendering import own, picture, rendered
from voxgen.pages.tables import WORDS
from voxgen.pages.viewer import script, style

PREVIEW = "samples/preview.png"


def comparison_page(runs: Sequence[Run], found: Comparison) -> Markup:
    """The page's HTML."""
    scenes = sample_scenes(runs)
    drawn = {title: curves(runs, training) for training, title in TRAININGS.items()}
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
        extent=extent(runs),
        setting_rows=[[one.name, *one.values] for one in found.settings],
        previews=previews,
        scenes=scenes,
        losses={title: loss_picture(some, title) for title, some in drawn.items() if some},
    )
