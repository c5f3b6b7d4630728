"""Stage `voxelize`: one shard of a raw source -> NIfTI volumes in counts, with their manifest."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from voxgen.errors import InputError
from voxgen.io.files import iterate_table, read_json, write_table
from voxgen.io.shards import Shard
from voxgen.settings.clouds import CloudSettings
from voxgen.settings.machine import Machine
from voxgen.sources.clouds.opening import Cloud, open_clouds
from voxgen.volumes.dropped import COLUMNS as DROPPED
from voxgen.volumes.dropped import outside_in_words
from voxgen.volumes.grid import Grid, as_stored, rasterize
from voxgen.volumes.manifest import COLUMNS, described
from voxgen.volumes.nifti import write_volume

Row = dict[str, Any]


def voxelize(
    raw: Sequence[Path],
    index: Path,
    grid: Path,
    shard: Shard,
    out: Path,
    settings: CloudSettings,
    quantile: float,
    machine: Machine,
) -> None:
    """Write the volumes `{id}.nii.gz` of one shard, manifest.csv and dropped.csv into `out`.

    Shards are contiguous rows; clouds with a reason in the index are left out, and those of which no point
    reaches the grid are listed in dropped.csv. The manifest says what `manifest.described` does, and the
    digest of each cloud.

    Raises:
        InputError: the index is not that of the raw files, or counts do not fit data.grid.dtype.
    """
    template = Grid.from_json(read_json(grid))
    total = sum(1 for _ in iterate_table(index))
    part = shard.part(total)
    outside: list[Row] = []
    with open_clouds(raw, settings) as clouds:
        if len(clouds) != total:
            raise InputError(
                f"{raw[0]}: {len(clouds)} clouds, but its index has {total}; "
                f"the files changed: delete {index} and run again"
            )
        entries = islice(iterate_table(index), part.start, part.stop)
        pairs = zip(clouds.read(part.start, part.stop), entries, strict=True)
        good = ((cloud, entry) for cloud, entry in pairs if not entry["reason"])
        rows = _voxelized(good, template, quantile, machine.compression, out, outside)
        write_table(out / "manifest.csv", rows, COLUMNS)
    write_table(out / "dropped.csv", outside, DROPPED)


def _voxelized(
    clouds: Iterator[tuple[Cloud, dict[str, str]]],
    template: Grid,
    quantile: float,
    compression: int,
    out: Path,
    outside: list[Row],
) -> Iterator[Row]:
    """Write each volume and yield its row of the manifest, or add to `outside`."""
    for cloud, entry in clouds:
        grid = template.placed(cloud.points)
        counts, missed = rasterize(cloud.points, grid)
        place = {name: entry[name] for name in ("id", "file", "key", "row")}
        if missed == len(cloud.points):
            extent = list(zip(cloud.points.min(axis=0), cloud.points.max(axis=0), strict=True))
            outside.append({**place, "reason": outside_in_words(extent, grid.bounds, grid.unit)})
            continue
        stored = as_stored(counts, grid)
        file = f"{entry['id']}.nii.gz"
        write_volume(out / file, stored, grid.origin, grid.spacing, grid.unit, compression=compression)
        yield {
            **place,
            "file": file,
            "points": len(cloud.points),
            "outside": missed,
            "digest": entry["digest"],
            **described(stored, grid, quantile),
        }
