"""Two sets of point clouds: distances between clouds, scores on them, and where the points lie.

Chamfer and earth mover's distances (`chamfer`, `assignment`) give matrices (N, M), from which the scores
(`scores`: 1-NNA, coverage, minimum matching distance) come; the Jensen-Shannon divergence (`occupancy`)
needs no distance.
"""

from voxgen.metrics.point_clouds.assignment import earth_movers_matrix
from voxgen.metrics.point_clouds.chamfer import chamfer_matrix
from voxgen.metrics.point_clouds.occupancy import jensen_shannon, jensen_shannon_of, point_histograms
from voxgen.metrics.point_clouds.scores import coverage, minimum_matching, nearest_neighbour_correct

__all__ = [
    "chamfer_matrix",
    "coverage",
    "earth_movers_matrix",
    "jensen_shannon",
    "jensen_shannon_of",
    "minimum_matching",
    "nearest_neighbour_correct",
    "point_histograms",
]
