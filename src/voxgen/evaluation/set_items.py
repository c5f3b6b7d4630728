"""What the metrics of samples take of each set of volumes, and the values that their texts and formulas need.

Shapes: N volumes or clouds per set, F features, P points per cloud, C = 3 coordinates.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.evaluation.volume_sets import VOLUMES, Description, VolumeSet
from voxgen.metrics.cloud_distances import chamfer_matrix, earth_movers_matrix
from voxgen.metrics.point_clouds import point_histograms
from voxgen.metrics.similarity import ms_ssim_of_pairs
from voxgen.metrics.volume_statistics import counted_shells
from voxgen.volumes.grid import Grid

Array = NDArray[np.float64]
Sets = Mapping[str, VolumeSet]
Items = dict[str, dict[str, Any]]  # what is taken, of each set by its name
Values = dict[str, Any]

FEWEST = 3  # volumes whose features have distances


def take_items(sets: Sets, how: Description, device: str, threads: int) -> tuple[Items, Values]:
    """The items of all sets, "test" among them, and values by name; what too few volumes allow is missing."""
    test, window = sets["test"], how.evaluation.ssim_window
    items: Items = {item: {name: one[item] for name, one in sets.items()} for item in VOLUMES}
    if min(len(one["whole"]) for one in sets.values()) > 1:
        items["similarity"] = {name: ms_ssim_of_pairs(one["whole"], window) for name, one in sets.items()}
    shells = {"counted": int(counted_shells(test["spectra"]).sum()), "shells": test["spectra"].shape[1]}
    values: Values = {"upper": how.upper, "window": window, **shells}
    for kind in how.features if len(test["occupancy"]) >= FEWEST else ():
        features = _standardise({name: one[kind] for name, one in sets.items()})
        values[kind] = features["test"].shape[1]
        items |= {kind: features} if values[kind] else {}
    if min(len(one["clouds"]) for one in sets.values()) > 1:
        clouds, found = _take_clouds(sets, how, device, threads)
        items, values = items | clouds, values | found
    return items, values


def _take_clouds(sets: Sets, how: Description, device: str, threads: int) -> tuple[Items, Values]:
    """Matrices of distances, and histograms of points.

    Sets are cut to the smallest number of clouds, and for the earth mover's distance further, to the first
    clouds and points: both were drawn at random.
    """
    n = min(len(one["clouds"]) for one in sets.values())
    unit, scale = _length_unit(how.grid)
    clouds = {name: scale * one["clouds"][:n] for name, one in sets.items()}
    few, points = min(n, how.evaluation.matched_clouds), how.evaluation.matched_points
    matched = {name: one[:few, :points] for name, one in clouds.items()}
    cells = point_histograms(list(clouds.values()), scale * np.array(how.grid.bounds))
    items = {
        **_matrices("chamfer", clouds, partial(chamfer_matrix, device=device)),
        **_matrices("emd", matched, partial(earth_movers_matrix, threads=threads)),
        "cells": dict(zip(clouds, cells, strict=True)),
    }
    units = {"length": unit, "area": f"{unit}²" if unit else ""}
    sizes = {"points": how.evaluation.points, "matched_clouds": few, "matched_points": points}
    return items, {**units, **sizes}


def _matrices(key: str, clouds: Mapping[str, Array], distance: Callable[..., Array]) -> Items:
    """Distances within each set, within the test set, and between the two; each is computed once."""
    within = {name: distance(one) for name, one in clouds.items()}
    others = {name: one for name, one in clouds.items() if name != "test"}
    across = {name: distance(one, clouds["test"]) for name, one in others.items()}
    return {key: within, f"{key}_test": dict.fromkeys(others, within["test"]), f"{key}_across": across}


def _length_unit(grid: Grid) -> tuple[str, float]:
    """The unit in which distances are stated, and its number in one of the grid's units."""
    if grid.unit == "nm" and np.ptp(grid.bounds, axis=1).max() >= 1000:
        return "µm", 1e-3
    return ("" if grid.unit == "unitless" else grid.unit.replace("um", "µm")), 1.0


def _standardise(features: Mapping[str, NDArray[np.floating]]) -> dict[str, Array]:
    """Features (N, F) in the test split's standard deviations from its mean, without its constant ones."""
    test = features["test"].astype(np.float64)
    mean, std = test.mean(0), test.std(0)
    varied = std > 1e-6 * max(float(std.max()), 1e-30)
    return {name: (of[:, varied] - mean[varied]) / std[varied] for name, of in features.items()}
