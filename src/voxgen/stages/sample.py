"""Gather the new volumes: one folder, one table, clouds in the input's layout, and a preview."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxgen.figures.sheet import quantity_of
from voxgen.figures.volume_sheets import save_preview
from voxgen.io.files import read_json, read_table, write_table
from voxgen.randomness import generator
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.columns import split_unit
from voxgen.sources.clouds.opening import open_clouds
from voxgen.sources.clouds.parts import UNSCALED
from voxgen.sources.clouds.writing import write_clouds
from voxgen.volumes.grid import Grid, draw_points, place_points
from voxgen.volumes.manifest import Split
from voxgen.volumes.nifti import read_volume

PREVIEWED = 6
Row = dict[str, str]


def sample(
    shards: Sequence[Path],
    raw: Sequence[Path],
    grid: Path,
    train: Split,
    out: Path,
    settings: CloudSettings,
    seed: int,
) -> None:
    """Write the volumes, config.json, samples.csv, preview.png and, of counts, samples.h5 into `out`.

    Clouds have the layout, unit and floating type of the files `raw`, and as many points as their clouds
    do: the same number for each where they have one, else the volume's count; stacks of several sizes become
    a padded one. Tables by offsets or counts become a table by column, which is read without these settings,
    and clouds of variable length one dataset per cloud. Where clouds were each scaled to the grid, samples
    have the grid's unit, and names of axes state none. A volume without counts has no cloud; the column
    `points` of samples.csv says 0 and samples.h5 leaves it out. Where counts were drawn each of them is a
    point, so that a cloud of as many points has that volume.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = [row for shard in shards for row in read_table(shard / "manifest.csv")]
    for shard in shards:
        for volume in sorted(shard.glob("**/*.nii.gz")):
            copy = out / volume.relative_to(shard)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(volume, copy)
    shutil.copyfile(shards[0] / "config.json", out / "config.json")
    placed = Grid.from_json(read_json(grid))
    if placed.holds_counts:
        _write_clouds(out, rows, raw, placed, settings, seed)
    write_table(out / "samples.csv", rows, list(rows[0]))
    manifest, folder = train
    real = [folder / f"{row['id']}.nii.gz" for row in read_table(manifest)[:PREVIEWED]]
    generated = [out / f"{row['id']}.nii.gz" for row in rows[:PREVIEWED]]
    save_preview(
        out / "preview.png",
        [read_volume(path) for path in real],
        [read_volume(path) for path in generated],
        placed.spacing,
        placed.unit,
        quantity=quantity_of(placed.holds_counts),
    )


def _write_clouds(
    out: Path, rows: list[Row], raw: Sequence[Path], grid: Grid, settings: CloudSettings, seed: int
) -> None:
    """Write samples.h5, and the number of points of each sample into its row."""
    with open_clouds(raw, settings) as clouds:
        form, uniform = clouds.form, clouds.uniform_points()
    if form.layout == "stacked" and uniform is None:
        form = replace(form, layout="padded", ids="n_points")
    if grid.placement == "cloud":
        axes = tuple(split_unit(axis)[0] if isinstance(axis, str) else axis for axis in form.axes)
        form = replace(form, unit=grid.unit, scale=UNSCALED, axes=axes)
    for row in rows:
        total = round(float(row["sum"]))
        row["points"] = str((uniform or total) if total > 0 else 0)
    with_points = [row for row in rows if row["points"] != "0"]
    ids = {"id": ([row["id"] for row in with_points], None)}
    write_clouds(out / "samples.h5", _clouds(out, with_points, grid, seed), form, ids)


def _clouds(folder: Path, rows: list[Row], grid: Grid, seed: int) -> Iterator[NDArray[np.float64]]:
    points = place_points if read_json(folder / "config.json").get("drawn") else draw_points
    for row in rows:
        counts = read_volume(folder / f"{row['id']}.nii.gz")
        draws = generator(seed, "sample-points", int(row["index"]))
        yield points(counts, grid, int(row["points"]), draws)
