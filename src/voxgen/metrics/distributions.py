"""How far two sets are apart, by feature vectors (Frechet and kernel distance) or by values of pairs.

Shapes: N and M items of the sets a and b, F features.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxgen.metrics.permutation import Statistic, of_kernel

Features = NDArray[np.floating]
Array = NDArray[np.float64]


class Pairs(NamedTuple):
    """Values of all pairs of items, such as distances: within set a, within set b, and across (rows a)."""

    a_NN: Array
    b_MM: Array
    across_NM: Array

    @property
    def pooled(self) -> Array:
        """The values (L, L) of both sets together, those of a first."""
        return np.block([[self.a_NN, self.across_NM], [self.across_NM.T, self.b_MM]])


def frechet_distance(a_NF: Features, b_MF: Features) -> float:
    """Squared Frechet distance of the Gaussians with the sets' means and covariances.

    |mu_a - mu_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2)) (Heusel et al. 2017, arXiv 1706.08500, equation 6),
    with covariances over n - 1. With A and B the centred features, divided by the roots of n - 1 and m - 1,
    the eigenvalues of C_a C_b are the squared singular values of A B^T: the trace of its root is their sum,
    which needs no root of a matrix and holds for fewer items than features.

    It is biased upwards, the more so the fewer the items. With many more items than features the bias falls
    as 1/n, with fewer more slowly: two sets from one distribution, whose 512 variances fall as 1/k, are apart
    by 0.79 of the total variance with 64 items each, by 0.26 with 400, by 0.03 with 4000. Resampling does
    not reveal all of it, so a distance is read beside one between real sets of the same n. Its interval comes
    from `Bootstrap.jackknife`: the repeated items of a bootstrap would add the bias once more.

    Raises:
        ValueError: a set has fewer than two items, features differ in number or are not finite.
    """
    a, b = _checked(a_NF, b_MF)
    gap = a.mean(0) - b.mean(0)
    root_a, root_b = _root(a), _root(b)
    nuclear = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    return max(float(gap @ gap + (root_a**2).sum() + (root_b**2).sum() - 2 * nuclear), 0.0)


class KernelDistance:
    """The kernel distance of two sets (N, F) and (M, F), for any multiplicities of their items.

    Squared maximum mean discrepancy, unbiased, with the kernel k(x, y) = (x.y / F + 1)^3 (Binkowski et al.
    2018, arXiv 1801.01401; Gretton et al. 2012, lemma 6): 0 in the mean over pairs of sets from
    one distribution, so single values may be negative. The kernel sees means, variances and skewness.

    Raises:
        ValueError: a set has fewer than two items, features differ in number or are not finite.
    """

    def __init__(self, a_NF: Features, b_MF: Features) -> None:
        a, b = _checked(a_NF, b_MF)
        self._ab_NM = kernel(a, b)
        self._aa_NN, self._bb_MM = kernel(a, a), kernel(b, b)
        np.fill_diagonal(self._aa_NN, 0)
        np.fill_diagonal(self._bb_MM, 0)

    def __call__(self, c_N: NDArray[np.integer], d_M: NDArray[np.integer]) -> float:
        """The distance if item i of `a` occurs c_N[i] times, and item j of `b` d_M[j] times.

        Two copies of one item are no pair: k(x, x) does not enter, so the resamples of `Bootstrap.counted`
        have the distance itself as their mean. At least two different items of each set must occur.
        """
        c, d = c_N.astype(np.float64), d_M.astype(np.float64)
        across = c @ self._ab_NM @ d / (c.sum() * d.sum())
        return float(_within(self._aa_NN, c) + _within(self._bb_MM, d) - 2 * across)


def kernel_test(pooled_LF: Features) -> Statistic:
    """Whether the kernel distance of two sets is larger than chance makes it."""
    items = np.asarray(pooled_LF, dtype=np.float64)
    return of_kernel(kernel(items, items))


def gap_of_pairs(a_NN: Array, b_MM: Array) -> Callable[[NDArray[np.integer], NDArray[np.integer]], float]:
    """The mean value of pairs in one set less that in the other, for any multiplicities of their items.

    The matrices hold a value per pair, and 0 on the diagonal: an item and its copy are no pair.
    """
    return lambda c_N, d_M: _within(a_NN, c_N.astype(np.float64)) - _within(b_MM, d_M.astype(np.float64))


def _within(pairs_NN: Array, c_N: Array) -> float:
    """The mean over pairs of different items of one set."""
    return float(c_N @ pairs_NN @ c_N / (c_N.sum() ** 2 - c_N @ c_N))


def kernel(a_NF: Features, b_MF: Features) -> Array:
    """The kernel's value of each pair of items, see `KernelDistance`."""
    return np.asarray((a_NF @ b_MF.T / a_NF.shape[1] + 1) ** 3)


def _root(a_NF: Array) -> Array:
    """A matrix R of F columns and at most F rows with R^T R the covariance."""
    centred: Array = (a_NF - a_NF.mean(0)) / np.sqrt(len(a_NF) - 1)
    if len(a_NF) <= a_NF.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"))


def _checked(a_NF: Features, b_MF: Features) -> tuple[Array, Array]:
    a, b = np.asarray(a_NF, dtype=np.float64), np.asarray(b_MF, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"features of shapes {a.shape} and {b.shape}: expected (2 or more items, features)")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("features that are not finite")
    return a, b
