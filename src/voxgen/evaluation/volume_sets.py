"""A set of volumes, cut down to what its scores need.

Shapes: N volumes per set, K histogram bins, S shells of a spectrum, F features, P points per cloud, C = 3
coordinates, D volumes kept whole; B volumes per batch; X, Y, Z voxels.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxgen.evaluation.volume_streams import Batch
from voxgen.metrics import volume_statistics
from voxgen.randomness import generator
from voxgen.settings.evaluation import Measures
from voxgen.volumes.grid import Grid, draw_points, occupied_above
from voxgen.volumes.intensity import Intensity

Array = NDArray[np.float64]
Features = Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.floating]]

SHELLS = 24  # of a spectrum


@dataclass(frozen=True)
class VolumeSet:
    """What is kept of a set.

    Shapes: histograms (N, K), spectra (N, S), occupancy and pieces (N,), each kind of features (N, F), whole
    (D, X, Y, Z) in the network's range; without the `empty` volumes: sharpness (N,), clouds (N, P, C).
    """

    histograms: NDArray[np.int64]
    spectra: Array
    occupancy: Array
    pieces: Array
    features: dict[str, NDArray[np.floating]]
    whole: NDArray[np.float32]
    sharpness: Array
    clouds: Array
    empty: int


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
    evaluation: Measures
    seed: int

    def describe(self, name: str, batches: Iterable[Batch]) -> VolumeSet:
        """Read a set batch by batch; the names of set and volume address the points that are drawn."""
        evaluation, threshold = self.evaluation, occupied_above(self.grid)
        histograms, spectra, occupancy, pieces, sharpness, clouds = ([] for _ in range(6))
        whole: list[NDArray[np.float32]] = []
        features: dict[str, list[NDArray[np.floating]]] = {kind: [] for kind in self.features}
        empty = 0
        for ids, counts_BXYZ in batches:
            x_BXYZ = self.law.to_network(counts_BXYZ)
            for kind, function in self.features.items():
                features[kind].append(function(x_BXYZ, counts_BXYZ > threshold))
            for one, counts, x in zip(ids, counts_BXYZ, x_BXYZ, strict=True):
                foreground = counts > threshold
                histograms.append(volume_statistics.foreground_histogram(x, foreground, self.upper))
                spectra.append(volume_statistics.radial_power_spectrum(x, self.grid.spacing, SHELLS))
                occupancy.append(volume_statistics.occupancy(foreground))
                pieces.append(volume_statistics.connected_components(foreground).number)
                sharpness.append(volume_statistics.sharpness(x, foreground))
                whole.extend([x] if len(whole) < evaluation.diverse else [])
                empty += not counts.any()
                if self.grid.holds_counts and counts.sum() > 0:
                    rng = generator(self.seed, f"evaluation points {name} {one}")
                    clouds.append(draw_points(counts, self.grid, evaluation.points, rng))
        sharp = np.array(sharpness)
        return VolumeSet(
            histograms=np.stack(histograms),
            spectra=np.stack(spectra),
            occupancy=np.array(occupancy),
            pieces=np.array(pieces, float),
            features={kind: np.concatenate(parts) for kind, parts in features.items()},
            whole=np.stack(whole),
            sharpness=sharp[np.isfinite(sharp)],
            clouds=np.reshape(clouds, (len(clouds), evaluation.points, 3)),
            empty=empty,
        )
