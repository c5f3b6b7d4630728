"""Stage `simulate_spheres`: settings -> a table of spheres, one for each volume."""

from pathlib import Path

from voxgen.settings.spheres import Spheres
from voxgen.sources.raw_files import index_of
from voxgen.sources.spheres import write_spheres


def simulate_spheres(out: Path, name: str, settings: Spheres, shape: tuple[int, int, int], seed: int) -> None:
    """Write the table whose `name` ends in its index, a sphere per row.

    Its columns: radius, centre, mean and standard deviation [voxels of `shape`].
    """
    write_spheres(out, settings, shape, seed, index_of(name))
