"""A set of volumes, cut down to what its scores need.

Shapes: N volumes per set, K histogram bins, S shells of a spectrum, F features, P points per cloud, C = 3
coordinates, D volumes kept whole; B volumes per batch; X, Y, Z voxels.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.evaluation.volume_streams import Batch
from voxgen.metrics import volume_statistics
from voxgen.metrics.structure import LEVEL, split_specks, structure
from voxgen.randomness import generator
from voxgen.settings.evaluation import EvaluationSettings
from voxgen.volumes.grid import Grid, draw_points, occupied_above
from voxgen.volumes.intensity import Intensity

Features = Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.floating]]
VolumeSet = dict[str, NDArray[Any]]

SHELLS = 24  # of a spectrum
STRUCTURE = ("pieces", "length", "longest", "thickness", "loops", "cavities")  # of `metrics.structure`
SCALARS = ("counts", "occupancy", "sharpness", "specks", *STRUCTURE)  # of a volume, NaN where it has none
VOLUMES = ("histograms", "spectra", *SCALARS)  # one item per volume


@dataclass(frozen=True)
class Description:
    """How every set of an evaluation is described.

    `features` are functions, by name, of volumes (B, X, Y, Z) as they are stored and of their foreground:
    a network that was trained elsewhere has an intensity law of its own.
    """

    grid: Grid
    law: Intensity
    features: Mapping[str, Features]
    evaluation: EvaluationSettings
    seed: int

    def describe(self, name: str, batches: Iterable[Batch], whole: Container[str]) -> VolumeSet:
        """Read a set batch by batch; the names of set and volume address the points that are drawn.

        Shapes: ids (N,), histograms (N, K), spectra (N, S), SCALARS and empty (N,), each kind of features
        (N, F); of the volumes named by `whole` all voxels (D, X, Y, Z) in the network's range; clouds (P, C)
        of volumes with counts.
        """
        evaluation, threshold = self.evaluation, occupied_above(self.grid)
        kept: dict[str, list[Any]] = {
            item: [] for item in ("ids", *VOLUMES, "whole", "empty", "clouds", *self.features)
        }
        for ids, stored_BXYZ in batches:
            kept["ids"] += ids
            for kind, function in self.features.items():
                kept[kind].extend(function(stored_BXYZ, stored_BXYZ > threshold))
            for one, stored, x in zip(ids, stored_BXYZ, self.law.to_network(stored_BXYZ), strict=True):
                kept["histograms"].append(volume_statistics.foreground_histogram(x, stored > threshold))
                kept["spectra"].append(volume_statistics.radial_power_spectrum(x, self.grid.spacing, SHELLS))
                for item, number in self._numbers(stored, x).items():
                    kept[item].append(number)
                kept["whole"] += [x] if one in whole else []
                kept["empty"].append(not stored.any())
                if self.grid.holds_counts and stored.sum() > 0:
                    rng = generator(self.seed, f"evaluation points {name} {one}")
                    kept["clouds"].append(draw_points(stored, self.grid, evaluation.points, rng))
        return {item: np.array(values) for item, values in kept.items()}

    def number(self, batches: Iterable[Batch]) -> VolumeSet:
        """The SCALARS (N,) alone of a set, of which there may be none."""
        found = [
            self._numbers(stored, x)
            for _, stored_BXYZ in batches
            for stored, x in zip(stored_BXYZ, self.law.to_network(stored_BXYZ), strict=True)
        ]
        return {item: np.array([one[item] for one in found], dtype=np.float64) for item in SCALARS}

    def _numbers(self, stored_XYZ: NDArray[np.float32], x_XYZ: NDArray[np.float32]) -> dict[str, float]:
        """The SCALARS of a volume as it is stored and in the network's range."""
        foreground = stored_XYZ > occupied_above(self.grid)
        found = structure(x_XYZ > LEVEL, self.grid.spacing)
        counts = float(stored_XYZ.sum(dtype=np.float64)) if self.grid.holds_counts else float("nan")
        return {
            "counts": counts,
            "occupancy": volume_statistics.occupancy(foreground),
            "sharpness": volume_statistics.sharpness(x_XYZ, foreground),
            "specks": split_specks(foreground)[2],
            **{number: getattr(found, number) for number in STRUCTURE},
        }


def word_thresholds(grid: Grid, law: Intensity) -> dict[str, str]:
    """Above what voxels are occupied (`above`), and solid enough for pieces and skeletons (`solid`)."""
    kind = "counts" if grid.holds_counts else "intensity"
    solid = float(law.from_network(np.array([LEVEL], np.float32))[0])
    return {
        "above": f"of voxels above {occupied_above(grid):.3g} {kind}",
        "solid": f"of voxels above {solid:.3g} {kind}",
    }
