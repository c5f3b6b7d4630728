"""Stage `fix_grid`: settings, and where they say so the train split -> the grid."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.io.files import read_table, write_json
from voxgen.settings.base import Unit
from voxgen.settings.clouds import Source
from voxgen.settings.grid import GridSettings
from voxgen.settings.turns import Turn, stretching
from voxgen.volumes.grid import Grid, fixed_grid, grid_from_extent, scan_grid, template_grid

Array = NDArray[np.float64]


def fix_grid(
    parts: Sequence[Path],
    split: Path | None,
    out: Path,
    settings: GridSettings,
    unit: Unit,
    source: Source,
    spacing: tuple[float, float, float],
    turns: tuple[Turn, ...],
) -> None:
    """Write grid.json into `out`.

    The index `parts`, `split` and `turns`, of which the extent of the train split decides, are needed for the
    bounds train alone, `spacing` [mm] for scans alone.

    Raises:
        InputError: the train split gives the bounds, but is empty or would be stretched by `turns`.
    """
    if source in ("nifti", "decathlon"):
        grid = scan_grid(settings.shape, spacing, "mm")
    elif source == "spheres":
        grid = scan_grid(settings.shape, (1.0, 1.0, 1.0), "unitless")
    else:
        grid = _cloud_grid(parts, split, settings, unit)
    if reason := stretching(turns, np.multiply(grid.spacing, grid.shape).tolist(), unit):
        raise InputError(f"data.{reason}")
    write_json(out, grid.to_json())


def _cloud_grid(parts: Sequence[Path], split: Path | None, settings: GridSettings, unit: Unit) -> Grid:
    shape, how = settings.shape, (unit, settings.method, settings.sigma, settings.dtype)
    if settings.bounds == "cloud":
        return template_grid(shape, *how)
    if settings.bounds != "train":
        return fixed_grid(shape, settings.bounds, *how)
    assert split is not None
    low, high = _extent(parts, split)
    return grid_from_extent(shape, low, high, *how)


def _extent(parts: Sequence[Path], split: Path) -> tuple[Array, Array]:
    """Smallest and largest coordinates (3,) of the train clouds."""
    train = {entry["id"] for entry in read_table(split) if entry["split"] == "train"}
    entries = [entry for part in parts for entry in read_table(part) if entry["id"] in train]
    if not entries:
        raise InputError("data.grid.bounds: train, but the train split is empty; raise data.split.train")
    low, high = (
        np.array([[float(entry[axis + end]) for axis in "xyz"] for entry in entries])
        for end in ("min", "max")
    )
    return low.min(axis=0), high.max(axis=0)
