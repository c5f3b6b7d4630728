"""Scores of reconstructions beside baselines that need no network.

Shapes: X, Y, Z voxels.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from voxgen.evaluation.metric_table import RECONSTRUCTION
from voxgen.evaluation.volume_sets import word_thresholds
from voxgen.metrics.bootstrap import Bootstrap
from voxgen.metrics.reconstruction import foreground_mask, poisson_redraw
from voxgen.metrics.similarity import scales
from voxgen.randomness import generator
from voxgen.settings.evaluation import EvaluationSettings
from voxgen.volumes.grid import Grid, occupied_above
from voxgen.volumes.intensity import Intensity

Volume = NDArray[np.float32]

BASELINES = {
    "zero": "an all-zero volume",
    "blurred": "a blurred input",
    "redrawn": "a Poisson redraw of each voxel",
}
WORST = 5  # volumes that are named


def score_reconstructions(
    pairs: Iterable[tuple[str, Volume, Volume]],
    grid: Grid,
    law: Intensity,
    evaluation: EvaluationSettings,
    seed: int,
) -> dict[str, Any]:
    """All scores of ids with their volume and its reconstruction; one pair is in memory at a time."""
    found: dict[str, list[dict[str, float]]] = {}
    ids = []
    for one, x_XYZ, r_XYZ in pairs:
        ids.append(one)
        blurred = gaussian_filter(x_XYZ, evaluation.blur)
        volumes = {"model": r_XYZ, "zero": np.zeros_like(x_XYZ), "blurred": blurred}
        if grid.holds_counts:
            volumes["redrawn"] = poisson_redraw(x_XYZ, generator(seed, f"redrawn {one}"))
        for name, volume in volumes.items():
            found.setdefault(name, []).append(_score(x_XYZ, volume, grid, law, evaluation))
    model = found["model"]
    worst = np.argsort([scores["ssim"] for scores in model], kind="stable")[:WORST]
    return {
        "n": len(ids),
        "references": {name: words for name, words in BASELINES.items() if name in found},
        "metrics": _summarise(found, grid, law, evaluation, seed),
        "worst": [ids[i] for i in worst],
        "volumes": [{"id": one, **scores} for one, scores in zip(ids, model, strict=True)],
    }


def _score(
    x_XYZ: Volume, r_XYZ: Volume, grid: Grid, law: Intensity, evaluation: EvaluationSettings
) -> dict[str, float]:
    """All scores of a stored volume and of what stands for it."""
    threshold = occupied_above(grid)
    named = {
        "stored_x": x_XYZ,
        "stored_r": r_XYZ,
        "x": law.to_network(x_XYZ),
        "r": law.to_network(r_XYZ),
        "threshold": threshold,
        "occupied": x_XYZ > threshold,
        "mask": foreground_mask(x_XYZ, threshold, evaluation.dilation),
        "window": evaluation.ssim_window,
        "spacing": grid.spacing,
        **({"counts_x": x_XYZ, "counts_r": r_XYZ} if grid.holds_counts else {}),
    }
    return {
        entry.key: entry.score.function(*(named[name] for name in entry.score.takes.split()))
        for entry in RECONSTRUCTION
        if named.keys() >= set(entry.score.takes.split())
    }


def _summarise(
    found: dict[str, list[dict[str, float]]],
    grid: Grid,
    law: Intensity,
    evaluation: EvaluationSettings,
    seed: int,
) -> dict[str, Any]:
    """Each metric's mean over the volumes, of the model and of the baselines."""
    bootstrap = Bootstrap(evaluation.bootstrap, evaluation.confidence, seed)
    values = {
        "window": evaluation.ssim_window,
        "dilation": evaluation.dilation,
        "scales": len(scales(grid.shape, evaluation.ssim_window)),
        **word_thresholds(grid, law),
    }
    summary = {}
    for entry in RECONSTRUCTION:
        if entry.key in found["model"][0]:
            metric = entry.fill(values)
            estimates = {
                name: bootstrap.mean(np.array([one[entry.key] for one in scores]), entry.key)
                for name, scores in found.items()
            }
            beside = {f"{BASELINES[name]} at": estimates[name] for name in found if name in BASELINES}
            summary[entry.key] = {
                **metric.to_json(),
                **{name: estimate.to_json() for name, estimate in estimates.items()},
                "finding": metric.finding(estimates["model"], beside),
            }
    return summary
