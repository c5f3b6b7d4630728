"""Samples of several runs as scenes in 3D that show the same sample and are turned together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from voxgen.figures.sheet import colour_scale, quantity_of, telling
from voxgen.io.files import read_table
from voxgen.pages.comparing.runs import Run
from voxgen.pages.shown import SHOWN, VOXELS, sample_choice, spread
from voxgen.pages.viewer import Choice, scene
from voxgen.volumes.grid import Grid

TABLE = "samples/samples.csv"


@dataclass(frozen=True)
class Shown:
    """What is shown of one run."""

    name: str
    grid: Grid
    choices: Sequence[Choice]


def sample_scenes(runs: Sequence[Run]) -> Markup:
    """A scene for each run that has samples, one beside the other.

    They show the samples that all of these runs have, and turn together; volumes of counts share one colour
    scale, and so do those of intensities.
    """
    tables = {run.name: {row["id"]: row for row in _table(run)} for run in runs}
    drawing = [run for run in runs if tables[run.name] and run.contract("grid")]
    if not drawing:
        return Markup()
    grids = [Grid.from_json(run.contract("grid") or {}) for run in drawing]
    shared = [
        row for one, row in tables[drawing[0].name].items() if all(one in tables[run.name] for run in drawing)
    ]
    largest = max(int(np.prod(grid.shape)) for grid in grids)
    rows = spread(shared, max(1, min(SHOWN, VOXELS // largest)))
    if not rows:
        return Markup()
    shown = [
        Shown(
            run.name,
            grid,
            [sample_choice(tables[run.name][row["id"]], _volume(run.results, row), grid) for row in rows],
        )
        for run, grid in zip(drawing, grids, strict=True)
    ]
    return Markup("\n").join(_scene(one, shown) for one in shown)


def _scene(one: Shown, shown: Sequence[Shown]) -> Markup:
    quantity = quantity_of(one.grid.holds_counts)
    view = telling(quantity)
    alike = [other for other in shown if other.grid.holds_counts == one.grid.holds_counts]
    volumes = [choice.volume_XYZ for other in alike for choice in other.choices]
    scale = colour_scale([view(volume, "z") for volume in volumes if volume is not None], quantity)
    return scene(one.name, one.choices, one.grid.unit, scale, quantity, link=f"samples, {quantity}")


def _table(run: Run) -> list[dict[str, str]]:
    """The samples whose volumes are there."""
    table = run.results / TABLE
    rows = read_table(table) if table.is_file() else []
    return [row for row in rows if _volume(run.results, row).is_file()]


def _volume(results: Path, row: Mapping[str, str]) -> Path:
    return results / "samples" / f"{row['id']}.nii.gz"
