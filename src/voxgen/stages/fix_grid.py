"""Stage `fix_grid`: settings, and where they say so the train split -> the grid."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.io.files import read_table, write_json
from voxgen.settings.data import DataSettings
from voxgen.volumes.grid import Grid, fixed_grid, grid_from_extent, scan_grid, template_grid

Array = NDArray[np.float64]


def fix_grid(parts: Sequence[Path], split: Path | None, out: Path, settings: DataSettings) -> None:
    """Write grid.json into `out`.

    Of `settings` it reads `grid`, `unit`, `source` and `scans.spacing`. The index `parts` and `split` are
    needed for the bounds train alone: the extent of the train split.

    Raises:
        InputError: the train split is empty, but gives the bounds.
    """
    write_json(out, _grid(parts, split, settings).to_json())


def _grid(parts: Sequence[Path], split: Path | None, settings: DataSettings) -> Grid:
    wanted, shape = settings.grid, settings.grid.shape
    if settings.source in ("nifti", "decathlon"):
        return scan_grid(shape, settings.scans.spacing, "mm")
    if settings.source == "spheres":
        return scan_grid(shape, (1.0, 1.0, 1.0), "unitless")
    how = (settings.unit, wanted.method, wanted.sigma, wanted.dtype)
    if wanted.bounds == "cloud":
        return template_grid(shape, *how)
    if wanted.bounds != "train":
        return fixed_grid(shape, wanted.bounds, *how)
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
