"""Stage evaluate_reconstruction: how well the autoencoder gives the test volumes back.

Shapes: X, Y, Z voxels.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from voxgen.errors import InputError
from voxgen.evaluation.reading import rebuilt, stored
from voxgen.io.files import read_table, write_json
from voxgen.metrics import reconstruction as metrics
from voxgen.metrics.bootstrap import Bootstrap
from voxgen.metrics.comparison import Metric
from voxgen.metrics.similarity import ms_ssim, scales, ssim
from voxgen.models.codec import Autoencoder, load_autoencoder
from voxgen.randomness import generator
from voxgen.settings.evaluation import EvaluationSettings
from voxgen.settings.machine import Machine
from voxgen.volumes.grid import Grid, occupied_above
from voxgen.volumes.manifest import Split, grid_of
from voxgen.volumes.nifti import write_volume

Volume = NDArray[np.float32]
Scores = dict[str, float]

REFERENCES = {
    "zero": "an all-zero volume",
    "blurred": "a blurred input",
    "redrawn": "a Poisson redraw of each voxel",
}
WORST = 5


def evaluate_reconstruction(
    test: Split,
    autoencoder: Path,
    scores: Path,
    reconstructions: Path,
    evaluation: EvaluationSettings,
    seed: int,
    machine: Machine,
) -> None:
    """Reconstruct every test volume, score it beside baselines, and write both.

    Writes `scores` (JSON: estimates and baselines a metric, the scores of each volume, the ids of the
    worst) and, into `reconstructions`, one {id}.nii.gz for each volume.

    Raises:
        InputError: the split is empty, a volume has not the autoencoder's grid, or a reconstruction is
            not finite.
    """
    manifest, folder = test
    rows = {row["id"]: row for row in read_table(manifest)}
    if not rows:
        raise InputError(f"{manifest}: no volumes to reconstruct; give data.split.test a larger share")
    first = load_autoencoder(autoencoder, machine)
    found: dict[str, list[Scores]] = {}
    reconstructions.mkdir(parents=True, exist_ok=True)
    for batch in stored(list(rows), folder, first.grid.shape, machine.batch):
        ((ids, r_BXYZ),) = rebuilt(first, [batch])
        for one, x_XYZ, r_XYZ in zip(ids, batch[1], r_BXYZ, strict=True):
            own, path = grid_of(rows[one], first.grid), reconstructions / f"{one}.nii.gz"
            write_volume(path, r_XYZ, own.origin, own.spacing, own.unit, compression=machine.compression)
            baselines = _baselines(x_XYZ, first.grid, evaluation, generator(seed, f"redrawn {one}"))
            for name, volume in {"model": r_XYZ, **baselines}.items():
                found.setdefault(name, []).append(_scores(x_XYZ, volume, first, evaluation))
    bootstrap = Bootstrap(evaluation.bootstrap, evaluation.confidence, seed)
    described = _metrics(first.grid, evaluation)
    summary = _summary(list(rows), found, described, bootstrap)
    write_json(scores, {"n": len(rows), "device": first.fabric.device.type, **summary})


def _metrics(grid: Grid, evaluation: EvaluationSettings) -> dict[str, Metric]:
    kind = "counts" if grid.holds_counts else "intensity"
    occupied = f"of voxels above {occupied_above(grid):.3g} {kind}"
    window = evaluation.ssim_window
    levels = len(scales(grid.shape, window))
    return {
        "ssim": Metric(
            "SSIM",
            "",
            "higher",
            f"structural similarity in windows of {window} voxels centred on the foreground, grown by "
            f"{evaluation.dilation}",
        ),
        "ms_ssim": Metric(
            "MS-SSIM",
            "",
            "higher",
            f"windows of {window} voxels at {levels} scales, over the whole volume; empty space raises it",
        ),
        "psnr": Metric("PSNR", "dB", "higher", "over the whole volume; empty space raises it"),
        "l1": Metric("L1 error", "", "lower", "mean over the whole volume, network range"),
        "mse": Metric("squared error", "", "lower", "mean over the whole volume, network range"),
        "dice": Metric("Dice", "", "higher", f"overlap {occupied}"),
        "iou": Metric("IoU", "", "higher", f"intersection over union {occupied}"),
        "count_error": Metric("count error", "%", "lower", "relative error of a volume's total count"),
        "sharpness": Metric(
            "sharpness", "%", "towards 0", "relative difference of gradient over intensity; below 0: blurred"
        ),
    }


def _baselines(
    x_XYZ: Volume, grid: Grid, evaluation: EvaluationSettings, rng: np.random.Generator
) -> dict[str, Volume]:
    """What no network is needed for, in the order of `REFERENCES`."""
    baselines = {"zero": np.zeros_like(x_XYZ), "blurred": gaussian_filter(x_XYZ, evaluation.blur)}
    if grid.holds_counts:
        baselines["redrawn"] = metrics.poisson_redraw(x_XYZ, rng)
    return baselines


def _scores(x_XYZ: Volume, r_XYZ: Volume, first: Autoencoder, evaluation: EvaluationSettings) -> Scores:
    """All metrics of one volume as it is stored; similarities and errors are taken in the network's range."""
    x, r = first.intensity.to_network(x_XYZ), first.intensity.to_network(r_XYZ)
    threshold = occupied_above(first.grid)
    window = evaluation.ssim_window
    mask = metrics.foreground_mask(x_XYZ, threshold, evaluation.dilation)
    scores = {
        "ssim": ssim(x, r, mask, window),
        "ms_ssim": ms_ssim(x, r, window),
        "psnr": metrics.psnr(x, r),
        "l1": metrics.l1(x, r),
        "mse": metrics.mse(x, r),
        "dice": metrics.dice(x_XYZ, r_XYZ, threshold),
        "iou": metrics.iou(x_XYZ, r_XYZ, threshold),
        "sharpness": metrics.relative_sharpness(x, r, x_XYZ > threshold),
    }
    if first.grid.holds_counts:
        scores["count_error"] = metrics.count_error(x_XYZ, r_XYZ)
    return scores


def _summary(
    ids: list[str], found: dict[str, list[Scores]], described: dict[str, Metric], bootstrap: Bootstrap
) -> dict[str, Any]:
    references = {name: words for name, words in REFERENCES.items() if name in found}
    summary = {}
    for name, metric in described.items():
        if name not in found["model"][0]:
            continue
        estimates = {
            model: bootstrap.mean(np.array([s[name] for s in scores]), name)
            for model, scores in found.items()
        }
        beside = {f"{words} at": estimates[key] for key, words in references.items()}
        summary[name] = {
            **metric.to_json(),
            **{model: estimate.to_json() for model, estimate in estimates.items()},
            "reading": metric.reading(estimates["model"], beside),
        }
    volumes = [{"id": name, **scores} for name, scores in zip(ids, found["model"], strict=True)]
    worst = np.argsort([scores["ssim"] for scores in found["model"]], kind="stable")[:WORST]
    return {
        "references": references,
        "metrics": summary,
        "worst": [ids[i] for i in worst],
        "volumes": volumes,
    }
