"""Distances between point clouds: Chamfer, and earth mover's by exact assignment.

Shapes: N and M clouds, B clouds per block; P points per cloud of one set, Q of the other; C coordinates.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from voxgen.metrics.point_clouds import Matrix, as_clouds

# Distances held at once, in floats: on a CPU they stay in its cache, on a GPU they fill it.
CPU_BLOCK = 2**20
GPU_BLOCK = 2**26


def chamfer_matrix(
    a_NPC: NDArray[np.floating], b_MPC: NDArray[np.floating] | None = None, device: str = "cpu"
) -> Matrix:
    """Chamfer distance (N, M) of each cloud in `a` to each in `b`; of `a` to itself if `b` is None.

    CD(A, B) = mean_a min_b |a - b|^2 + mean_b min_a |a - b|^2, squared and summed as in PointFlow
    (Yang et al. 2019, arXiv 1906.12320), in the square of the coordinates' unit. In fp32 after centring
    and scaling both sets together: errors stay below about 1e-6 of the squared extent. A GPU works in
    fp64, which no TF32 setting touches.

    Raises:
        ValueError: the clouds are not (items, points, coordinates) or not finite.
    """
    a = as_clouds(a_NPC)
    b = a if b_MPC is None else as_clouds(b_MPC)
    low, high = np.minimum(a.min((0, 1)), b.min((0, 1))), np.maximum(a.max((0, 1)), b.max((0, 1)))
    centre, scale = (low + high) / 2, float((high - low).max()) / 2 or 1.0
    left, right = _augment((a - centre) / scale, (b - centre) / scale, device)
    matrix = _chamfer(left, right, symmetric=b_MPC is None)
    return np.asarray(matrix.cpu().numpy(), dtype=np.float64) * scale**2


def earth_movers_matrix(
    a_NPC: NDArray[np.floating], b_MPC: NDArray[np.floating] | None = None, threads: int = 1
) -> Matrix:
    """Earth mover's distance (N, M) of each cloud in `a` to each in `b`; of `a` to itself if `b` is None.

    EMD(A, B) = min over one-to-one matchings m of mean_a |a - m(a)|, in the unit of the coordinates
    (Rubner et al. 2000, doi 10.1023/A:1026543900054, for equal weights; as in PointFlow, Yang et al. 2019,
    arXiv 1906.12320, but a mean over the points where they write a sum, and exact). The optimum is exact
    but for rounding in float64; clouds of the same points in any order are at distance 0. The search needs
    single numbers in order, so a GPU gains nothing: each of `threads` takes pairs of clouds of its own (SciPy
    releases the interpreter lock).

    Raises:
        ValueError: the clouds are not (items, points, coordinates) or not finite, or `a` and `b` differ in
            points or coordinates.
    """
    a = as_clouds(a_NPC)
    b = a if b_MPC is None else as_clouds(b_MPC)
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


def _chamfer(left_NPD: torch.Tensor, right_MPD: torch.Tensor, symmetric: bool) -> torch.Tensor:
    """Matrix from the augmented clouds; the lower half is mirrored if symmetric.

    On a CPU each thread works on rows of its own: threads inside these small products would mostly wait for
    each other.
    """

    def row(i: int) -> torch.Tensor:
        return _row(left_NPD[i], right_MPD, i + 1 if symmetric else 0)

    if left_NPD.device.type == "cpu":
        threads = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                rows = list(pool.map(row, range(len(left_NPD))))
        finally:
            torch.set_num_threads(threads)
    else:
        rows = [row(i) for i in range(len(left_NPD))]
    matrix = torch.stack(rows)
    return matrix + matrix.T if symmetric else matrix


@torch.inference_mode()
def _row(left_PD: torch.Tensor, right_MPD: torch.Tensor, first: int) -> torch.Tensor:
    """Distances (M,) of one cloud to the others from `first` on, in blocks; 0 before that."""
    m, points, _ = right_MPD.shape
    budget = CPU_BLOCK if left_PD.device.type == "cpu" else GPU_BLOCK
    block = max(1, budget // (len(left_PD) * points))
    distances = torch.zeros(m, dtype=left_PD.dtype, device=left_PD.device)
    for start in range(first, m, block):
        squared_BPQ = left_PD @ right_MPD[start : start + block].transpose(1, 2)
        forth = squared_BPQ.amin(2).clamp_min(0).mean(1)
        back = squared_BPQ.amin(1).clamp_min(0).mean(1)
        distances[start : start + block] = forth + back
    return distances


def _augment(a_NPC: Matrix, b_MPC: Matrix, device: str) -> list[torch.Tensor]:
    """(-2a, |a|^2, 1) and (b, 1, |b|^2), whose matrix product is |a - b|^2."""
    a_norm, b_norm = (a_NPC**2).sum(-1, keepdims=True), (b_MPC**2).sum(-1, keepdims=True)
    left = np.concatenate([-2 * a_NPC, a_norm, np.ones_like(a_norm)], -1)
    right = np.concatenate([b_MPC, np.ones_like(b_norm), b_norm], -1)
    dtype = np.float32 if device == "cpu" else np.float64
    return [torch.from_numpy(one.astype(dtype)).to(device) for one in (left, right)]


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
