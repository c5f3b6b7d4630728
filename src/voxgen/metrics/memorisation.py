"""Whether generated volumes are copies of training volumes: nearest neighbours among these.

A volume is near to a copy of itself, and no nearer than usual to the other training volumes. So each one is
judged by its `closeness`: the distance to the nearest training volume over that to the next ones. Smooth
volumes are near to all data, in many dimensions the mean of the data 1.4 times nearer than a new volume is;
the ratio leaves that out. What real volumes show is the measure (the third set of Meehan et al. 2020, arXiv
2004.05675): test volumes, and training volumes held against the others.

Shapes: X, Y, Z voxels; N items, M training items, each a view of a training volume; K neighbours; F features;
P labellings of L pooled items.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from voxgen.metrics.permutation import Labels, Statistic

Array = NDArray[np.float64]
Index = NDArray[np.int64]

BLOCK = 2**22  # floats of the largest arrays of a step, 32 MiB each
NEIGHBOURS = 10  # training volumes that an item is held against
DEEPEST = 0.1  # share of the samples that is looked at together, at least 3 of them
LEAST = 3


@dataclass(frozen=True)
class Nearest:
    """The training volumes nearest to each item: distances (N, K), ascending, and indices of the views."""

    distance: Array
    index: Index


def nearest(
    a_NF: NDArray[Any], b_MF: NDArray[Any], volume_M: NDArray[Any], own_N: NDArray[Any] | None = None
) -> Nearest:
    """The Euclidean distances of each item to the 10 nearest training volumes, each in its nearest view.

    `volume_M` names the volume of each view; `own_N` names one that an item must not find: itself. Candidates
    come from |a|^2 + |b|^2 - 2ab; their distances are measured again from the differences, so that copies are
    at distance 0. Large arrays are processed in blocks. Fewer volumes have fewer neighbours.

    Raises:
        ValueError: the arrays are not (items, features), a set is empty, a value is not finite, or no other
            volume is left for an item.
    """
    a, b = np.asarray(a_NF), np.asarray(b_MF)
    if a.ndim != 2 or b.ndim != 2 or 0 in a.shape + b.shape or a.shape[1] != b.shape[1]:
        raise ValueError(f"{a.shape} and {b.shape}: expected (items, F) twice, neither empty")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("features that are not finite have no distances")
    names, number_M = np.unique(volume_M, return_inverse=True)
    own = np.full(len(a), -1) if own_N is None else np.searchsorted(names, own_N)
    count = min(NEIGHBOURS, len(names) - (own_N is not None))
    if count < 1:
        raise ValueError("one training volume alone has no others to be held against")
    order = np.argsort(number_M, kind="stable")
    rows = max(1, BLOCK // max(len(b), count * a.shape[1]))
    blocks = [
        _nearest(a[start : start + rows], b, order, number_M, own[start : start + rows], count)
        for start in range(0, len(a), rows)
    ]
    return Nearest(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def closeness(distance_NK: Array) -> Array:
    """The distance to the nearest training volume over the median of those to the next (N,): 0 for a copy.

    1 where there is no next one, or where these are as near.
    """
    first = distance_NK[:, 0]
    if distance_NK.shape[1] == 1:
        return np.where(first > 0, 1.0, 0.0)
    others = np.median(distance_NK[:, 1:], axis=1)
    return np.divide(first, others, out=np.zeros_like(first), where=others > 0)


def copies_test(closeness_L: Array) -> Statistic:
    """Whether more items of the first set lie below what the others show than chance puts there.

    For each depth, up to a tenth of the set: how unlikely it is that so many of the lowest items are of the
    set (hypergeometric); the least likely depth counts. Few copies suffice: 3 of 64 samples lie below 448
    real volumes by chance in 1 of 500 cases. A small shift of all items does not.
    """
    order = np.argsort(closeness_L, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(closeness_L[order]) > 0, True)) + 1  # of items that are as close

    def statistic(labels: Labels) -> Array:
        n = int(labels.sum()) // len(labels)
        deepest = max(LEAST, int(np.ceil(DEEPEST * n)))
        depths_D = ends[ends <= deepest] if ends[0] <= deepest else ends[:1]
        unlikely = {depth: -_log_tail(len(order), n, int(depth)) for depth in depths_D}
        found_PD = np.cumsum(labels[:, order[: depths_D[-1]]], axis=1)[:, depths_D - 1]
        scores = [unlikely[depth][found] for depth, found in zip(depths_D, found_PD.T, strict=True)]
        return np.asarray(np.max(scores, axis=0))

    return statistic


def pooled(x_XYZ: NDArray[Any], longest: int) -> NDArray[np.float32]:
    """Means over equal boxes: a volume with at most `longest` voxels along each axis.

    The boxes are cubes but for rounding to whole numbers of them; a voxel that a box cuts counts by its
    share, so a mirrored volume gives the mirrored result, to float32. Smaller volumes stay as they are.

    Raises:
        ValueError: `longest` is not positive, or an axis is empty.
    """
    if longest < 1 or 0 in x_XYZ.shape:
        raise ValueError(f"a volume of {x_XYZ.shape} pooled to {longest} voxels: expected at least one")
    result = np.asarray(x_XYZ, dtype=np.float64)
    cells = [-(-n * longest // max(longest, *x_XYZ.shape)) for n in x_XYZ.shape]
    for axis, (n, boxes) in enumerate(zip(x_XYZ.shape, cells, strict=True)):
        result = np.moveaxis(np.tensordot(_means(n, boxes), result, (1, axis)), 0, axis)
    return np.ascontiguousarray(result, dtype=np.float32)


def _log_tail(total: int, n: int, depth: int) -> Array:
    """Logarithm of the chance that k or more of the `depth` lowest of `total` items are of n, for each k."""
    return np.asarray(hypergeom.logsf(np.arange(depth + 1) - 1, total, n, depth))


def _nearest(
    a_NF: NDArray[Any], b_MF: NDArray[Any], order_M: Index, number_M: Index, own_N: Index, count: int
) -> tuple[Array, Index]:
    """Distances and indices (N, K) of the nearest views of `count` different volumes."""
    centre_F = b_MF[0].astype(np.float64)  # the background that all volumes share would cost digits
    a, b = a_NF - centre_F, b_MF - centre_F
    squared_NM = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * (a @ b.T)
    squared_NM[own_N[:, None] == number_M] = np.inf
    starts = np.flatnonzero(np.diff(number_M[order_M], prepend=-1))
    volumes_NV = np.minimum.reduceat(squared_NM[:, order_M], starts, axis=1)
    chosen_NK = np.argpartition(volumes_NV, count - 1, axis=1)[:, :count]
    distance, index = np.empty(chosen_NK.shape), np.empty(chosen_NK.shape, np.int64)
    for item, volumes in enumerate(chosen_NK):
        views = order_M[np.isin(number_M[order_M], volumes)]
        exact = np.linalg.norm(a_NF[item].astype(np.float64) - b_MF[views], axis=1)
        by = np.lexsort((views, exact))
        _, leading = np.unique(number_M[views[by]], return_index=True)
        kept = by[np.sort(leading)]
        distance[item], index[item] = exact[kept], views[kept]
    return distance, index


def _means(n: int, boxes: int) -> Array:
    """The matrix (boxes, n) that averages n voxels over boxes of n / boxes voxels."""
    edges = np.arange(boxes + 1) * n / boxes
    voxel = np.arange(n)
    upper = np.minimum(edges[1:, None], voxel + 1)
    lower = np.maximum(edges[:-1, None], voxel)
    return np.asarray(np.maximum(upper - lower, 0) * boxes / n)
