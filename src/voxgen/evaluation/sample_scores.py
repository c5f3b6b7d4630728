"""Scores of samples and of their references, each set held against the test split."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from voxgen.evaluation.metric import Entry
from voxgen.evaluation.metric_table import SAMPLES
from voxgen.evaluation.set_items import Items, Values, take_items
from voxgen.evaluation.volume_sets import SHELLS, Description, VolumeSet
from voxgen.evaluation.volume_streams import Batch, read_batches, rebuild
from voxgen.metrics.bootstrap import Bootstrap, Estimate
from voxgen.metrics.volume_statistics import shells
from voxgen.models.codec import Autoencoder
from voxgen.randomness import generator
from voxgen.settings.machine import Machine

Rows = list[dict[str, str]]
Source = tuple[Rows, Path]  # a set's table and the folder of its volumes

REFERENCES = {
    "train": "floor: train volumes",
    "rebuilt_test": "ceiling: test volumes, rebuilt",
    "rebuilt_train": "train volumes, rebuilt",
}
LEAST = {"mean": 1, "pair": 1, "counted": 2, "jackknife": 3}  # items per set that an interval needs
DRIFT = 0.05  # relative deviation of the latents' standard deviation that is reported
TOO_NARROW = (
    "narrower than the training latents: the denoiser is undertrained, the sampler takes too few steps, "
    "or it clips its predictions (clip_sample)"
)
TOO_WIDE = (
    "wider than the training latents: the sampler takes too few steps, the denoiser is undertrained, "
    "or scale.json belongs to another autoencoder"
)


def score_samples(
    sources: Mapping[str, Source], first: Autoencoder, how: Description, machine: Machine
) -> dict[str, Any]:
    """All scores of the sources "samples", "train" and "test", all cut to the size of the smallest.

    The autoencoder rebuilds train and test volumes. Shares of differences are resampled; distances, which
    repeated volumes would raise, are jackknifed.

    Raises:
        InputError: a volume has another shape, or a reconstruction is not finite.
    """
    sets = _describe(sources, first, how, machine.batch)
    device = first.fabric.device.type
    items, values = take_items(sets, how, device, machine.threads)
    bootstrap = Bootstrap(how.evaluation.bootstrap, how.evaluation.confidence, how.seed)
    metrics: dict[str, Any] = {}
    for entry in SAMPLES:
        if found := _estimate(entry, items, values, bootstrap):
            metric = entry.fill(values)
            metrics[entry.key] = {
                **metric.to_json(),
                "n": found["samples"].n,
                **{name: estimate.to_json() for name, estimate in found.items()},
                "finding": metric.finding(found["samples"], {"a floor of": found["train"]}),
            }
    summary = {
        "n": len(sets["test"]["occupancy"]),
        "device": device,
        "counts": how.grid.holds_counts,
        "n_clouds": min(len(one["clouds"]) for one in sets.values()),
        "points": how.evaluation.points,
        "empty": {name: int(one["empty"].sum()) for name, one in sets.items()},
        "references": REFERENCES,
        "metrics": metrics,
        "latent": _check_latents(sources["samples"][0]),
        "spectrum": _mean_spectra(sets, how),
    }
    return {**summary, "findings": _findings(summary)}


def _describe(
    sources: Mapping[str, Source], first: Autoencoder, how: Description, batch: int
) -> dict[str, VolumeSet]:
    n = min(len(rows) for rows, _ in sources.values())
    chosen = {name: _choose(rows, n, how.seed, name) for name, (rows, _) in sources.items()}

    def batches(name: str) -> Iterable[Batch]:
        return read_batches(chosen[name], sources[name][1], how.grid.shape, batch)

    sets = {name: how.describe(name, batches(name)) for name in sources}
    for name in ("test", "train"):
        sets[f"rebuilt_{name}"] = how.describe(f"rebuilt {name}", rebuild(first, batches(name)))
    return sets


def _choose(rows: Rows, n: int, seed: int, name: str) -> list[str]:
    order = generator(seed, f"evaluation {name}").permutation(len(rows))[:n]
    return [rows[i]["id"] for i in sorted(order)]


def _estimate(entry: Entry, items: Items, values: Values, bootstrap: Bootstrap) -> dict[str, Estimate]:
    """The score of samples and of each reference against the test split; none for too few items."""
    score, purpose = entry.score, entry.score.purpose or entry.key
    taken = [items.get(name, {"": ()}) for name in score.takes.split()]
    if min(len(one) for item in taken for one in item.values()) < LEAST[score.interval]:
        return {}
    function = partial(score.function, **{score.given: values[score.given]} if score.given else {})

    def estimate(name: str) -> Estimate:
        if score.interval == "mean":
            return bootstrap.mean(function(*(item[name] for item in taken)), purpose)
        a, b = taken[0][name], taken[0]["test"]
        if score.interval == "counted":
            return bootstrap.counted(function(a, b), len(a), len(b), purpose)
        if score.interval == "pair":
            return bootstrap.pair(function, a, b, purpose)
        return bootstrap.jackknife(function, a, b, purpose).at_least(0.0)  # a distance

    return {name: estimate(name) for name in ("samples", *REFERENCES)}


def _mean_spectra(sets: Mapping[str, VolumeSet], how: Description) -> dict[str, Any]:
    """The mean power spectrum of each set, over frequencies in cycles per unit of the grid."""
    frequencies, _ = shells(how.grid.shape, how.grid.spacing, SHELLS)
    power = {name: one["spectra"].mean(0).tolist() for name, one in sets.items()}
    return {"unit": how.grid.unit, "frequencies": frequencies.tolist(), "power": power}


def _check_latents(rows: Rows) -> dict[str, Any]:
    """Standard deviation of all sampled latents (whitened: 1 is right), from each sample's moments."""
    mean = np.array([float(row["latent_mean"]) for row in rows])
    std = np.array([float(row["latent_std"]) for row in rows])
    pooled = float(np.sqrt(np.mean(std**2) + mean.var()))
    drift = abs(pooled - 1) > DRIFT
    cause = (TOO_NARROW if pooled < 1 else TOO_WIDE) if drift else None
    return {"mean": float(mean.mean()), "std": pooled, "n": len(rows), "drift": drift, "cause": cause}


def _findings(summary: Mapping[str, Any]) -> list[str]:
    findings = [metric["finding"] for metric in summary["metrics"].values()]
    latent = summary["latent"]
    ending = f"drift, {latent['cause']}" if latent["drift"] else "within 5 % of the training latents"
    findings.append(f"standard deviation of the sampled latents {latent['std']:.3f} (1 is right): {ending}")
    if summary["empty"]["samples"]:
        findings.append(f"{summary['empty']['samples']} of {summary['n']} samples are empty volumes")
    if summary["counts"] and summary["n_clouds"] < 2:
        findings.append("scores of point clouds need two volumes with counts in each set")
    return findings
