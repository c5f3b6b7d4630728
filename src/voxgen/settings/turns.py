"""Quarter turns: the planes in which voxels are as long along both axes."""

from collections.abc import Sequence

from voxgen.settings.base import Plane, Unit

TOLERANCE = 0.01  # share by which a turn may stretch a volume: half a voxel in 50

Turn = tuple[Plane, int]  # a plane, and the voxels along each of its axes


def stretching(turns: Sequence[Turn], edges: Sequence[float], unit: Unit) -> str | None:
    """Why a quarter turn in a grid of `edges` along x, y, z [unit] would stretch volumes, or None."""
    for plane, voxels in turns:
        (a, first), (b, second) = ((axis, edges["xyz".index(axis)] / voxels) for axis in plane)
        if abs(first - second) > TOLERANCE * max(first, second):
            return (
                f"rotations: {plane} turns voxels of {first:g} {unit} along {a} into {second:g} {unit} along "
                f"{b}; give them equal edges (data.grid.bounds, of scans data.scans.spacing), or leave the "
                "plane out"
            )
    return None
