"""What a person counts in a volume: pieces, specks, their length and thickness, loops and cavities.

Everything rests on a foreground, that is on one threshold. Voxels touch by a face, an edge or a corner (26
neighbours), those of the background by a face alone. Skeletons are one voxel wide (Lee, Kashyap & Chu 1994,
doi 10.1006/cgip.1994.1042, as in scikit-image): thinning takes voxels as cubes, lengths go by their edges.

Shapes: X, Y, Z voxels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, dijkstra, minimum_spanning_tree

Mask = NDArray[np.bool_]

LEVEL = 0.4  # of the network's range: above it lies what a person follows, below it blur and single points
LEAST = 8  # voxels of a piece; the half peak of one localisation, smoothed by 1 voxel, has 7
TOUCHING = np.ones((3, 3, 3), dtype=int)


class Structure(NamedTuple):
    """The structure of one foreground.

    Attributes:
        pieces: connected pieces of at least 8 voxels.
        specks: smaller ones.
        length: of the skeletons of all pieces [unit].
        longest: the longest way within a skeleton, along it [unit].
        thickness: diameter of a cylinder of their volume and skeleton length [unit]; NaN without pieces.
        loops: first Betti number of the pieces: holes that one can look through.
        cavities: second Betti number of the pieces: enclosed background.
    """

    pieces: int
    specks: int
    length: float
    longest: float
    thickness: float
    loops: int
    cavities: int


def structure(foreground_XYZ: Mask, spacing: Sequence[float]) -> Structure:
    """Measure a foreground with voxels of edges `spacing` [unit]; without pieces the rest is 0.

    The zeroth Betti number is pieces + specks. Specks are left out of everything else: one of them is a lost
    localisation as often as a broken end.
    """
    kept, pieces, specks = split_specks(foreground_XYZ)
    if not pieces:
        return Structure(0, specks, 0.0, 0.0, float("nan"), 0, 0)
    length, longest = skeleton_lengths(skeleton(kept), spacing)
    volume = float(kept.sum() * np.prod(spacing))
    loops, cavities = _holes(kept, pieces)
    thickness = 2 * float(np.sqrt(volume / (np.pi * length)))
    return Structure(pieces, specks, length, longest, thickness, loops, cavities)


def split_specks(foreground_XYZ: Mask) -> tuple[Mask, int, int]:
    """The foreground without its specks, the number of pieces in it, and that of specks."""
    labels, number = label(_in_3d(foreground_XYZ), TOUCHING)
    large = np.bincount(labels.ravel(), minlength=number + 1) >= LEAST
    large[0] = False
    pieces = int(large.sum())
    return large[labels], pieces, number - pieces


def skeleton(foreground_XYZ: Mask) -> Mask:
    """The foreground, thinned to lines one voxel wide, with the same pieces.

    The thinning leaves nothing of some symmetric pieces, as balls: these keep their innermost voxel.
    """
    from skimage.morphology import skeletonize  # slow to import, and reports read the table of metrics

    foreground = _in_3d(foreground_XYZ)
    thinned: Mask = np.array(skeletonize(foreground), dtype=np.bool_)
    labels, number = label(foreground, TOUCHING)
    for piece in np.setdiff1d(np.arange(1, number + 1), labels[thinned]):
        depth = distance_transform_edt(np.pad(labels == piece, 1))[1:-1, 1:-1, 1:-1]
        thinned.flat[depth.argmax()] = True
    return thinned


def skeleton_lengths(skeleton_XYZ: Mask, spacing: Sequence[float]) -> tuple[float, float]:
    """The length of all skeletons, and of the longest way along one of them [unit]; (0, 0) for none.

    Ways go from the middle of a voxel to that of a neighbour. Where voxels touch in triangles, as at bends
    and junctions, the shortest connection counts (the minimum spanning tree), so a closed loop lacks a step.
    Each skeleton has the mean edge of a voxel added: half a voxel beyond either end, a length for a dot.
    """
    positions = np.argwhere(skeleton_XYZ)
    if not len(positions):
        return 0.0, 0.0
    edge = float(np.mean(spacing))
    tree = minimum_spanning_tree(_neighbours(positions, skeleton_XYZ.shape, spacing))
    number, members = connected_components(tree, directed=False)
    return float(tree.sum()) + number * edge, _longest_way(tree, number, members) + edge


def cl_dice(x_XYZ: NDArray[Any], r_XYZ: NDArray[Any]) -> float:
    """Centreline Dice of an original and its reconstruction, both above 0.4 of the network's range (0 to 1).

    The harmonic mean of the share of each one's skeleton that lies in the other's foreground (Shit et al.
    2021, arXiv 2003.07934, equations 1 and 2), with hard skeletons. Two volumes without foreground agree (1).
    """
    x, r = _in_3d(x_XYZ > LEVEL), _in_3d(r_XYZ > LEVEL)
    if not x.any() or not r.any():
        return float(x.any() == r.any())
    precision, sensitivity = float(x[skeleton(r)].mean()), float(r[skeleton(x)].mean())
    total = precision + sensitivity
    return 2 * precision * sensitivity / total if total else 0.0


def relative_length(x_XYZ: NDArray[Any], r_XYZ: NDArray[Any], spacing: Sequence[float]) -> float:
    """Length of a reconstruction's skeletons over the original's, less 1; of pieces above 0.4 of the range.

    Below 0 lines were lost. 0 where neither has a skeleton, 1 where the original alone has none.
    """
    original, rebuilt = (structure(v > LEVEL, spacing).length for v in (x_XYZ, r_XYZ))
    return rebuilt / original - 1 if original else float(rebuilt > 0)


def _in_3d(volume: NDArray[Any]) -> Mask:
    return np.asarray(volume, dtype=np.bool_).reshape(volume.shape + (1,) * (3 - volume.ndim))


def _holes(pieces_XYZ: Mask, number: int) -> tuple[int, int]:
    """The first and second Betti number, from the Euler number b0 - b1 + b2."""
    from skimage.measure import euler_number

    padded = np.pad(pieces_XYZ, 1)
    cavities = int(label(~padded)[1]) - 1
    return number + cavities - int(euler_number(padded, connectivity=3)), cavities


def _neighbours(positions_VC: NDArray[np.intp], shape: Sequence[int], spacing: Sequence[float]) -> coo_array:
    """The distances [unit] of touching voxels, each pair once, as a sparse matrix (V, V)."""
    numbers = np.full(np.array(shape) + 2, -1)
    at = tuple(positions_VC.T + 1)
    numbers[at] = np.arange(len(positions_VC))
    rows, columns, lengths = [], [], []
    for step in np.ndindex(3, 3, 3):
        offset = np.array(step) - 1
        if tuple(offset) <= (0, 0, 0):
            continue  # the opposite step finds the pair
        other = numbers[tuple(index + shift for index, shift in zip(at, offset, strict=True))]
        found = np.flatnonzero(other >= 0)
        rows.append(found)
        columns.append(other[found])
        lengths.append(np.full(len(found), np.linalg.norm(offset * np.asarray(spacing))))
    size = (len(positions_VC),) * 2
    return coo_array((np.concatenate(lengths), (np.concatenate(rows), np.concatenate(columns))), shape=size)


def _longest_way(tree: Any, number: int, members_V: NDArray[np.intp]) -> float:
    """The longest path in a forest: from a voxel of each tree to its farthest, and from there once more."""
    starts = np.unique(members_V, return_index=True)[1]
    away_TV = np.zeros((number, len(members_V)))
    for _ in range(2):
        away_TV = dijkstra(tree, directed=False, indices=starts)
        away_TV[~np.isfinite(away_TV)] = -1
        starts = away_TV.argmax(axis=1)
    return float(away_TV.max())
