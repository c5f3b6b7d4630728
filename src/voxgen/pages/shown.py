"""Real and generated volumes of a run as scenes in 3D."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.figures.sheet import Volume, colour_scale, quantity_of, telling
from voxgen.io.files import read_json, read_table
from voxgen.pages.sources import Data
from voxgen.pages.viewer import Choice, scene, volume_choice
from voxgen.volumes.grid import Grid, draw_points
from voxgen.volumes.manifest import grid_of
from voxgen.volumes.nifti import read_volume

SHOWN = 6  # of each kind: enough to see variety, few enough to go through
VOXELS = 3 * 2**20  # of each kind: one byte each before compression, so that the page stays below 15 MB
POINTS = 8192  # of a cloud: more hide one another on a screen; six bytes each
Row = Mapping[str, str]


def scenes(data: Data) -> Markup:
    """Two scenes side by side, real test volumes and samples, turned together under one colour scale."""
    grid = Grid.from_json(read_json(data.grid))
    count = max(1, min(SHOWN, VOXELS // int(np.prod(grid.shape))))
    test = spread(read_table(data.splits["test"]), count)
    samples = spread(read_table(data.samples / "samples.csv"), count)
    real = [sample_choice(row, data.test / row["file"], grid_of(row, grid)) for row in test]
    generated = [sample_choice(row, data.samples / f"{row['id']}.nii.gz", grid) for row in samples]
    quantity = quantity_of(grid.holds_counts)
    view = telling(quantity)
    volumes = [choice.volume_XYZ for choice in (*real, *generated) if choice.volume_XYZ is not None]
    if not volumes:
        return Markup()
    scale = colour_scale([view(volume, "z") for volume in volumes], quantity)
    parts = [("Real (test)", real, test[0]["unit"] if test else ""), ("Generated", generated, grid.unit)]
    return Markup("\n").join(
        scene(title, choices, unit, scale, quantity, link="samples")
        for title, choices, unit in parts
        if choices
    )


def spread(rows: Sequence[Row], most: int) -> list[Row]:
    """At most `most` of the rows, evenly spread, the first and the last among them."""
    places = np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)
    return [rows[i] for i in np.unique(places)]


def thinned(volume_XYZ: Volume, most: int, *, counts: bool) -> Volume:
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
    """A real or generated volume, thinned where it is large, and of counts points drawn from it."""
    volume = read_volume(path)
    points = _points(row, volume, grid) if grid.holds_counts else None
    fewer = thinned(volume, VOXELS, counts=grid.holds_counts)
    spacing = np.multiply(grid.spacing, volume.shape) / fewer.shape
    return volume_choice(row["id"], fewer, spacing.tolist(), points)


def _points(row: Row, counts: Volume, grid: Grid) -> NDArray[np.float64] | None:
    """Points drawn from the counts, of real volumes too: so both are seen through the same voxels."""
    rng = np.random.default_rng(crc32(row["id"].encode()))
    n = min(POINTS, max(1, int(float(row.get("points") or POINTS))))
    try:
        points = draw_points(counts, grid, n, rng)
    except InputError:  # an empty volume has no points to show
        return None
    return np.asarray(points - np.asarray(grid.origin))
