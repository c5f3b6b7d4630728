"""Gather the new volumes: one folder, one table, clouds in the input's layout, and a preview."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxgen.clouds import open_clouds, write_clouds
from voxgen.figures import save_preview
from voxgen.io.files import read_json, read_table, write_table
from voxgen.io.nifti import read_volume
from voxgen.randomness import generator
from voxgen.voxels import Grid, draw_points

PREVIEWED = 6


def sample(
    shards: list[Path], raw: Path, grid: Path, train: tuple[Path, Path], out: Path, key: str, seed: int
) -> None:
    """Write the volumes, config.json, samples.csv, samples.h5 and preview.png into `out`.

    Clouds have the layout and floating type (float32 for integers) of `raw`, and as many points as its
    clouds do: the same number for each where they have one, else the volume's count. A volume without
    counts has no cloud; the column `points` of samples.csv says 0 and samples.h5 leaves it out.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = [row for shard in shards for row in read_table(shard / "manifest.csv")]
    for shard in shards:
        for volume in sorted(shard.glob("*.nii.gz")):
            shutil.copyfile(volume, out / volume.name)
    shutil.copyfile(shards[0] / "config.json", out / "config.json")
    placed = Grid.from_json(read_json(grid))
    with open_clouds(raw, key) as clouds:
        layout, uniform, dtype = clouds.layout, clouds.uniform_points(), clouds.dtype
    if dtype.kind != "f":
        dtype = np.dtype(np.float32)
    for row in rows:
        total = round(float(row["sum"]))
        row["points"] = str((uniform or total) if total > 0 else 0)
    with_points = [row for row in rows if row["points"] != "0"]
    write_table(out / "samples.csv", rows, list(rows[0]))
    write_clouds(
        out / "samples.h5",
        _clouds(out, with_points, placed, seed),
        layout,
        key,
        placed.unit,
        dtype,
        {"id": ([row["id"] for row in with_points], None)},
    )
    manifest, folder = train
    real = [folder / f"{row['id']}.nii.gz" for row in read_table(manifest)[:PREVIEWED]]
    generated = [out / f"{row['id']}.nii.gz" for row in rows[:PREVIEWED]]
    save_preview(
        out / "preview.png",
        [read_volume(path) for path in real],
        [read_volume(path) for path in generated],
        placed.spacing,
        placed.unit,
    )


def _clouds(folder: Path, rows: list[dict[str, str]], grid: Grid, seed: int) -> Iterator[NDArray[np.float64]]:
    for row in rows:
        counts = read_volume(folder / f"{row['id']}.nii.gz")
        draws = generator(seed, "sample-points", int(row["index"]))
        yield draw_points(counts, grid, int(row["points"]), draws)
