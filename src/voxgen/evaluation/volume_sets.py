"""A set of volumes, cut down to what its scores need.

Shapes: N volumes per set, K histogram bins, S shells of a spectrum, F features, P points per cloud, C = 3
coordinates, D volumes kept whole; B volumes per batch; X, Y, Z voxels.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.evaluation.volume_streams import Batch
from voxgen.metrics import volume_statistics
from voxgen.randomness import generator
from voxgen.settings.evaluation import EvaluationSettings
from voxgen.volumes.grid import Grid, draw_points, occupied_above
from voxgen.volumes.intensity import Intensity

Features = Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.floating]]
VolumeSet = dict[str, NDArray[Any]]

SHELLS = 24  # of a spectrum
VOLUMES = ("histograms", "spectra", "occupancy", "pieces", "sharpness")  # one item per volume


@dataclass(frozen=True)
class Description:
    """How every set of an evaluation is described.

    `upper` is the end of the histograms in the network's range; `features` are functions, by name, of
    volumes (B, X, Y, Z) in that range and of their foreground.
    """

    grid: Grid
    law: Intensity
    upper: float
    features: Mapping[str, Features]
    evaluation: EvaluationSettings
    seed: int

    def describe(self, name: str, batches: Iterable[Batch]) -> VolumeSet:
        """Read a set batch by batch; the names of set and volume address the points that are drawn.

        Shapes: histograms (N, K), spectra (N, S), occupancy, pieces and empty (N,), each kind of features
        (N, F), whole (D, X, Y, Z) in the network's range; sharpness and clouds (P, C) of volumes with counts.
        """
        evaluation, threshold = self.evaluation, occupied_above(self.grid)
        kept: dict[str, list[Any]] = {
            item: [] for item in (*VOLUMES, "whole", "empty", "clouds", *self.features)
        }
        for ids, counts_BXYZ in batches:
            x_BXYZ = self.law.to_network(counts_BXYZ)
            for kind, function in self.features.items():
                kept[kind].extend(function(x_BXYZ, counts_BXYZ > threshold))
            for one, counts, x in zip(ids, counts_BXYZ, x_BXYZ, strict=True):
                foreground = counts > threshold
                kept["histograms"].append(volume_statistics.foreground_histogram(x, foreground, self.upper))
                kept["spectra"].append(volume_statistics.radial_power_spectrum(x, self.grid.spacing, SHELLS))
                kept["occupancy"].append(volume_statistics.occupancy(foreground))
                kept["pieces"].append(volume_statistics.connected_components(foreground).number)
                kept["sharpness"].append(volume_statistics.sharpness(x, foreground))
                kept["whole"] += [x] if len(kept["whole"]) < evaluation.diverse else []
                kept["empty"].append(not counts.any())
                if self.grid.holds_counts and counts.sum() > 0:
                    rng = generator(self.seed, f"evaluation points {name} {one}")
                    kept["clouds"].append(draw_points(counts, self.grid, evaluation.points, rng))
        found = {item: np.array(values) for item, values in kept.items()}
        found["sharpness"] = found["sharpness"][np.isfinite(found["sharpness"])]
        return found
