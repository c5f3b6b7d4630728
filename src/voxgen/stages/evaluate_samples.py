"""Stage evaluate_samples: how far generated volumes are from the test split, beside what train volumes are.

Shapes: N volumes of a set, K histogram bins, P points of a cloud, C = 3 coordinates; X, Y, Z voxels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.compute import launch
from voxgen.errors import InputError
from voxgen.intensity import Intensity
from voxgen.io.files import read_json, read_table, write_json
from voxgen.io.nifti import read_volume
from voxgen.metrics import point_clouds, volumes
from voxgen.metrics.bootstrap import Bootstrap, Estimate
from voxgen.metrics.comparison import Metric
from voxgen.randomness import generator
from voxgen.settings.sections import EvaluationSettings, Machine
from voxgen.voxels import Grid, draw_points, occupied_above

Array = NDArray[np.float64]
Estimates = dict[str, Estimate]

DRIFT = 0.05  # relative deviation of the latents' standard deviation that is reported
TOO_NARROW = (
    "narrower than the training latents: the denoiser is undertrained, the sampler takes too few steps, "
    "or it clips its predictions (clip_sample)"
)
TOO_WIDE = (
    "wider than the training latents: the sampler takes too few steps, the denoiser is undertrained, "
    "or scale.json belongs to another autoencoder"
)


@dataclass(frozen=True)
class VolumeSet:
    """What the metrics need of a set of volumes.

    Shapes: histograms (N, K), occupancy (N,); without the `empty` volumes: sharpness (N,), clouds (N, P, C).
    """

    histograms: NDArray[np.int64]
    occupancy: Array
    sharpness: Array
    clouds: Array
    empty: int


def evaluate_samples(
    samples: Path,
    table: Path,
    train: tuple[Path, Path],
    test: tuple[Path, Path],
    grid: Path,
    intensity: Path,
    scores: Path,
    evaluation: EvaluationSettings,
    seed: int,
    machine: Machine,
) -> None:
    """Compare generated volumes, and train volumes as the floor, with the test split.

    `table` lists the volumes in folder `samples`; `train` and `test` are (manifest, folder). All three
    sets are cut to the size of the smallest by a seeded choice. Volumes of counts are compared as point
    clouds too, drawn from real and generated volumes alike, in grid.json's frame. Writes `scores` (JSON).

    Raises:
        InputError: a set has no volumes, or one with counts that are not finite.
    """
    frame, law = Grid.from_json(read_json(grid)), Intensity.from_json(read_json(intensity))
    sources = {"samples": (table, samples), "test": test, "train": train}
    tables = {name: read_table(manifest) for name, (manifest, _) in sources.items()}
    for name, rows in tables.items():
        if not rows:
            raise InputError(f"{sources[name][0]}: no volumes to evaluate; give more {name} volumes")
    n = min(map(len, tables.values()))
    upper = _upper(tables, law)
    sets = {
        name: _described(
            name, _chosen(rows, n, seed, name), sources[name][1], frame, law, upper, evaluation, seed
        )
        for name, rows in tables.items()
    }
    bootstrap = Bootstrap(evaluation.bootstrap, evaluation.confidence, seed)
    metrics = _volume_metrics(sets, upper, bootstrap)
    smallest = min(len(one.clouds) for one in sets.values())
    if smallest >= 2:
        metrics |= _cloud_metrics(sets, smallest, frame.unit, launch(machine).device.type, bootstrap)
    latent = _latent(tables["samples"])
    summary = {
        "n": n,
        "counts": frame.holds_counts,
        "n_clouds": smallest,
        "points": evaluation.points,
        "empty": {name: one.empty for name, one in sets.items()},
        "metrics": metrics,
        "latent": latent,
    }
    write_json(scores, {**summary, "reading": _readings(summary)})


def _upper(tables: dict[str, list[dict[str, str]]], law: Intensity) -> float:
    """The largest intensity of any volume, in the network's range: the end of the histograms."""
    for name, rows in tables.items():
        for row in rows:
            if not np.isfinite(float(row["max"])):
                raise InputError(f"{name}: {row['id']} has a count of {row['max']}; train for longer")
    peak = max(float(row["max"]) for rows in tables.values() for row in rows)
    return max(float(law.to_network(np.array([peak], np.float32))[0]), 1e-6)


def _chosen(rows: list[dict[str, str]], n: int, seed: int, name: str) -> list[str]:
    order = generator(seed, f"evaluation {name}").permutation(len(rows))[:n]
    return [rows[i]["id"] for i in sorted(order)]


def _described(
    name: str,
    ids: list[str],
    folder: Path,
    grid: Grid,
    law: Intensity,
    upper: float,
    evaluation: EvaluationSettings,
    seed: int,
) -> VolumeSet:
    """Read the volumes one by one and keep what the metrics need."""
    threshold = occupied_above(grid)
    histograms, occupancy, sharpness, clouds = [], [], [], []
    empty = 0
    for one in ids:
        counts = read_volume(folder / f"{one}.nii.gz")
        x, foreground = law.to_network(counts), counts > threshold
        histograms.append(volumes.foreground_histogram(x, foreground, upper))
        occupancy.append(volumes.occupancy(foreground))
        sharpness.append(volumes.sharpness(x, foreground))
        empty += not counts.any()
        if grid.holds_counts and counts.sum() > 0:
            rng = generator(seed, f"evaluation points {name} {one}")
            clouds.append(draw_points(counts, grid, evaluation.points, rng))
    sharp = np.array(sharpness)
    return VolumeSet(
        np.stack(histograms),
        np.array(occupancy),
        sharp[np.isfinite(sharp)],
        np.reshape(clouds, (len(clouds), evaluation.points, 3)),
        empty,
    )


def _volume_metrics(sets: dict[str, VolumeSet], upper: float, bootstrap: Bootstrap) -> dict[str, Any]:
    samples, test, train = sets["samples"], sets["test"], sets["train"]
    distance = partial(volumes.histogram_distance, upper=upper)
    relative = volumes.relative_difference
    chosen = {
        "histogram": (
            Metric(
                "density histogram", "", "lower", "Wasserstein-1 of foreground intensities, network range"
            ),
            bootstrap.pair(distance, samples.histograms, test.histograms, "histogram"),
            bootstrap.pair(distance, train.histograms, test.histograms, "histogram"),
        ),
        "occupancy": (
            Metric("occupancy", "%", "towards 0", "relative difference of the mean share of occupied voxels"),
            bootstrap.pair(relative, samples.occupancy, test.occupancy, "occupancy"),
            bootstrap.pair(relative, train.occupancy, test.occupancy, "occupancy"),
        ),
    }
    if all(len(one.sharpness) for one in sets.values()):
        chosen["sharpness"] = (
            Metric("sharpness", "%", "towards 0", "relative difference of the mean gradient over intensity"),
            bootstrap.pair(relative, samples.sharpness, test.sharpness, "sharpness"),
            bootstrap.pair(relative, train.sharpness, test.sharpness, "sharpness"),
        )
    return {name: _beside(*entry) for name, entry in chosen.items()}


def _cloud_metrics(
    sets: dict[str, VolumeSet], n: int, unit: str, device: str, bootstrap: Bootstrap
) -> dict[str, Any]:
    samples, test, train = (sets[name].clouds[:n] for name in ("samples", "test", "train"))
    within = {name: point_clouds.chamfer_matrix(sets[name].clouds[:n], device=device) for name in sets}
    across = {
        "samples": point_clouds.chamfer_matrix(samples, test, device),
        "train": point_clouds.chamfer_matrix(train, test, device),
    }
    squared = "" if unit == "unitless" else f"{'µm' if unit == 'um' else unit}²"
    per_item: dict[str, tuple[Metric, Callable[[str], Array]]] = {
        "1-nna": (
            Metric(
                "1-NNA", "%", "towards 0.5", "share of clouds whose nearest neighbour is of their own set"
            ),
            lambda name: point_clouds.nearest_neighbour_correct(within[name], within["test"], across[name]),
        ),
        "coverage": (
            Metric("coverage", "%", "higher", "share of test clouds that are nearest to some sample"),
            lambda name: point_clouds.coverage(across[name]),
        ),
        "mmd": (
            Metric(
                "minimum matching distance", squared, "lower", "Chamfer distance from test to nearest sample"
            ),
            lambda name: point_clouds.minimum_matching(across[name]),
        ),
    }
    return {
        key: _beside(metric, bootstrap.mean(items("samples"), key), bootstrap.mean(items("train"), key))
        for key, (metric, items) in per_item.items()
    }


def _beside(metric: Metric, model: Estimate, floor: Estimate) -> dict[str, Any]:
    return {
        **metric.to_json(),
        "n": model.n,
        "samples_vs_test": model.to_json(),
        "train_vs_test": floor.to_json(),
        "reading": metric.reading(model, {"a floor of": floor}),
    }


def _latent(rows: list[dict[str, str]]) -> dict[str, Any]:
    """Standard deviation of all sampled latents (whitened: 1 is right), from each sample's moments."""
    mean = np.array([float(row["latent_mean"]) for row in rows])
    std = np.array([float(row["latent_std"]) for row in rows])
    pooled = float(np.sqrt(np.mean(std**2) + mean.var()))
    drift = abs(pooled - 1) > DRIFT
    cause = (TOO_NARROW if pooled < 1 else TOO_WIDE) if drift else None
    return {"mean": float(mean.mean()), "std": pooled, "n": len(rows), "drift": drift, "cause": cause}


def _readings(summary: dict[str, Any]) -> list[str]:
    readings = [metric["reading"] for metric in summary["metrics"].values()]
    latent = summary["latent"]
    ending = f"drift, {latent['cause']}" if latent["drift"] else "within 5 % of the training latents"
    readings.append(f"standard deviation of the sampled latents {latent['std']:.3f} (1 is right): {ending}")
    if summary["empty"]["samples"]:
        readings.append(f"{summary['empty']['samples']} of {summary['n']} samples are empty volumes")
    if summary["counts"] and summary["n_clouds"] < 2:
        readings.append(
            "1-NNA, coverage and minimum matching distance need two volumes with counts in each set"
        )
    return readings
