"""Stage `report`: scores, volumes and figures of a run -> one HTML file that opens offline."""

from collections.abc import Mapping
from pathlib import Path

from voxgen.io.files import replacing
from voxgen.pages.report_inputs import Data, Run, Scores
from voxgen.pages.report_page import report_page


def report(
    out: Path,
    title: str,
    scores: Scores,
    data: Data,
    run: Run,
    figures: Mapping[str, Path],
    histories: Mapping[str, Path],
) -> None:
    """Write the report: figures and volumes are embedded, nothing is loaded from elsewhere.

    `figures` maps places of the page (`voxgen.pages.report_page.FIGURES`) to PNGs, `histories` the caption of
    each training to the PNG of its losses.
    """
    page = report_page(title, scores, data, run, figures, histories)
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
