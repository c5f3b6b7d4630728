"""Stage evaluate_reconstruction: how well the autoencoder gives the test volumes back.

Shapes: B volumes in a batch, N in all; X, Y, Z voxels.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from voxgen.autoencoder.codec import Autoencoder, load_autoencoder
from voxgen.errors import InputError
from voxgen.io.files import read_table, write_json
from voxgen.io.nifti import read_volume, write_volume
from voxgen.manifest import grid_of
from voxgen.metrics.bootstrap import Bootstrap
from voxgen.metrics.comparison import Metric
from voxgen.metrics.reconstruction import count_error, dice, foreground_mask, psnr, ssim
from voxgen.settings.sections import EvaluationSettings, Machine
from voxgen.voxels import occupied_above

Volume = NDArray[np.float32]
Scores = dict[str, float]

METRICS = {
    "ssim": Metric(
        "SSIM", "", "higher", "structural similarity in windows centred on the dilated foreground"
    ),
    "psnr": Metric("PSNR", "dB", "higher", "over the whole volume; empty space raises it"),
    "dice": Metric("Dice", "", "higher", "overlap of the occupied voxels"),
    "count_error": Metric("count error", "%", "lower", "relative error of a volume's total count"),
}
REFERENCES = {"zero": "an all-zero volume at", "blurred": "a blurred input at"}
WORST = 5


def evaluate_reconstruction(
    manifest: Path,
    folder: Path,
    autoencoder: Path,
    scores: Path,
    reconstructions: Path,
    evaluation: EvaluationSettings,
    seed: int,
    machine: Machine,
) -> None:
    """Reconstruct every volume of a manifest, score it beside two baselines, and write both.

    Writes `scores` (JSON: estimates and baselines a metric, the scores of each volume, the ids of the
    worst) and, into `reconstructions`, one {id}.nii.gz for each volume.

    Raises:
        InputError: the manifest is empty, a volume has not the autoencoder's grid, or a reconstruction is
            not finite.
    """
    rows = read_table(manifest)
    if not rows:
        raise InputError(f"{manifest}: no volumes to reconstruct; give data.split.test a larger share")
    first = load_autoencoder(autoencoder, machine)
    found: dict[str, list[Scores]] = {name: [] for name in ("model", *REFERENCES)}
    reconstructions.mkdir(parents=True, exist_ok=True)
    for row, x_XYZ, r_XYZ in _reconstructed(rows, folder, first, machine.batch):
        own, path = grid_of(row, first.grid), reconstructions / f"{row['id']}.nii.gz"
        write_volume(path, r_XYZ, own.origin, own.spacing, own.unit, compression=machine.compression)
        blurred = gaussian_filter(x_XYZ, evaluation.blur)
        for name, volume in (("model", r_XYZ), ("zero", np.zeros_like(x_XYZ)), ("blurred", blurred)):
            found[name].append(_scores(x_XYZ, volume, first, evaluation))
    bootstrap = Bootstrap(evaluation.bootstrap, evaluation.confidence, seed)
    ids = [row["id"] for row in rows]
    summary = _summary(ids, found, bootstrap)
    write_json(scores, {"n": len(rows), "device": first.fabric.device.type, **summary})


def _reconstructed(
    rows: list[dict[str, str]], folder: Path, first: Autoencoder, batch: int
) -> Iterator[tuple[dict[str, str], Volume, Volume]]:
    """Each row with its volume and its reconstruction, both as volumes are stored."""
    for start in range(0, len(rows), batch):
        group = rows[start : start + batch]
        volumes = [read_volume(folder / f"{row['id']}.nii.gz") for row in group]
        for row, volume in zip(group, volumes, strict=True):
            if volume.shape != tuple(first.grid.shape):
                raise InputError(
                    f"{folder}/{row['id']}.nii.gz: {volume.shape} voxels, expected the autoencoder's grid, "
                    f"{tuple(first.grid.shape)}; give the autoencoder trained on this grid"
                )
        network_BXYZ = first.reconstruct(np.stack([first.intensity.to_network(v) for v in volumes]))
        for row, volume, network in zip(group, volumes, network_BXYZ, strict=True):
            counts = first.intensity.from_network(network)
            if not np.isfinite(counts).all():
                raise InputError(
                    f"{row['id']}: its reconstruction is not finite; train the autoencoder for longer"
                )
            yield row, volume, counts


def _scores(x_XYZ: Volume, r_XYZ: Volume, first: Autoencoder, evaluation: EvaluationSettings) -> Scores:
    """All metrics of one volume as it is stored; SSIM and PSNR are taken in the network's range."""
    x, r = first.intensity.to_network(x_XYZ), first.intensity.to_network(r_XYZ)
    threshold = occupied_above(first.grid)
    mask = foreground_mask(x_XYZ, threshold, evaluation.dilation)
    scores = {
        "ssim": ssim(x, r, mask, evaluation.ssim_window),
        "psnr": psnr(x, r),
        "dice": dice(x_XYZ, r_XYZ, threshold),
    }
    return scores | ({"count_error": count_error(x_XYZ, r_XYZ)} if first.grid.holds_counts else {})


def _summary(ids: list[str], found: dict[str, list[Scores]], bootstrap: Bootstrap) -> dict[str, Any]:
    metrics = {}
    for name in found["model"][0]:
        metric = METRICS[name]
        estimates = {
            model: bootstrap.mean(np.array([s[name] for s in scores]), name)
            for model, scores in found.items()
        }
        references = {words: estimates[key] for key, words in REFERENCES.items()}
        metrics[name] = {
            **metric.to_json(),
            **{model: estimate.to_json() for model, estimate in estimates.items()},
            "reading": metric.reading(estimates["model"], references),
        }
    volumes = [{"id": name, **scores} for name, scores in zip(ids, found["model"], strict=True)]
    worst = np.argsort([scores["ssim"] for scores in found["model"]], kind="stable")[:WORST]
    return {"metrics": metrics, "worst": [ids[i] for i in worst], "volumes": volumes}
