"""The voxel grid: points to counts and back.

Voxel i covers [origin + i * spacing, origin + (i + 1) * spacing) along each axis, see `faces`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxgen.errors import InputError
from voxgen.volumes.faces import cells

Method = Literal["occupancy", "density", "gaussian", "intensity"]
Shape = tuple[int, int, int]
Triple = tuple[float, float, float]
TRUNCATE = 4.0
WIDER = {"uint8": "uint16", "uint16": "float32"}


@dataclass(frozen=True)
class Grid:
    """Where the voxels lie, and what their values are.

    Attributes:
        shape: voxels along x, y, z.
        origin: lower corner of voxel (0, 0, 0) [unit].
        spacing: edges of a voxel [unit].
        unit: nm, um, mm or unitless.
        method: occupancy (0/1), density (points), gaussian (points, smoothed), or intensity: values of
            scans, which are no counts.
        sigma: standard deviation of the Gaussian [voxels].
        placement: "fixed", or "cloud": a template that is laid around each cloud (`placed`) or scan.
        cloud_unit: unit of the clouds or scans that a template is laid around; None where it is fixed.
        dtype: type in which volumes are stored, uint8, uint16 or float32; see `as_stored`.
        blocks: voxels along x, y, z in which points were counted and smoothed, and which were then summed.
    """

    shape: Shape
    origin: Triple
    spacing: Triple
    unit: str
    method: Method
    sigma: float
    placement: Literal["fixed", "cloud"]
    cloud_unit: str | None = None
    dtype: str = "float32"
    blocks: Shape = (1, 1, 1)

    @property
    def holds_counts(self) -> bool:
        """Whether voxels hold counts of points, not the values of scans."""
        return self.method != "intensity"

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
        return replace(
            self,
            origin=_around((low + high) / 2, self.shape, spacing),
            spacing=(spacing,) * 3,
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
            (x, y, z), (a, b, c) = ((int(n) for n in counts) for counts in (grid.shape, grid.blocks))
            grid = replace(grid, shape=(x, y, z), blocks=(a, b, c))
            return replace(grid, origin=_triple(grid.origin), spacing=_triple(grid.spacing))
        except (TypeError, ValueError) as error:
            raise InputError(f"grid: {content!r} is no grid.json ({error}); run fix_grid again") from None


def fixed_grid(
    shape: Shape, bounds: ArrayLike, unit: str, method: Method, sigma: float, dtype: str = "auto"
) -> Grid:
    """The grid that fills `bounds` (3, 2): (min, max) along x, y, z; `dtype` is that of data.grid.dtype."""
    low, high = np.asarray(bounds, dtype=np.float64).T
    spacing, stored = _triple((high - low) / shape), _stored_type(dtype, method)
    return Grid(shape, _triple(low), spacing, unit, method, sigma, "fixed", None, stored)


def template_grid(shape: Shape, cloud_unit: str, method: Method, sigma: float, dtype: str = "auto") -> Grid:
    """A unitless grid of cubic voxels around 0 whose longest edge is [-1, 1]; see `Grid.placed`."""
    spacing, stored = (2.0 / max(shape),) * 3, _stored_type(dtype, method)
    origin = _around(0, shape, spacing)
    return Grid(shape, origin, spacing, "unitless", method, sigma, "cloud", cloud_unit, stored)


def scan_grid(shape: Shape, spacing: Triple, unit: str) -> Grid:
    """The template of scans: voxels of edges `spacing` [unit] around 0, whose values are intensities."""
    return Grid(shape, _around(0, shape, spacing), spacing, unit, "intensity", 1.0, "cloud", unit)


def grid_from_extent(
    shape: Shape,
    low: ArrayLike,
    high: ArrayLike,
    unit: str,
    method: Method,
    sigma: float,
    dtype: str = "auto",
) -> Grid:
    """The grid of `shape` whose faces lie half a voxel outside the extent [low, high] (3,) of all points.

    n voxels then span the extent plus one voxel: spacing = extent / (n - 1). An axis of one voxel cannot
    do that: it gets twice the extent. An axis without extent, or one too small for full precision, takes
    the largest spacing of the others, or 1 where no axis has an extent.
    """
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    spacing = (high - low) / _intervals(shape)
    smallest = np.finfo(np.float64).tiny
    spacing[spacing < smallest] = spacing.max() if spacing.max() >= smallest else 1.0
    origin, stored = _around((low + high) / 2, shape, spacing), _stored_type(dtype, method)
    return Grid(shape, origin, _triple(spacing), unit, method, sigma, "fixed", None, stored)


def rasterize(points: NDArray[np.float64], grid: Grid) -> tuple[NDArray[np.float32], int]:
    """Counts (X, Y, Z) of a cloud (n, 3) in a fixed grid, and how many points lie outside its bounds.

    Gaussian counts are the counts convolved with a Gaussian of `sigma` voxels, cut off at 4 sigma and
    normalised; what would fall outside the volume is lost.
    """
    axes = zip(points.T, grid.origin, grid.spacing, strict=True)
    index = [cells(x, low, edge) for x, low, edge in axes]
    inside = np.logical_and.reduce([(i >= 0) & (i < n) for i, n in zip(index, grid.shape, strict=True)])
    i, j, k = (axis[inside].astype(np.intp) for axis in index)
    flat = (i * grid.shape[1] + j) * grid.shape[2] + k
    counts = np.bincount(flat, minlength=int(np.prod(grid.shape))).reshape(grid.shape).astype(np.float32)
    if grid.method == "occupancy":
        counts = np.minimum(counts, 1)
    elif grid.method == "gaussian" and flat.size:
        counts = _smoothed(counts, grid.sigma)
    return counts, len(points) - flat.size


def as_stored(counts: NDArray[np.float32], grid: Grid) -> NDArray[Any]:
    """`counts` (X, Y, Z) in the type in which volumes of the grid are stored.

    Raises:
        InputError: that type is too small for the counts.
    """
    dtype = np.dtype(grid.dtype)
    if dtype.kind == "u" and counts.max() > np.iinfo(dtype).max:
        raise InputError(
            f"counts up to {counts.max():.0f} do not fit {dtype}; set data.grid.dtype: {WIDER[grid.dtype]}"
        )
    return counts.astype(dtype, copy=False)


def occupied_above(grid: Grid) -> float:
    """The count above which a voxel is occupied.

    0.5 for occupancy and density; half the peak of a single localisation for gaussian, in blocks the mean of
    its peak over all places in a block; 0.1, a tenth of the intensity that maps to 1, for intensity.
    """
    if grid.method == "gaussian":
        weights = _gaussian(grid.sigma * float(np.prod(grid.blocks) ** (1 / 3)))
        return float(0.5 * np.prod([_kept(weights, n) for n in grid.blocks]))
    return 0.1 if grid.method == "intensity" else 0.5


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
    return _inside(occupied[np.minimum(chosen, len(occupied) - 1)], grid, rng)


def place_points(counts: NDArray[Any], grid: Grid, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The same of whole counts (X, Y, Z): each is a point, in random order, and what is missing is drawn.

    Raises:
        InputError: the volume holds no counts.
    """
    voxels = np.repeat(np.arange(counts.size), counts.ravel().astype(np.intp))
    placed = _inside(rng.permutation(voxels)[:n], grid, rng)
    more = n - len(placed)
    return np.concatenate([placed, draw_points(counts, grid, more, rng)]) if more else placed


def _inside(voxels_N: NDArray[np.intp], grid: Grid, rng: np.random.Generator) -> NDArray[np.float64]:
    """Points (N, 3) [grid.unit], uniform inside voxels that are counted in C order."""
    index = np.stack(np.unravel_index(voxels_N, grid.shape), axis=1)
    return np.asarray(grid.origin + (index + rng.random((len(voxels_N), 3))) * np.asarray(grid.spacing))


def _smoothed(counts: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """`counts` convolved: a product with a banded matrix along each axis.

    A filter takes fewer operations but more time, up to cubes of 256 voxels; filtering only the occupied
    box makes arrays of ever new sizes, which fragment the heap, and memory grows with the clouds.
    """
    along_x, along_y, along_z = (_band(n, sigma) for n in counts.shape)
    return np.asarray(along_y @ np.tensordot(along_x, counts, 1) @ along_z)


def _gaussian(sigma: float) -> NDArray[np.float64]:
    """Weights at distances 0, 1, ... voxels up to 4 sigma; over both sides they sum to 1."""
    weights = np.exp(-0.5 * (np.arange(int(TRUNCATE * sigma + 0.5) + 1) / sigma) ** 2)
    return np.asarray(weights / (2 * weights.sum() - weights[0]))


def _kept(weights: NDArray[np.float64], n: int) -> float:
    """The share of a Gaussian that stays in a block of n voxels, a mean over the n places of its centre."""
    apart = np.arange(1, min(n, len(weights)))
    return float(weights[0] + 2 * ((1 - apart / n) * weights[apart]).sum())


def _band(n: int, sigma: float) -> NDArray[np.float32]:
    """The symmetric matrix (n, n) that convolves an axis of n voxels."""
    weights = np.append(_gaussian(sigma), 0).astype(np.float32)
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.asarray(weights[np.minimum(distance, len(weights) - 1)])


def _stored_type(dtype: str, method: Method) -> str:
    counted = "uint8" if method == "occupancy" else "float32"
    return counted if dtype == "auto" else dtype


def _around(centre: ArrayLike, shape: Shape, spacing: ArrayLike) -> Triple:
    """The origin of the grid whose middle is `centre`."""
    return _triple(np.asarray(centre) - np.asarray(spacing) * shape / 2)


def _intervals(shape: Shape) -> NDArray[np.float64]:
    """Voxels that an extent may span so that half a voxel is free at each face (one voxel: a quarter)."""
    return np.maximum(np.asarray(shape, dtype=np.float64) - 1, 0.5)


def _triple(values: Any) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z
