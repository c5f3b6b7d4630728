"""What the metrics of samples take of each set of volumes, and the values that their texts and formulas need.

Shapes: N volumes or clouds per set, F features, P points per cloud, C = 3 coordinates.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.evaluation.volume_sets import SCALARS, VOLUMES, Description, VolumeSet, word_thresholds
from voxgen.metrics.classifier import Told
from voxgen.metrics.cloud_distances import chamfer_matrix, earth_movers_matrix
from voxgen.metrics.distributions import Pairs
from voxgen.metrics.point_clouds import point_histograms
from voxgen.metrics.similarity import ms_ssim_of_pairs
from voxgen.metrics.volume_statistics import counted_shells
from voxgen.randomness import generator
from voxgen.volumes.grid import Grid

Array = NDArray[np.float64]
Sets = Mapping[str, VolumeSet]
Items = dict[str, dict[str, Any]]  # what is taken, of each set by its name
Values = dict[str, Any]

FEWEST = 3  # volumes whose features have distances


def take_items(sets: Sets, how: Description, device: str, threads: int) -> tuple[Items, Values]:
    """The items of all sets, "test" among them, and values by name; what too few volumes allow is missing.

    An item is an array of each set, or the `Pairs` of a set with the test split.
    """
    test, window = sets["test"], how.evaluation.ssim_window
    items, values = take_numbers(sets, list(how.features))
    if min(len(one["whole"]) for one in sets.values()) > 1:
        wholes = {name: one["whole"] for name, one in sets.items()}
        items["similarity"] = _pairs(wholes, partial(ms_ssim_of_pairs, window=window))
    shells = {"counted": int(counted_shells(test["spectra"]).sum()), "shells": test["spectra"].shape[1]}
    values |= {"window": window, **shells, **word_thresholds(how.grid, how.law)}
    if min(len(one["clouds"]) for one in sets.values()) > 1:
        clouds, found = _take_clouds(sets, how, device, threads)
        items, values = items | clouds, values | found
    return items, values


def take_numbers(sets: Sets, kinds: Sequence[str]) -> tuple[Items, Values]:
    """The items with one row per volume, and how many features of each of the `kinds` vary."""
    items: Items = {item: {name: _known(one[item]) for name, one in sets.items()} for item in VOLUMES}
    values: Values = {}
    if len(sets["test"]["occupancy"]) < FEWEST:
        return items, values
    for kind in kinds:
        features = _standardise({name: one[kind] for name, one in sets.items()})
        values[kind] = features["test"].shape[1]
        items |= {kind: features} if values[kind] else {}
    told = _standardise({name: _describe_all(one, kinds) for name, one in sets.items()})
    values["told"] = told["test"].shape[1]
    if values["told"]:
        items["told"] = {name: Told(one, told["test"]) for name, one in told.items() if name != "test"}
    return items, values


def add_real(items: Items, numbers: VolumeSet) -> None:
    """Hold the SCALARS of samples against those of more real volumes than the test split has.

    Whether a kind of volume is missing shows only beside enough real ones: where the most crowded fifth is
    missing, 64 samples tell in 78 % of trials beside 64 real volumes, in 99 % beside 256.
    """
    for item in SCALARS:
        items[item]["real"] = np.concatenate([items[item]["test"], _known(numbers[item])])


def _describe_all(one: VolumeSet, kinds: Iterable[str]) -> Array:
    """All features and numbers of each volume (N, F); 0 for a number that it lacks."""
    numbers = np.stack([one[key] for key in SCALARS], axis=1).astype(np.float64)
    return np.concatenate([*(one[kind] for kind in kinds), np.nan_to_num(numbers)], axis=1)


def part_of(items: Items, name: str, of: str) -> Any:
    """What is called `name` of a set, or a part of its `Pairs` behind a point; () for what is missing."""
    item, _, part = name.partition(".")
    taken = items.get(item, {}).get(of, ())
    return getattr(taken, part) if part and taken != () else taken


def pool_items(item: Mapping[str, Any], name: str) -> tuple[Array, int]:
    """What a set and real volumes have together, the set first, and how much of it is the set's.

    Real are the test split or, for samples, what `add_real` gave.
    """
    of_set = item[name]
    if isinstance(of_set, Pairs | Told):
        return of_set.pooled, len(of_set[0])
    real = item.get("real", item["test"]) if name == "samples" else item["test"]
    return np.concatenate([of_set, real]), len(of_set)


def _take_clouds(sets: Sets, how: Description, device: str, threads: int) -> tuple[Items, Values]:
    """Pairs by their distances, and histograms of points.

    Sets are cut at random to the smallest number of clouds, and for the earth mover's distance further; the
    points of a cloud were drawn at random, so its first ones are.
    """
    n = min(len(one["clouds"]) for one in sets.values())
    unit, scale = _length_unit(how.grid)
    few, points = min(n, how.evaluation.matched_clouds), how.evaluation.matched_points
    clouds = {name: scale * _shuffled(one["clouds"], name, how.seed)[:n] for name, one in sets.items()}
    matched = {name: one[:few, :points] for name, one in clouds.items()}
    cells = point_histograms(list(clouds.values()), scale * np.array(how.grid.bounds))
    items: Items = {
        "chamfer": _pairs(clouds, partial(chamfer_matrix, device=device)),
        "emd": _pairs(matched, partial(earth_movers_matrix, threads=threads)),
        "cells": dict(zip(clouds, cells, strict=True)),
    }
    units = {"length": unit, "area": f"{unit}²" if unit else ""}
    sizes = {"points": how.evaluation.points, "matched_clouds": few, "matched_points": points}
    return items, {**units, **sizes}


def _shuffled(clouds_NPC: Array, name: str, seed: int) -> Array:
    """The clouds in a random order, rebuilt ones in that of what they were rebuilt from."""
    purpose = f"evaluation clouds {name.removeprefix('rebuilt_')}"
    return clouds_NPC[generator(seed, purpose).permutation(len(clouds_NPC))]


def _pairs(sets: Mapping[str, Array], value: Callable[..., Array]) -> dict[str, Pairs]:
    """Each set's pairs with the test set, by a value of pairs within a set or between two."""
    test = value(sets["test"])
    others = {name: one for name, one in sets.items() if name != "test"}
    return {name: Pairs(value(one), test, value(one, sets["test"])) for name, one in others.items()}


def _known(values: NDArray[Any]) -> NDArray[Any]:
    """Without volumes that lack the number."""
    return values[np.isfinite(values)] if values.ndim == 1 else values


def _length_unit(grid: Grid) -> tuple[str, float]:
    """The unit in which distances are stated, and its number in one of the grid's units."""
    if grid.unit == "nm" and np.ptp(grid.bounds, axis=1).max() >= 1000:
        return "µm", 1e-3
    return ("" if grid.unit == "unitless" else grid.unit.replace("um", "µm")), 1.0


def _standardise(features: Mapping[str, NDArray[np.floating]]) -> dict[str, Array]:
    """Features (N, F) in the real volumes' standard deviations from their mean, without the constant ones.

    By train and test volumes together: by one set alone, that set would lie nearer to the middle than others.
    """
    real = np.concatenate([features["train"], features["test"]]).astype(np.float64)
    mean, std = real.mean(0), real.std(0)
    varied = std > 1e-6 * max(float(std.max()), 1e-30)
    return {name: (of[:, varied] - mean[varied]) / std[varied] for name, of in features.items()}
