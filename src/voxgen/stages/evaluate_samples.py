"""Stage evaluate_samples: how far generated volumes are from the test split, beside what real ones are."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from voxgen.errors import InputError
from voxgen.evaluation.of_clouds import cloud_scores
from voxgen.evaluation.of_volumes import diversity_score, feature_scores, volume_scores
from voxgen.evaluation.reading import Batch, rebuilt, stored
from voxgen.evaluation.scores import REFERENCES
from voxgen.evaluation.sets import SHELLS, Features, Looking, VolumeSet
from voxgen.io.files import read_json, read_table, write_json
from voxgen.metrics.bootstrap import Bootstrap
from voxgen.metrics.medicalnet import load_medicalnet
from voxgen.metrics.volumes import shells
from voxgen.models.codec import Autoencoder, load_autoencoder
from voxgen.models.folder import refuse_mismatch
from voxgen.randomness import generator
from voxgen.settings.evaluation import EvaluationSettings
from voxgen.settings.machine import Machine
from voxgen.volumes.grid import Grid
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.manifest import Split

Rows = list[dict[str, str]]

DRIFT = 0.05  # relative deviation of the latents' standard deviation that is reported
TOO_NARROW = (
    "narrower than the training latents: the denoiser is undertrained, the sampler takes too few steps, "
    "or it clips its predictions (clip_sample)"
)
TOO_WIDE = (
    "wider than the training latents: the sampler takes too few steps, the denoiser is undertrained, "
    "or scale.json belongs to another autoencoder"
)


def evaluate_samples(
    samples: Split,
    train: Split,
    test: Split,
    grid: Path,
    intensity: Path,
    autoencoder: Path,
    medicalnet: Path | None,
    scores: Path,
    evaluation: EvaluationSettings,
    seed: int,
    machine: Machine,
) -> None:
    """Compare generated volumes with the test split, and real and rebuilt ones as their references.

    All sets are cut to the size of the smallest by a
    seeded choice. `autoencoder` rebuilds train and test volumes and gives the features, as MedicalNet's
    weights do where there are some. Volumes of counts are compared as point clouds too, drawn from all
    volumes alike, in grid.json's frame. Writes `scores` (JSON).

    Raises:
        InputError: a set has no volumes, or one with counts that are not finite, or the autoencoder was
            trained on another grid.
    """
    frame, law = Grid.from_json(read_json(grid)), Intensity.from_json(read_json(intensity))
    first = load_autoencoder(autoencoder, machine)
    refuse_mismatch(autoencoder, first.config["intensity"], law.to_json(), ("law",))
    sources = {"samples": samples, "test": test, "train": train}
    tables = {name: _table(name, table) for name, (table, _) in sources.items()}
    looking = Looking(frame, law, _upper(tables, law), _features(first, medicalnet), evaluation, seed)
    sets = _sets(sources, tables, first, looking, machine.batch)
    bootstrap, device = Bootstrap(evaluation.bootstrap, evaluation.confidence, seed), first.fabric.device.type
    found = {
        **volume_scores(sets, looking.upper, bootstrap),
        **diversity_score(sets, evaluation.ssim_window, bootstrap),
        **feature_scores(sets, bootstrap),
        **cloud_scores(sets, frame, evaluation, bootstrap, device, machine.threads),
    }
    summary = {
        "n": len(sets["test"].occupancy),
        "device": device,
        "counts": frame.holds_counts,
        "n_clouds": min(len(one.clouds) for one in sets.values()),
        "points": evaluation.points,
        "empty": {name: one.empty for name, one in sets.items()},
        "references": REFERENCES,
        "metrics": {name: score.to_json() for name, score in found.items()},
        "latent": _latent(tables["samples"]),
        "spectrum": _spectrum(sets, frame),
    }
    write_json(scores, {**summary, "reading": _readings(summary)})


def _table(name: str, path: Path) -> Rows:
    rows = read_table(path)
    if not rows:
        raise InputError(f"{path}: no volumes to evaluate; give more {name} volumes")
    return rows


def _features(first: Autoencoder, medicalnet: Path | None) -> dict[str, Features]:
    """The kinds of features: the autoencoder's, and MedicalNet's where its weights are given."""
    found: dict[str, Features] = {"autoencoder": lambda x_BXYZ, _: first.features(x_BXYZ)}
    if medicalnet:
        found["MedicalNet"] = load_medicalnet(medicalnet, str(first.fabric.device)).features
    return found


def _sets(
    sources: Mapping[str, tuple[Path, Path]],
    tables: Mapping[str, Rows],
    first: Autoencoder,
    looking: Looking,
    batch: int,
) -> dict[str, VolumeSet]:
    """All sets, as many volumes of each as the smallest has."""
    n = min(map(len, tables.values()))
    chosen = {name: _chosen(rows, n, looking.seed, name) for name, rows in tables.items()}

    def batches(name: str) -> Iterator[Batch]:
        return stored(chosen[name], sources[name][1], looking.grid.shape, batch)

    sets = {name: looking.described(name, batches(name)) for name in sources}
    for name in ("test", "train"):
        sets[f"rebuilt_{name}"] = looking.described(f"rebuilt {name}", rebuilt(first, batches(name)))
    return sets


def _upper(tables: Mapping[str, Rows], law: Intensity) -> float:
    """The largest intensity of any volume, in the network's range: the end of the histograms."""
    for name, rows in tables.items():
        for row in rows:
            if not np.isfinite(float(row["max"])):
                raise InputError(f"{name}: {row['id']} has a count of {row['max']}; train for longer")
    peak = max(float(row["max"]) for rows in tables.values() for row in rows)
    return max(float(law.to_network(np.array([peak], np.float32))[0]), 1e-6)


def _chosen(rows: Rows, n: int, seed: int, name: str) -> list[str]:
    order = generator(seed, f"evaluation {name}").permutation(len(rows))[:n]
    return [rows[i]["id"] for i in sorted(order)]


def _spectrum(sets: Mapping[str, VolumeSet], grid: Grid) -> dict[str, Any]:
    """The mean power spectrum of each set, over frequencies in cycles a unit of the grid."""
    frequencies, _ = shells(grid.shape, grid.spacing, SHELLS)
    power = {name: one.spectra.mean(0).tolist() for name, one in sets.items()}
    return {"unit": grid.unit, "frequencies": frequencies.tolist(), "power": power}


def _latent(rows: Rows) -> dict[str, Any]:
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
        readings.append("scores of point clouds need two volumes with counts in each set")
    return readings
