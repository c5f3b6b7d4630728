"""Stage `voxelize`: one chunk of a raw file -> NIfTI volumes in counts, with their manifest."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from voxgen.clouds import CloudFile, Points, open_clouds
from voxgen.errors import InputError
from voxgen.intensity import volume_level
from voxgen.io.files import read_json, read_table, write_table
from voxgen.io.nifti import write_volume
from voxgen.settings.sections import DataSettings
from voxgen.voxels import Grid, occupied_above, rasterize

AXES = ("x", "y", "z")
ORIGIN = tuple(f"origin_{axis}" for axis in AXES)
SPACING = tuple(f"spacing_{axis}" for axis in AXES)
STATISTICS = ("points", "outside", "sum", "max", "level", "occupied")
COLUMNS = ("id", "file", "key", "row", *STATISTICS, *ORIGIN, *SPACING, "unit", "digest", "volume")
SPELLINGS = {
    "nm": ("nm", "nanometer", "nanometers", "nanometre", "nanometres"),
    "um": ("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"),
    "mm": ("mm", "millimeter", "millimeters", "millimetre", "millimetres"),
}


def voxelize(
    raw: Path,
    index: Path,
    grid: Path,
    chunk: int,
    chunks: int,
    out: Path,
    settings: DataSettings,
    quantile: float,
) -> None:
    """Write the volumes `{id}.nii.gz` of chunk `chunk` of `chunks` and manifest.csv into the folder `out`.

    Chunks are contiguous rows; clouds with a reason in the index are left out. Of `settings` it reads
    `key`. In the manifest: `level` is the `quantile` of the foreground, `occupied` the share of occupied
    voxels, `origin` and `spacing` [unit] those of the cloud's own grid, `digest` that of the cloud and
    `volume` that of the counts, so that a manifest changes with its volumes.

    Raises:
        InputError: a cloud lies wholly outside the bounds, the raw file names another unit than the
            settings, or the index is not that of the raw file.
    """
    template = Grid.from_json(read_json(grid))
    entries = read_table(index)
    start, stop = len(entries) * chunk // chunks, len(entries) * (chunk + 1) // chunks
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    with open_clouds(raw, settings.key) as clouds:
        _check(clouds, len(entries), template)
        for row, _, points in clouds.read(start, stop):
            if not entries[row]["reason"]:
                rows.append(_voxelized(points, entries[row], template.placed(points), quantile, raw, out))
    write_table(out / "manifest.csv", rows, COLUMNS)


def _voxelized(
    points: Points, entry: dict[str, str], grid: Grid, quantile: float, raw: Path, out: Path
) -> dict[str, Any]:
    counts, outside = rasterize(points, grid)
    if outside == len(points):
        low, high = points.min(axis=0), points.max(axis=0)
        raise InputError(
            f"{raw}: {entry['key']}, row {entry['row']}: all {outside} points lie outside the bounds; "
            f"found {_extent(zip(low, high, strict=True))}, expected {_extent(grid.bounds)} {grid.unit}; "
            "correct data.grid.bounds or data.unit, or set data.grid.bounds: train"
        )
    file = f"{entry['id']}.nii.gz"
    stored = counts.astype(np.uint8) if grid.method == "occupancy" else counts
    write_volume(out / file, stored, grid.origin, grid.spacing, grid.unit)
    return {
        **{name: entry[name] for name in ("id", "key", "row", "digest")},
        "file": file,
        "points": len(points),
        "outside": outside,
        "sum": float(counts.sum(dtype=np.float64)),
        "max": float(counts.max()),
        "level": volume_level(counts, quantile),
        "occupied": float(np.mean(counts > occupied_above(grid))),
        **dict(zip(ORIGIN, grid.origin, strict=True)),
        **dict(zip(SPACING, grid.spacing, strict=True)),
        "unit": grid.unit,
        "volume": hashlib.blake2b(stored.tobytes(), digest_size=16).hexdigest(),
    }


def _check(clouds: CloudFile, indexed: int, grid: Grid) -> None:
    if len(clouds) != indexed:
        raise InputError(
            f"{clouds.path}: {len(clouds)} clouds, but its index has {indexed}; "
            "the file changed: delete its index in results/clouds/index and run again"
        )
    named = [unit for unit, spellings in SPELLINGS.items() if (clouds.unit or "").lower() in spellings]
    expected = grid.cloud_unit or grid.unit
    if named and named[0] != expected:
        raise InputError(
            f"{clouds.path}: {clouds.key}: attribute units says {clouds.unit}, data.unit says {expected}; "
            f"set data.unit: {named[0]} (and data.grid.bounds in it)"
        )


def _extent(bounds: Any) -> str:
    ranges = zip(AXES, bounds, strict=True)
    return ", ".join(f"{axis} {low:g} to {high:g}" for axis, (low, high) in ranges)
