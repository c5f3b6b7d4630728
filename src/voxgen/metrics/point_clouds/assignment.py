"""Earth mover's distance between point clouds by exact assignment.

Shapes: N and M clouds, P points in each, C coordinates. The assignment takes nearly all of the time and
needs single numbers in order, so that nothing is gained on a GPU: each of the CPU's threads takes pairs of
clouds of its own. SciPy lets go of the interpreter lock in both of its steps.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from voxgen.metrics.point_clouds.arrays import Matrix, checked


def earth_movers_matrix(
    a_NPC: NDArray[np.floating], b_MPC: NDArray[np.floating] | None = None, threads: int = 1
) -> Matrix:
    """Earth mover's distance (N, M) of each cloud in `a` to each in `b`; of `a` to itself if `b` is None.

    EMD(A, B) = min over one-to-one matchings m of mean_a |a - m(a)|, in the unit of the coordinates
    (Rubner et al. 2000, doi 10.1023/A:1026543900054, for equal weights; as in PointFlow, Yang et al. 2019,
    arXiv 1906.12320, but a mean over the points where they write a sum, and exact). The optimum is exact
    but for rounding in float64; clouds of the same points in any order are at distance 0.

    Raises:
        ValueError: the clouds are not (items, points, coordinates) or not finite, or `a` and `b` differ in
            points or coordinates.
    """
    a = checked(a_NPC)
    b = a if b_MPC is None else checked(b_MPC)
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"clouds of {a.shape[1:]} and {b.shape[1:]}: expected as many points, coordinates")
    symmetric = b_MPC is None

    def row(i: int) -> Matrix:
        first = i + 1 if symmetric else 0
        distances = np.zeros(len(b))
        distances[first:] = [_earth_movers(a[i], other) for other in b[first:]]
        return distances

    with ThreadPoolExecutor(threads) as pool:
        matrix = np.stack(list(pool.map(row, range(len(a)))))
    return matrix + matrix.T if symmetric else matrix


def _earth_movers(a_PC: Matrix, b_PC: Matrix) -> float:
    """Mean distance of the best matching.

    What is subtracted from a whole row or column changes each matching's sum alike, so the best one stays.
    Without the distances to the nearest points its search is up to twice as fast where clouds lie apart.
    """
    distance_PP = cdist(a_PC, b_PC)
    excess_PP = distance_PP - distance_PP.min(axis=0)
    excess_PP -= excess_PP.min(axis=1, keepdims=True)
    matched = linear_sum_assignment(excess_PP)
    return float(distance_PP[matched].mean())
