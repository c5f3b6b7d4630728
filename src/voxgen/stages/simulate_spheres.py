"""Stage `simulate_spheres`: settings -> a table of spheres, one for each volume."""

from pathlib import Path

from voxgen.settings.data import Spheres
from voxgen.sources.spheres import write_spheres


def simulate_spheres(
    out: Path, index: int, settings: Spheres, shape: tuple[int, int, int], seed: int
) -> None:
    """Write table `index`: radius, centre, mean and standard deviation of each sphere [voxels of `shape`]."""
    write_spheres(out, settings, shape, seed, index)
