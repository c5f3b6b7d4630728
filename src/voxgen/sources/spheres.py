"""Simulated volumes, each with one sphere of normally distributed values.

Coordinates are in voxels: voxel i covers [i, i + 1), its centre lies at i + 0.5.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.io.files import read_table, write_table
from voxgen.randomness import generator
from voxgen.settings.spheres import Spheres

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Sphere:
    """One sphere; with the seed it determines its volume.

    Attributes:
        table: number of the table that it belongs to.
        index: its number in the table.
        radius: of the sphere [voxels].
        centre_x: centre along x, likewise along y and z [voxels].
        mean: of the values inside.
        deviation: standard deviation of the values inside.
    """

    table: int
    index: int
    radius: float
    centre_x: float
    centre_y: float
    centre_z: float
    mean: float
    deviation: float


COLUMNS = tuple(field.name for field in fields(Sphere))


def draw_spheres(settings: Spheres, shape: Shape, seed: int, table: int) -> list[Sphere]:
    """The `settings.volumes` spheres of a table; sphere i depends on (seed, table, i) alone.

    Radius, mean and deviation are uniform in their ranges, the centre where the whole sphere lies in `shape`.
    """
    return [_drawn(settings, shape, seed, table, index) for index in range(settings.volumes)]


def render(sphere: Sphere, shape: Shape, seed: int) -> NDArray[np.float32]:
    """The volume (X, Y, Z): values N(mean, deviation) in voxels whose centre lies inside, else 0."""
    x, y, z = np.ogrid[tuple(slice(0.5, size) for size in shape)]
    distance = (x - sphere.centre_x) ** 2 + (y - sphere.centre_y) ** 2 + (z - sphere.centre_z) ** 2
    rng = generator(seed, "sphere values", sphere.table, sphere.index)
    volume = sphere.mean + sphere.deviation * rng.standard_normal(shape, dtype=np.float32)
    return np.where(distance <= sphere.radius**2, volume, 0).astype(np.float32)


def write_spheres(out: Path, settings: Spheres, shape: Shape, seed: int, table: int) -> None:
    """Write the spheres of a table as CSV, one line per sphere with the attributes of `Sphere`."""
    write_table(out, map(asdict, draw_spheres(settings, shape, seed, table)), COLUMNS)


def read_spheres(path: Path) -> list[Sphere]:
    """Read what `write_spheres` wrote.

    Raises:
        InputError: the file is not such a table.
    """
    try:
        return [
            Sphere(int(row["table"]), int(row["index"]), *(float(row[name]) for name in COLUMNS[2:]))
            for row in read_table(path)
        ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: not a table of spheres ({error!r}), expected the columns {', '.join(COLUMNS)}; "
            "delete it and run again"
        ) from None


def _drawn(settings: Spheres, shape: Shape, seed: int, table: int, index: int) -> Sphere:
    rng = generator(seed, "spheres", table, index)
    radius, mean, deviation = (
        float(rng.uniform(*ends)) for ends in (settings.radius, settings.mean, settings.deviation)
    )
    x, y, z = (float(rng.uniform(radius, size - radius)) for size in shape)
    return Sphere(table, index, radius, x, y, z, mean, deviation)
