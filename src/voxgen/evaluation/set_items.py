"""What the metrics of samples take of each set of volumes, and the values that their texts and formulas need.

Shapes: N volumes or clouds per set, F features, P points per cloud, C = 3 coordinates.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.evaluation.volume_sets import Description, VolumeSet
from voxgen.metrics.cloud_distances import chamfer_matrix, earth_movers_matrix
from voxgen.metrics.point_clouds import point_histograms
from voxgen.metrics.similarity import ms_ssim_of_pairs
from voxgen.metrics.volume_statistics import counted_shells
from voxgen.volumes.grid import Grid

Array = NDArray[np.float64]
Sets = Mapping[str, VolumeSet]
Items = dict[str, dict[str, Any]]  # what is taken of a set, of each set by its name
Distance = Callable[..., Array]

FEWEST = 3  # volumes whose features have distances


def take_items(
    sets: Sets, how: Description, device: str, threads: int
) -> tuple[Items, dict[str, float | int | str]]:
    """The items of all sets, "test" among them, and values by name; what too few volumes allow is missing."""
    test = sets["test"]
    items: Items = {
        "histograms": {name: one.histograms for name, one in sets.items()},
        "spectra": {name: one.spectra for name, one in sets.items()},
        "occupancy": {name: one.occupancy for name, one in sets.items()},
        "sharpness": {name: one.sharpness for name, one in sets.items()},
        "pieces": {name: one.pieces for name, one in sets.items()},
    }
    window = how.evaluation.ssim_window
    if min(len(one.whole) for one in sets.values()) > 1:
        items["similarity"] = {name: ms_ssim_of_pairs(one.whole, window) for name, one in sets.items()}
    values: dict[str, float | int | str] = {
        "upper": how.upper,
        "window": window,
        "counted": int(counted_shells(test.spectra).sum()),
        "shells": test.spectra.shape[1],
    }
    for kind in how.features if len(test.occupancy) >= FEWEST else ():
        features = _standardise({name: one.features[kind] for name, one in sets.items()})
        values[kind] = features["test"].shape[1]
        if values[kind]:
            items[f"features {kind}"] = features
    if min(len(one.clouds) for one in sets.values()) > 1:
        clouds, found = _take_clouds(sets, how, device, threads)
        items, values = items | clouds, values | found
    return items, values


def _take_clouds(
    sets: Sets, how: Description, device: str, threads: int
) -> tuple[Items, dict[str, float | int | str]]:
    """Matrices of distances, and histograms of points.

    Sets are cut to the smallest number of clouds, and for the earth mover's distance further, to the first
    clouds and points: both were drawn at random.
    """
    n = min(len(one.clouds) for one in sets.values())
    unit, scale = _length_unit(how.grid)
    clouds = {name: scale * one.clouds[:n] for name, one in sets.items()}
    few, points = min(n, how.evaluation.matched_clouds), how.evaluation.matched_points
    matched = {name: one[:few, :points] for name, one in clouds.items()}
    cells = point_histograms(list(clouds.values()), scale * np.array(how.grid.bounds))
    values: dict[str, float | int | str] = {
        "length": unit,
        "area": f"{unit}²" if unit else "",
        "points": how.evaluation.points,
        "matched_clouds": few,
        "matched_points": points,
    }
    return {
        "chamfer": _matrices(clouds, partial(chamfer_matrix, device=device)),
        "emd": _matrices(matched, partial(earth_movers_matrix, threads=threads)),
        "cells": dict(zip(clouds, cells, strict=True)),
    }, values


def _matrices(clouds: Mapping[str, Array], distance: Distance) -> dict[str, tuple[Array, ...]]:
    """Distances within each set, within the test set, and between the two; each is computed once."""
    within = {name: distance(one) for name, one in clouds.items()}
    return {
        name: (within[name], within["test"], distance(one, clouds["test"]))
        for name, one in clouds.items()
        if name != "test"
    }


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
