"""Scores of point clouds drawn from volumes, as the field of shape generation states them.

Shapes: N clouds of a set, P points of a cloud, C = 3 coordinates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from voxgen.evaluation.scores import COMPARED, Scored, Sets, compared, jackknifed, scored
from voxgen.metrics import point_clouds
from voxgen.metrics.bootstrap import Bootstrap, Estimate
from voxgen.metrics.comparison import Metric
from voxgen.settings.evaluation import EvaluationSettings
from voxgen.volumes.grid import Grid

Matrix = NDArray[np.float64]
Clouds = Mapping[str, Matrix]


@dataclass(frozen=True)
class Distance:
    """A distance between clouds: its names, what it is taken of, its unit, and its matrix of two sets."""

    key: str
    label: str
    of: str
    unit: str
    matrix: Callable[..., Matrix]


def cloud_scores(
    sets: Sets, grid: Grid, evaluation: EvaluationSettings, bootstrap: Bootstrap, device: str, threads: int
) -> dict[str, Scored]:
    """1-NNA, coverage and minimum matching distance under two distances, and the Jensen-Shannon divergence.

    Sets are cut to the smallest number of clouds, and for the earth mover's distance further, to the first
    clouds and points: both were drawn at random.
    """
    n = min(len(one.clouds) for one in sets.values())
    if n < 2:
        return {}
    unit, scale = _length(grid)
    clouds = {name: scale * one.clouds[:n] for name, one in sets.items()}
    few, points = min(n, evaluation.matched_clouds), evaluation.matched_points
    matched = {name: one[:few, :points] for name, one in clouds.items()}
    chamfer = Distance(
        "chamfer",
        "Chamfer",
        f"clouds of {evaluation.points} points",
        f"{unit}²" if unit else "",
        partial(point_clouds.chamfer_matrix, device=device),
    )
    earth_movers = Distance(
        "emd",
        "earth mover's",
        f"{few} clouds of {points} points",
        unit,
        partial(point_clouds.earth_movers_matrix, threads=threads),
    )
    return {
        **_neighbour_scores(clouds, chamfer, bootstrap),
        **_neighbour_scores(matched, earth_movers, bootstrap),
        **_divergence(clouds, scale * np.array(grid.bounds), bootstrap),
    }


def _neighbour_scores(clouds: Clouds, distance: Distance, bootstrap: Bootstrap) -> dict[str, Scored]:
    """The three scores under one distance, of which every matrix is computed once."""
    within = {name: distance.matrix(clouds[name]) for name in ("test", *COMPARED)}
    across = {name: distance.matrix(clouds[name], clouds["test"]) for name in COMPARED}

    def one_nna(name: str) -> Estimate:
        items = point_clouds.nearest_neighbour_correct(within[name], within["test"], across[name])
        return bootstrap.mean(items, "1-nna")

    def coverage(name: str) -> Estimate:
        return bootstrap.mean(point_clouds.coverage(across[name]), "coverage")

    def matching(name: str) -> Estimate:
        return bootstrap.mean(point_clouds.minimum_matching(across[name]), "mmd")

    label, of = distance.label, distance.of
    nearest = Metric(f"1-NNA, {label}", "%", "towards 0.5", f"share nearest to one of their own set; {of}")
    covered = Metric(f"coverage, {label}", "%", "higher", f"share of test clouds nearest to some cloud; {of}")
    least = Metric(
        f"minimum matching, {label}", distance.unit, "lower", f"mean from test clouds to the nearest; {of}"
    )
    return {
        f"1-nna {distance.key}": scored(nearest, "clouds", one_nna),
        f"coverage {distance.key}": scored(covered, "clouds", coverage),
        f"mmd {distance.key}": scored(least, "clouds", matching),
    }


def _length(grid: Grid) -> tuple[str, float]:
    """The unit in which distances are stated, and its number in one of the grid's units."""
    if grid.unit == "nm" and np.ptp(grid.bounds, axis=1).max() >= 1000:
        return "µm", 1e-3
    return ("" if grid.unit == "unitless" else grid.unit.replace("um", "µm")), 1.0


def _divergence(clouds: Clouds, bounds: Matrix, bootstrap: Bootstrap) -> dict[str, Scored]:
    if min(map(len, clouds.values())) < 3:
        return {}
    found = point_clouds.point_histograms(list(clouds.values()), bounds)
    points = clouds["test"].shape[1]
    metric = Metric(
        "Jensen-Shannon divergence",
        "bits",
        "lower",
        f"of where points lie, all clouds together, 0 to 1; {points} points each",
    )
    histograms = dict(zip(clouds, found, strict=True))
    divergence = point_clouds.jensen_shannon_of
    return {"jsd": compared(metric, "clouds", divergence, histograms, jackknifed(bootstrap))}
