"""Whether generated volumes are copies of training volumes: nearest neighbours in voxel space.

Shapes: X, Y, Z voxels; N items in each of V views; M training items, or M test items; F features of an item.

Distances from samples to the train set are held against those from test volumes, which cannot be copies:
the three sets of Meehan et al. 2020 (arXiv 2004.05675), except that each sample is judged on its own. Smooth
items lie near all data: in many dimensions the mean of the data is about 1.4 times nearer to a training item
than a test item is, so blurred samples count as copies.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# Floats of the largest arrays of a step, 32 MiB each, and the rows of a square one.
BLOCK = 2**22
SIDE = 2**11


@dataclass(frozen=True)
class Nearest:
    """The training item nearest to each of N items: its distance, its index, and the item's view."""

    distance: Array
    index: Index
    view: Index


@dataclass(frozen=True)
class Pair:
    """A sample, the training item that one of its views is nearest to, and their distance."""

    sample: int
    train: int
    view: int
    distance: float


def nearest(a_VNF: NDArray[Any], b_MF: NDArray[Any]) -> Nearest:
    """The smallest Euclidean distance of each item in any view to any training item.

    Give test items in the same views as samples: each view is another chance to come near. Among equal
    distances the first view counts, then the first training item. Candidates come from
    |a|^2 + |b|^2 - 2ab; those that rounding leaves possible are measured again from the differences, so that
    copies are at distance 0. Large arrays are processed in blocks.

    Raises:
        ValueError: the arrays are not (views, items, features) and (items, features), a set is empty, or
            a value is not finite.
    """
    a, b = np.asarray(a_VNF), np.asarray(b_MF)
    if a.ndim != 3 or b.ndim != 2 or 0 in a.shape + b.shape or a.shape[2] != b.shape[1]:
        raise ValueError(f"{a.shape} and {b.shape}: expected (views, items, F) and (items, F), none empty")
    views, items, features = a.shape
    found = Nearest(np.full(items, np.inf), np.zeros(items, np.int64), np.zeros(items, np.int64))
    rows = max(1, BLOCK // max(features, SIDE))
    for view in range(views):
        for first in range(0, items, rows):
            for start in range(0, len(b), rows):
                block = a[view, first : first + rows], b[start : start + rows]
                _update(found, *block, (first, start, view))
    return found


def threshold(test_distances_M: Array, quantile: float) -> float:
    """The distance below which a new draw from the test set's distribution falls with probability `quantile`.

    The k-th of M sorted values is taken at level k / (M + 1) (type 6 of Hyndman & Fan 1996,
    doi 10.2307/2684934). Below 1 / (M + 1) there is only the smallest distance: 64 test volumes cannot
    resolve less than 1 / 65 = 1.5 %. That level follows Beta(1, M): its standard deviation is about its mean.

    Raises:
        ValueError: there are no distances or some are not finite, or `quantile` is not between 0 and 1.
    """
    test = _checked(test_distances_M)
    return float(np.quantile(test, quantile, method="weibull"))


def memorised(sample_distances_N: Array, test_distances_M: Array, quantile: float) -> Array:
    """1 for each sample that is nearer to the train set than the test set's `threshold`, 0 if not.

    Both distances are to the same train set, from `nearest`. The mean is the share of memorised samples; by
    chance it is the larger of `quantile` and 1 / (M + 1). Samples at the threshold do not count.

    Raises:
        ValueError: as `threshold`.
    """
    sample = _checked(sample_distances_N)
    return (sample < threshold(test_distances_M, quantile)).astype(np.float64)


def closest(found: Nearest, count: int) -> list[Pair]:
    """The samples nearest to the train set, each once, with their training items; at most `count`."""
    order = np.argsort(found.distance, kind="stable")[:count]
    return [Pair(int(i), int(found.index[i]), int(found.view[i]), float(found.distance[i])) for i in order]


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


def _checked(distances_N: Array) -> Array:
    distances = np.asarray(distances_N)
    if not distances.size or not np.isfinite(distances).all():
        raise ValueError(f"{distances.size} distances: expected some, and all finite")
    return distances


def _update(found: Nearest, a_NF: NDArray[Any], b_MF: NDArray[Any], offsets: tuple[int, int, int]) -> None:
    """Enter into `found` where these items have a nearer neighbour among these training items.

    `offsets`: the first item's index, the first training item's, and the view.
    """
    if not (np.isfinite(a_NF).all() and np.isfinite(b_MF).all()):
        raise ValueError("features that are not finite have no distances")
    first, start, view = offsets
    known = found.distance[first : first + len(a_NF)]
    items, trains = np.nonzero(_candidates(a_NF, b_MF, known))
    distances = _distances(a_NF, b_MF, items, trains)
    order = np.lexsort((trains, distances, items))
    some, leading = np.unique(items[order], return_index=True)
    winners = order[leading]
    nearer = distances[winners] < known[some]
    some, winners = some[nearer] + first, winners[nearer]
    found.distance[some] = distances[winners]
    found.index[some] = trains[winners] + start
    found.view[some] = view


def _candidates(a_NF: NDArray[Any], b_MF: NDArray[Any], known_N: Array) -> NDArray[np.bool_]:
    """Which training items (N, M) may be nearest and nearer than `known_N`, for all that rounding does.

    A dot product of F terms is off by at most F eps times its factors' norms (Higham 2002, section 3.1,
    doi 10.1137/1.9780898718027), the differences from the centre by a few eps.
    """
    centre_F = b_MF[0].astype(np.float64)  # the background that all volumes share would cost digits
    a, b = a_NF - centre_F, b_MF - centre_F
    a_norm, b_norm = (np.einsum("ij,ij->i", each, each) for each in (a, b))
    squared_NM = a_norm[:, None] + b_norm - 2 * (a @ b.T)
    error_N = (len(centre_F) + 8) * np.finfo(np.float64).eps * (a_norm + b_norm.max())
    limit_N = np.minimum(squared_NM.min(axis=1), known_N**2) + 4 * error_N
    return np.asarray((squared_NM <= limit_N[:, None]) & (known_N > 0)[:, None])


def _distances(a_NF: NDArray[Any], b_MF: NDArray[Any], items: Index, trains: Index) -> Array:
    """Distances of pairs from their differences, in blocks."""
    distances = np.empty(len(items))
    step = max(1, BLOCK // a_NF.shape[1])
    for start in range(0, len(items), step):
        pairs = slice(start, start + step)
        differences = a_NF[items[pairs]].astype(np.float64) - b_MF[trains[pairs]]
        distances[pairs] = np.linalg.norm(differences, axis=1)
    return distances


def _means(n: int, boxes: int) -> Array:
    """The matrix (boxes, n) that averages n voxels over boxes of n / boxes voxels."""
    edges = np.arange(boxes + 1) * n / boxes
    voxel = np.arange(n)
    upper = np.minimum(edges[1:, None], voxel + 1)
    lower = np.maximum(edges[:-1, None], voxel)
    return np.asarray(np.maximum(upper - lower, 0) * boxes / n)
