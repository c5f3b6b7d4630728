"""Two sets of point clouds: 1-NNA, coverage and minimum matching distance, and where their points lie.

Shapes: N and M clouds, P points per cloud, C coordinates; K cells. The matrices may hold any distance
(`cloud_distances`). The first three scores are given as one number per item, whose mean is the score, so that
a bootstrap can resample them. Nearest neighbours are not searched for again within a resample: duplicated
clouds would be their own neighbours.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from voxgen.metrics.permutation import Statistic, of_across, of_means

Matrix = NDArray[np.float64]
Bounds = Sequence[tuple[float, float]] | Matrix


def as_clouds(clouds_NPC: NDArray[np.floating]) -> Matrix:
    """The clouds (N, P, C) in float64.

    Raises:
        ValueError: they are not (items, points, coordinates), an axis is empty, or a value is not finite.
    """
    clouds = np.asarray(clouds_NPC, dtype=np.float64)
    if clouds.ndim != 3 or 0 in clouds.shape or not np.isfinite(clouds).all():
        raise ValueError(f"clouds of shape {clouds.shape}: expected finite (items, points, coordinates)")
    return clouds


def nearest_neighbour_correct(aa_NN: Matrix, bb_MM: Matrix, ab_NM: Matrix) -> Matrix:
    """1 for each of the N + M clouds whose nearest other cloud is in its own set, 0 if not, 0.5 for a tie.

    The mean is the 1-nearest-neighbour accuracy (Lopez-Paz & Oquab 2017, arXiv 1610.06545): 50 % for two
    draws from one distribution, 100 % for separate sets. For few clouds it scatters to both sides of 50 %.
    """
    own = np.concatenate([_without_self(aa_NN).min(1), _without_self(bb_MM).min(1)])
    other = np.concatenate([ab_NM.min(1), ab_NM.min(0)])
    return np.where(own < other, 1.0, np.where(own == other, 0.5, 0.0))


def mutual_neighbours(aa_NN: Matrix, bb_MM: Matrix, ab_NM: Matrix) -> NDArray[np.int64]:
    """A number for each of the N + M clouds that only two clouds share which are each other's nearest.

    Both are correct, or neither is: an interval that took them as independent would hold the truth in 88 %
    of cases and not in 95 % (`benchmarks/coverage.py`).
    """
    nearest = np.block([[_without_self(aa_NN), ab_NM], [ab_NM.T, _without_self(bb_MM)]]).argmin(axis=1)
    items = np.arange(len(nearest))
    first = np.where(nearest[nearest] == items, np.minimum(items, nearest), items)
    return np.unique(first, return_inverse=True)[1].astype(np.int64)


def coverage(ab_NM: Matrix) -> Matrix:
    """1 for each of the M reference clouds that is the nearest reference of some generated cloud.

    Rows are generated clouds, columns references (Achlioptas et al. 2018, arXiv 1707.02392). The mean is the
    coverage; two draws from one distribution do not reach 1.
    """
    covered = np.zeros(ab_NM.shape[1])
    covered[ab_NM.argmin(1)] = 1.0
    return covered


def minimum_matching(ab_NM: Matrix) -> Matrix:
    """The distance of each of the M references to its nearest generated cloud (rows); the mean is the MMD."""
    return np.asarray(ab_NM.min(0))


def coverage_test(pooled_LL: Matrix) -> Statistic:
    """Whether set a leaves more of set b uncovered than chance does."""
    return of_across(pooled_LL, lambda ab_NM: 1 - float(coverage(ab_NM).mean()))


def matching_test(pooled_LL: Matrix) -> Statistic:
    """Whether set b lies farther from set a than chance makes it."""
    return of_across(pooled_LL, lambda ab_NM: float(minimum_matching(ab_NM).mean()))


def point_histograms(
    sets: Sequence[NDArray[np.floating]], bounds: Bounds, bins: int = 28
) -> list[NDArray[np.int64]]:
    """Points of each cloud in each cell: (N, K) for each set (N, P, C), with the same cells for all.

    The cells are cubes that start at the lower `bounds` (min, max along each axis), `bins` along the
    longest side and as many as cover the others; 28 as in Achlioptas et al. 2018 (arXiv 1707.02392), who
    have unit cubes. One more cell takes all points outside the bounds. Only cells that some cloud
    occupies are kept: the others do not change a divergence.

    Raises:
        ValueError: `bounds` are not a box of the clouds' coordinates with a positive side, `bins` is not
            positive, or the clouds are not (items, points, coordinates) or not finite.
    """
    clouds = [as_clouds(one) for one in sets]
    low, high = np.asarray(bounds, dtype=np.float64).T
    if any(one.shape[2] != len(low) for one in clouds):
        raise ValueError(f"bounds of {len(low)} axes for clouds of shapes {[one.shape for one in clouds]}")
    if not (high >= low).all() or not (high > low).any() or bins < 1:
        raise ValueError(f"bounds {bounds} and {bins} bins: expected a box with a positive side, bins >= 1")
    cells = [_cells(one, low, high, bins) for one in clouds]
    occupied = np.unique(np.concatenate([one.ravel() for one in cells]))
    return [_counted(np.searchsorted(occupied, one), len(occupied)) for one in cells]


def jensen_shannon(a_NK: NDArray[Any], b_MK: NDArray[Any]) -> float:
    """Jensen-Shannon divergence of two sets' pooled histograms, in bits (Lin 1991, doi 10.1109/18.61115).

    JSD(p, q) = KL(p | m) / 2 + KL(q | m) / 2 with m = (p + q) / 2 and logarithms to base 2. Few clouds and
    points raise it above 0 even for two draws from one distribution, so it is read beside a floor of the same
    size. Repeated clouds raise it too: its interval comes from `Bootstrap.jackknife`; that of
    `Bootstrap.pair` lies above the value.

    Raises:
        ValueError: a set has no points.
    """
    pooled = [np.asarray(histograms).mean(axis=0, dtype=np.float64)[None] for histograms in (a_NK, b_MK)]
    if not all(counts.sum() > 0 for counts in pooled):
        raise ValueError("a set of histograms without points has no distribution")
    return float(mean_jensen_shannon(*pooled)[0])


def mean_jensen_shannon(a_PK: Matrix, b_PK: Matrix) -> Matrix:
    """The divergence (P,) of P pairs of mean histograms, none of them empty."""
    p, q = (counts / counts.sum(axis=1, keepdims=True) for counts in (a_PK, b_PK))
    middle = (p + q) / 2
    nats = (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=1) / 2
    return np.asarray(np.clip(nats / np.log(2), 0, 1))  # rounding: equal distributions may give -1e-17


def divergence_test(pooled_LK: NDArray[Any]) -> Statistic:
    """Whether the points of two sets lie in other places than chance makes them."""
    return of_means(pooled_LK, mean_jensen_shannon)


def _cells(clouds_NPC: Matrix, low_C: Matrix, high_C: Matrix, bins: int) -> NDArray[np.int64]:
    """The number of each point's cell (N, P); -1 outside the bounds, whose upper faces are inside."""
    edge = float((high_C - low_C).max()) / bins
    covered = np.ceil((high_C - low_C) / edge - 1e-9)  # a side of 14 cells stays one after rounding
    shape = np.clip(covered, 1, bins).astype(np.int64)
    index = np.floor((clouds_NPC - low_C) / edge)
    inside = ((clouds_NPC >= low_C) & (clouds_NPC <= high_C)).all(axis=-1)
    within = np.clip(index, 0, shape - 1).astype(np.int64)
    numbers = np.ravel_multi_index(tuple(np.moveaxis(within, -1, 0)), tuple(shape))
    return np.where(inside, numbers, -1)


def _counted(cells_NP: NDArray[np.int64], kinds: int) -> NDArray[np.int64]:
    items = len(cells_NP)
    flat = cells_NP + kinds * np.arange(items)[:, None]
    return np.bincount(flat.ravel(), minlength=items * kinds).reshape(items, kinds)


def _without_self(distances_NN: Matrix) -> Matrix:
    others = distances_NN.copy()
    np.fill_diagonal(others, np.inf)
    return others
