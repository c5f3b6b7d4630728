"""What is most wrong with the samples: each difference with real and generated volumes that show it."""

from typing import Any

import numpy as np

from voxgen.figures.sheet import pick_evenly, png, quantity_of
from voxgen.figures.volume_sheets import draw_preview
from voxgen.io.files import read_json
from voxgen.pages.rendering import picture
from voxgen.pages.report_inputs import Data
from voxgen.pages.score_tables import Json
from voxgen.volumes.grid import Grid
from voxgen.volumes.nifti import read_volume

SHOWN = 4  # volumes of each set
TYPICAL = (
    "Real above, generated below: of each the volumes that are nearest to the median of their set "
    "({0:.3g} and {1:.3g})."
)
SOME = "Real above, generated below."


def show_worst(summary: Json, samples: Json, data: Data) -> list[dict[str, Any]]:
    """The summary's worst differences, each with a picture and its caption.

    Of a score with one number per volume, typical volumes are shown: those nearest to their set's median.
    """
    grid = Grid.from_json(read_json(data.grid))
    shown = []
    for one in summary["worst"]:
        places = (("test", data.test), ("samples", data.samples))
        chosen = [choose_typical(samples["volumes"][name], one["key"]) for name, _ in places]
        real, generated = (
            [read_volume(folder / f"{name}.nii.gz") for name in ids]
            for (ids, _), (_, folder) in zip(chosen, places, strict=True)
        )
        figure = draw_preview(real, generated, grid.spacing, grid.unit, quantity_of(grid.holds_counts))
        medians = [median for _, median in chosen if median is not None]
        caption = TYPICAL.format(*medians) if medians else SOME
        shown.append({**one, "picture": picture(png(figure)), "caption": caption})
    return shown


def choose_typical(volumes: Json, key: str) -> tuple[list[str], float | None]:
    """The ids of typical volumes and the median; of some and None where volumes have no such number."""
    if key not in volumes:
        return pick_evenly(volumes["ids"], SHOWN), None
    numbers = np.array([np.nan if x is None else x for x in volumes[key]], dtype=np.float64)
    median = float(np.nanmedian(numbers))
    order = np.argsort(np.abs(numbers - median), kind="stable")
    return [volumes["ids"][i] for i in order[:SHOWN]], median
