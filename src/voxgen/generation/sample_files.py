"""Files of samples: a NIfTI file and a row of a table for each."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.generation.drawing import Drawn
from voxgen.volumes.grid import Grid, occupied_above
from voxgen.volumes.nifti import write_volume

COLUMNS = ("id", "seed", "index", "sum", "max", "occupied", "latent_mean", "latent_std")
ASKED = ("label", "attributes")  # more columns, where a prior was told of items: as in a manifest


def write_sample(
    folder: Path, drawn: Drawn, seed: int, grid: Grid, compression: int, *, rates: bool
) -> dict[str, Any]:
    """Write a sample as NIfTI, and with `rates` what was decoded into rates/; return its row (`COLUMNS`)."""
    if rates:
        _write(folder / "rates", drawn.index, drawn.decoded, grid, compression)
    return {
        "id": _write(folder, drawn.index, drawn.volume, grid, compression),
        "seed": seed,
        "index": drawn.index,
        "sum": float(drawn.volume.sum(dtype=np.float64)),
        "max": float(drawn.volume.max()),
        "occupied": float(np.mean(drawn.volume > occupied_above(grid))),
        "latent_mean": float(drawn.latent.mean()),
        "latent_std": float(drawn.latent.std()),
    }


def _write(folder: Path, index: int, volume: NDArray[np.float32], grid: Grid, compression: int) -> str:
    """Write a volume (X, Y, Z) under the name of a sample, and return that."""
    name = f"sample-{index:06d}"
    place = (grid.origin, grid.spacing, grid.unit)
    write_volume(folder / f"{name}.nii.gz", volume, *place, compression=compression)
    return name
