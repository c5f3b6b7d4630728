"""The manifest: one line a stored volume, with where it lies and what it holds."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.volumes.grid import Grid, occupied_above
from voxgen.volumes.intensity import volume_level

Split = tuple[Path, Path]  # a manifest, or any table of ids, and the folder of its volumes

ORIGIN = ("origin_x", "origin_y", "origin_z")
SPACING = ("spacing_x", "spacing_y", "spacing_z")
VALUES = ("sum", "max", "level", "occupied")
COLUMNS = (
    *("id", "file", "key", "row", "points", "outside"),
    *(*VALUES, *ORIGIN, *SPACING, "unit", "digest", "volume"),
)


def described(volume_XYZ: NDArray[Any], grid: Grid, quantile: float) -> dict[str, Any]:
    """What a manifest says of a volume as it is stored in its grid.

    `level` is the `quantile` of the foreground, `occupied` the share of occupied voxels, `origin` and
    `spacing` [unit] are those of the volume's own grid. `volume` is a digest of the voxels, so that a
    manifest changes with its volumes.
    """
    return {
        "sum": float(volume_XYZ.sum(dtype=np.float64)),
        "max": float(volume_XYZ.max()),
        "level": volume_level(volume_XYZ, quantile),
        "occupied": float(np.mean(volume_XYZ > occupied_above(grid))),
        **dict(zip(ORIGIN, grid.origin, strict=True)),
        **dict(zip(SPACING, grid.spacing, strict=True)),
        "unit": grid.unit,
        "volume": hashlib.blake2b(volume_XYZ.tobytes(), digest_size=16).hexdigest(),
    }


def grid_of(row: Mapping[str, str], grid: Grid) -> Grid:
    """The grid of one volume: `grid` where its line of the manifest puts it."""
    ox, oy, oz = (float(row[name]) for name in ORIGIN)
    sx, sy, sz = (float(row[name]) for name in SPACING)
    return replace(grid, origin=(ox, oy, oz), spacing=(sx, sy, sz), unit=row["unit"], placement="fixed")
