"""Scores of samples and of their references, each set held against the test split."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from voxgen.evaluation.metric import Entry, Metric
from voxgen.evaluation.metric_table import SAMPLES
from voxgen.evaluation.set_items import Items, add_real, part_of, take_items
from voxgen.evaluation.set_tests import run_tests
from voxgen.evaluation.volume_sets import SCALARS, SHELLS, Description, VolumeSet
from voxgen.evaluation.volume_streams import Batch, read_batches, rebuild_as_drawn
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
LEAST = {
    "mean": 1,
    "across": 3,
    "pair": 1,
    "counted": 2,
    "jackknife": 3,
}  # items per set that an interval needs
REAL = 3  # train volumes per sample that stand beside the test split where numbers per volume are tested
PERCENTILES = (10, 90)  # shown of one number per volume: what is rare is missing first
DRIFT = 0.05  # relative deviation of the latents' standard deviation that is reported
TOO_NARROW = (
    "narrower than the training latents: the denoiser is undertrained, the sampler takes too few steps, "
    "it clips its predictions (clip_sample), or latents are rounded to codes (prior.kind transformer)"
)
TOO_WIDE = (
    "wider than the training latents: the sampler takes too few steps, the denoiser is undertrained, "
    "or scale.json belongs to another autoencoder"
)


def score_samples(
    sources: Mapping[str, Source], first: Autoencoder, how: Description, machine: Machine
) -> dict[str, Any]:
    """All scores of the sources "samples", "train" and "test", all cut to the size of the smallest.

    The autoencoder rebuilds train and test volumes, which are drawn as samples are. Permutation tests say
    which differences chance does not make. Shares of differences are resampled for their intervals;
    distances, which repeated volumes would raise, are jackknifed.

    Raises:
        InputError: a volume has another shape, or a reconstruction is not finite.
    """
    sets = _describe(sources, first, how, machine.batch)
    device = first.fabric.device.type
    items, values = take_items(sets, how, device, machine.threads)
    add_real(items, _number_train(sources["train"], sets["train"], how, machine.batch))
    bootstrap = Bootstrap(how.evaluation.bootstrap, how.evaluation.confidence, how.seed)
    tests = run_tests(SAMPLES, items, how.evaluation.permutations, how.seed)
    metrics: dict[str, Any] = {}
    for entry in SAMPLES:
        if found := _estimate(entry, items, bootstrap):
            metric, tested = entry.fill(values), tests.get(entry.key, {})
            metrics[entry.key] = {
                **metric.to_json(),
                "n": found["samples"].n,
                **{name: estimate.to_json() for name, estimate in found.items()},
                "tests": {
                    name: {**test, "effect": _effect(entry, metric, items, name, found[name])}
                    for name, test in tested.items()
                },
                "finding": metric.word_tests(found, tested),
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
        "volumes": {name: _list_volumes(sets[name]) for name in ("samples", "test", "train")},
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

    whole = {name: _draw(chosen[name], how, f"diversity {name}") for name in sources}
    sets = {name: how.describe(name, batches(name), whole[name]) for name in sources}
    for name in ("test", "train"):
        rebuilt = rebuild_as_drawn(first, batches(name), how.seed)
        sets[f"rebuilt_{name}"] = how.describe(f"rebuilt {name}", rebuilt, whole[name])
    return sets


def _number_train(source: Source, described: VolumeSet, how: Description, batch: int) -> VolumeSet:
    """The SCALARS of up to `REAL` times as many train volumes as are described, these among them."""
    rows, folder = source
    known = set(described["ids"].tolist())
    chosen = _choose(rows, REAL * len(known), how.seed, "train")
    further = how.number(
        read_batches([one for one in chosen if one not in known], folder, how.grid.shape, batch)
    )
    return {item: np.append(described[item], further[item]) for item in SCALARS}


def _choose(rows: Rows, n: int, seed: int, name: str) -> list[str]:
    order = generator(seed, f"evaluation {name}").permutation(len(rows))[:n]
    return [rows[i]["id"] for i in sorted(order)]


def _draw(ids: Sequence[str], how: Description, purpose: str) -> set[str]:
    """Some volumes of a set, for what would take too long with all of them."""
    order = generator(how.seed, f"evaluation {purpose}").permutation(len(ids))
    return {ids[i] for i in order[: how.evaluation.diverse]}


def _estimate(entry: Entry, items: Items, bootstrap: Bootstrap) -> dict[str, Estimate]:
    """The score of samples and of each reference against the test split; none for too few items."""
    score, purpose = entry.score, entry.score.purpose or entry.key

    def estimate(name: str) -> Estimate | None:
        taken = [part_of(items, one, name) for one in score.takes.split()]
        if len(taken) == 1 and score.interval not in ("mean", "across"):
            taken.append(part_of(items, score.takes, "test"))
        if min(len(one) for one in taken) < LEAST[score.interval]:
            return None
        if score.interval == "mean":
            together = score.together(*taken) if score.together else None
            return bootstrap.mean(score.function(*taken), purpose, together)
        if score.interval == "across":
            return bootstrap.across(score.function, taken[0], purpose)
        a, b = taken
        if score.interval == "counted":
            return bootstrap.counted(score.function(a, b), len(a), len(b), purpose)
        if score.interval == "pair":
            return bootstrap.pair(score.function, a, b, purpose)
        return bootstrap.jackknife(score.function, a, b, purpose).at_least(0.0)  # a distance

    found = {name: estimate(name) for name in ("samples", *REFERENCES)}
    known = {name: one for name, one in found.items() if one is not None}
    return known if len(known) == len(found) else {}


def _effect(entry: Entry, metric: Metric, items: Items, name: str, estimate: Estimate) -> str:
    """How large a difference is, in words; of one number per volume, in both tails too."""
    text = estimate.text(metric.unit)
    if entry.score.interval != "pair":
        return text
    parts = [f"mean {text}"]
    for percentile in PERCENTILES:
        a, b = (float(np.percentile(items[entry.key][one], percentile)) for one in (name, "test"))
        parts += [f"{percentile}th percentile {100 * (a / b - 1):+.0f} %"] if b > 0 else []
    return "; ".join(parts)


def _list_volumes(one: VolumeSet) -> dict[str, list[Any]]:
    """The ids of a set and the number that each volume has, where it has one."""
    numbers = {key: [x if np.isfinite(x) else None for x in one[key].tolist()] for key in SCALARS}
    return {"ids": one["ids"].tolist(), **numbers}


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
