"""Real and generated volumes as scenes in 3D, side by side and turned together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.figures.sheet import Volume, pick_evenly, quantity_of, volume_scale
from voxgen.io.files import read_json, read_table
from voxgen.pages.comparing.finished_runs import FinishedRun
from voxgen.pages.report_inputs import Data
from voxgen.pages.scenes import Choice, scene, volume_choice
from voxgen.volumes.grid import Grid, draw_points
from voxgen.volumes.manifest import grid_of
from voxgen.volumes.nifti import read_volume

SHOWN = 6  # of each kind: enough to see variety, few enough to go through
VOXELS = 3 * 2**20  # of each kind: one byte each before compression, so that the page stays below 15 MB
POINTS = 8192  # per cloud: more hide one another on a screen; six bytes each
Row = Mapping[str, str]


@dataclass(frozen=True)
class Side:
    """What one scene shows, and the unit of its lengths."""

    title: str
    counts: bool
    unit: str
    choices: Sequence[Choice]


def report_scenes(data: Data) -> Markup:
    """Real test volumes beside samples."""
    grid = Grid.from_json(read_json(data.grid))
    count = how_many([grid])
    test = pick_evenly(read_table(data.splits["test"]), count)
    samples = pick_evenly(read_table(data.samples / "samples.csv"), count)
    real = [sample_choice(row, data.test / row["file"], grid_of(row, grid)) for row in test]
    generated = [sample_choice(row, data.samples / f"{row['id']}.nii.gz", grid) for row in samples]
    unit = test[0]["unit"] if test else ""
    return draw_sides(
        [
            Side("Real (test)", grid.holds_counts, unit, real),
            Side("Generated", grid.holds_counts, grid.unit, generated),
        ]
    )


def comparison_scenes(runs: Sequence[FinishedRun]) -> Markup:
    """The samples that all runs with samples have, one scene per run."""
    tables = {run.name: {row["id"]: row for row in _present(run)} for run in runs}
    drawing = [run for run in runs if tables[run.name] and run.contract("grid")]
    if not drawing:
        return Markup()
    grids = [Grid.from_json(run.contract("grid") or {}) for run in drawing]
    shared = [
        row for one, row in tables[drawing[0].name].items() if all(one in tables[run.name] for run in drawing)
    ]
    rows = pick_evenly(shared, how_many(grids))
    return draw_sides(
        [
            Side(
                run.name,
                grid.holds_counts,
                grid.unit,
                [sample_choice(tables[run.name][row["id"]], _sample(run, row), grid) for row in rows],
            )
            for run, grid in zip(drawing, grids, strict=True)
        ]
    )


def how_many(grids: Sequence[Grid]) -> int:
    """How many volumes are shown per side."""
    return max(1, min(SHOWN, VOXELS // max(int(np.prod(grid.shape)) for grid in grids)))


def draw_sides(sides: Sequence[Side]) -> Markup:
    """A scene per side that has choices; sides of counts share one colour scale, and so do intensities."""
    drawn = []
    for side in sides:
        quantity = quantity_of(side.counts)
        alike = [
            choice.volume_XYZ for other in sides if other.counts == side.counts for choice in other.choices
        ]
        if side.choices:
            scale, link = volume_scale(alike, quantity), f"samples, {quantity}"
            drawn.append(scene(side.title, side.choices, side.unit, scale, quantity, link=link))
    return Markup("\n").join(drawn)


def thin_out(volume_XYZ: Volume, most: int, *, counts: bool) -> Volume:
    """A volume of not much more than `most` voxels: maxima of blocks of counts, every n-th voxel of others.

    Maxima keep thin structures, as the maximum projections of the figures do.
    """
    step = int(np.ceil((volume_XYZ.size / most) ** (1 / 3)))
    if step <= 1:
        return volume_XYZ
    if not counts:
        return volume_XYZ[::step, ::step, ::step]
    for axis, n in enumerate(volume_XYZ.shape):
        volume_XYZ = np.maximum.reduceat(volume_XYZ, np.arange(0, n, step), axis)
    return volume_XYZ


def sample_choice(row: Row, path: Path, grid: Grid) -> Choice:
    """A real or generated volume, thinned out where it is large, and for counts points drawn from it."""
    volume = read_volume(path)
    points = _draw(row, volume, grid) if grid.holds_counts else None
    fewer = thin_out(volume, VOXELS, counts=grid.holds_counts)
    spacing = np.multiply(grid.spacing, volume.shape) / fewer.shape
    return volume_choice(row["id"], fewer, spacing.tolist(), points)


def _draw(row: Row, counts: Volume, grid: Grid) -> NDArray[np.float64] | None:
    """Points drawn from the counts, of real volumes too: so both are seen through the same voxels."""
    rng = np.random.default_rng(crc32(row["id"].encode()))
    n = min(POINTS, max(1, int(float(row.get("points") or POINTS))))
    try:
        points = draw_points(counts, grid, n, rng)
    except InputError:  # an empty volume has no points to show
        return None
    return np.asarray(points - np.asarray(grid.origin))


def _present(run: FinishedRun) -> list[dict[str, str]]:
    """The samples whose volumes are there."""
    table = run.results / "samples" / "samples.csv"
    return [row for row in read_table(table) if _sample(run, row).is_file()] if table.is_file() else []


def _sample(run: FinishedRun, row: Row) -> Path:
    return run.results / "samples" / f"{row['id']}.nii.gz"
