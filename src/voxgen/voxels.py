"""The voxel grid: points to counts and back.

Voxel i covers [origin + i * spacing, origin + (i + 1) * spacing) along each axis.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from voxgen.errors import InputError

Method = Literal["occupancy", "density", "gaussian"]
Triple = tuple[float, float, float]
TRUNCATE = 4.0


@dataclass(frozen=True)
class Grid:
    """Where the voxels lie, and how points become counts in them.

    Attributes:
        shape: voxels along x, y, z.
        origin: lower corner of voxel (0, 0, 0) [unit].
        spacing: edges of a voxel [unit].
        unit: nm, um, mm or unitless.
        method: occupancy (0/1), density (points) or gaussian (points, smoothed).
        sigma: standard deviation of the Gaussian [voxels].
        placement: "fixed", or "cloud": a template that `placed` lays around each cloud.
        cloud_unit: unit of the clouds that a template is laid around; None where it is fixed.
    """

    shape: tuple[int, int, int]
    origin: Triple
    spacing: Triple
    unit: str
    method: Method
    sigma: float
    placement: Literal["fixed", "cloud"]
    cloud_unit: str | None = None

    @property
    def bounds(self) -> tuple[tuple[float, float], ...]:
        """(min, max) along x, y, z [unit]."""
        edges = zip(self.origin, self.spacing, self.shape, strict=True)
        return tuple((low, low + edge * n) for low, edge, n in edges)

    def placed(self, points: NDArray[np.float64]) -> "Grid":
        """The fixed grid of one cloud (n, 3), n >= 1; a fixed grid is its own.

        A template is centred on the cloud's bounding box with one spacing for all axes, the smallest
        that leaves half a voxel free at each face; a cloud of zero extent gets spacing 1.
        """
        if self.placement == "fixed":
            return self
        low, high = points.min(axis=0), points.max(axis=0)
        spacing = float(np.max((high - low) / _intervals(self.shape)))
        resolvable = 4 * float(np.spacing(np.abs(points).max()))
        spacing = max(spacing, resolvable) if spacing > 0 else 1.0
        origin = (low + high) / 2 - spacing * np.asarray(self.shape) / 2
        return replace(
            self,
            origin=_triple(origin),
            spacing=(spacing, spacing, spacing),
            unit=self.cloud_unit or self.unit,
            placement="fixed",
            cloud_unit=None,
        )

    def to_json(self) -> dict[str, Any]:
        """The fields, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild a grid.

        Raises:
            InputError: entries are missing or unknown.
        """
        try:
            grid = cls(**content)
            size, y, z = grid.shape
            return replace(
                grid,
                shape=(int(size), int(y), int(z)),
                origin=_triple(grid.origin),
                spacing=_triple(grid.spacing),
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"grid: {content!r} is no grid.json ({error}); run split_clouds again") from None


def fixed_grid(
    shape: tuple[int, int, int], bounds: ArrayLike, unit: str, method: Method, sigma: float
) -> Grid:
    """The grid that fills `bounds` (3, 2): (min, max) along x, y, z."""
    low, high = np.asarray(bounds, dtype=np.float64).T
    return Grid(shape, _triple(low), _triple((high - low) / shape), unit, method, sigma, "fixed")


def template_grid(shape: tuple[int, int, int], cloud_unit: str, method: Method, sigma: float) -> Grid:
    """A unitless grid of cubic voxels around 0 whose longest edge is [-1, 1]; see `Grid.placed`."""
    spacing = 2.0 / max(shape)
    origin = _triple(-spacing * np.asarray(shape) / 2)
    return Grid(
        shape, origin, (spacing, spacing, spacing), "unitless", method, sigma, "cloud", cloud_unit=cloud_unit
    )


def grid_from_extent(
    shape: tuple[int, int, int], low: ArrayLike, high: ArrayLike, unit: str, method: Method, sigma: float
) -> Grid:
    """The grid of `shape` whose faces lie half a voxel outside the extent [low, high] (3,) of all points.

    n voxels then span the extent plus one voxel: spacing = extent / (n - 1). An axis of one voxel cannot
    do that: it gets twice the extent. An axis without extent takes the largest spacing of the others, or
    1 where no axis has an extent.
    """
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    spacing = (high - low) / _intervals(shape)
    spacing[spacing <= 0] = spacing.max() if spacing.max() > 0 else 1.0
    origin = (low + high) / 2 - spacing * np.asarray(shape) / 2
    return Grid(shape, _triple(origin), _triple(spacing), unit, method, sigma, "fixed")


def rasterize(points: NDArray[np.float64], grid: Grid) -> tuple[NDArray[np.float32], int]:
    """Counts (X, Y, Z) of a cloud (n, 3) in a fixed grid, and how many points lie outside its bounds.

    Gaussian counts are the counts convolved with a Gaussian of `sigma` voxels, cut off at 4 sigma and
    normalised; what would fall outside the volume is lost.
    """
    index = np.floor((points - np.asarray(grid.origin)) / np.asarray(grid.spacing))
    inside = np.all((index >= 0) & (index < grid.shape), axis=1)
    flat = np.ravel_multi_index(tuple(index[inside].astype(np.intp).T), grid.shape)
    counts = np.bincount(flat, minlength=int(np.prod(grid.shape))).reshape(grid.shape).astype(np.float32)
    if grid.method == "occupancy":
        counts = np.minimum(counts, 1)
    elif grid.method == "gaussian" and flat.size:
        counts = _smoothed(counts, index[inside], grid.sigma)
    return counts, int(len(points) - inside.sum())


def occupied_above(grid: Grid) -> float:
    """The count above which a voxel is occupied.

    0.5 for occupancy and density; half the peak of a single localisation for gaussian.
    """
    if grid.method != "gaussian":
        return 0.5
    impulse = np.zeros(2 * _radius(grid.sigma) + 1)
    impulse[_radius(grid.sigma)] = 1
    return float(
        0.5 * ndimage.gaussian_filter1d(impulse, grid.sigma, mode="constant", truncate=TRUNCATE).max() ** 3
    )


def draw_points(counts: NDArray[Any], grid: Grid, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """`n` points (n, 3) [grid.unit] in proportion to `counts` (X, Y, Z), uniform inside each voxel.

    Counts below 0 are taken as 0.

    Raises:
        InputError: the volume holds no counts, or its sum is not finite.
    """
    weights = np.maximum(counts, 0).astype(np.float64).ravel()
    occupied = np.flatnonzero(weights)
    total = np.cumsum(weights[occupied])
    if not occupied.size or not np.isfinite(total[-1]):
        found = "not finite" if occupied.size or np.isnan(weights).any() else "all zero"
        raise InputError(
            f"the volume {counts.shape} is {found}: no points can be drawn from it; train for longer"
        )
    chosen = np.searchsorted(total, rng.random(n) * total[-1], side="right")
    voxels = occupied[np.minimum(chosen, len(occupied) - 1)]
    index = np.stack(np.unravel_index(voxels, counts.shape), axis=1)
    return np.asarray(grid.origin + (index + rng.random((n, 3))) * np.asarray(grid.spacing))


def _smoothed(counts: NDArray[np.float32], index: NDArray[np.float64], sigma: float) -> NDArray[np.float32]:
    """`counts` convolved; only the box around the occupied voxels `index` (n, 3) is touched."""
    reach = _radius(sigma)
    low = np.maximum(index.min(axis=0).astype(int) - reach, 0)
    high = np.minimum(index.max(axis=0).astype(int) + reach + 1, counts.shape)
    part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    smooth = np.zeros_like(counts)
    smooth[part] = ndimage.gaussian_filter(counts[part], sigma, mode="constant", truncate=TRUNCATE)
    return smooth


def _radius(sigma: float) -> int:
    """Voxels up to which scipy follows the Gaussian."""
    return int(TRUNCATE * sigma + 0.5)


def _intervals(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Voxels that an extent may span so that half a voxel is free at each face (one voxel: a quarter)."""
    return np.maximum(np.asarray(shape, dtype=np.float64) - 1, 0.5)


def _triple(values: Any) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z
