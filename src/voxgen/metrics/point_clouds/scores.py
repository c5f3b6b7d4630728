"""Two sets of clouds by their distances: 1-NNA, coverage, minimum matching distance.

Shapes: N and M clouds; the matrices may hold any distance. The three scores come as one number an item,
whose mean is the score, so that a bootstrap can resample them. Nearest neighbours are not searched again
within a resample: with duplicated clouds they would be the clouds themselves.
"""

import numpy as np
from numpy.typing import NDArray

from voxgen.metrics.point_clouds.arrays import Matrix


def nearest_neighbour_correct(aa_NN: Matrix, bb_MM: Matrix, ab_NM: Matrix) -> NDArray[np.float64]:
    """1 for each of the N + M clouds whose nearest other cloud is of its own set, 0 if not, 0.5 for a tie.

    The mean is the 1-nearest-neighbour accuracy (Lopez-Paz & Oquab 2017, arXiv 1610.06545): 50 % for two
    draws of one distribution, 100 % for sets apart; below 50 % one set copies the other.
    """
    own = np.concatenate([_without_self(aa_NN).min(1), _without_self(bb_MM).min(1)])
    other = np.concatenate([ab_NM.min(1), ab_NM.min(0)])
    return np.where(own < other, 1.0, np.where(own == other, 0.5, 0.0))


def coverage(ab_NM: Matrix) -> NDArray[np.float64]:
    """1 for each of the M reference clouds that is the nearest reference of some generated cloud.

    Rows are generated, columns references (Achlioptas et al. 2018, arXiv 1707.02392). The mean is the
    coverage; two draws of one distribution do not reach 1.
    """
    covered = np.zeros(ab_NM.shape[1])
    covered[ab_NM.argmin(1)] = 1.0
    return covered


def minimum_matching(ab_NM: Matrix) -> NDArray[np.float64]:
    """Distance of each of the M references to its nearest generated cloud (rows); the mean is the MMD."""
    return np.asarray(ab_NM.min(0))


def _without_self(distances_NN: Matrix) -> Matrix:
    others = distances_NN.copy()
    np.fill_diagonal(others, np.inf)
    return others
