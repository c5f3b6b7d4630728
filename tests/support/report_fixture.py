"""A finished run in small: scores in the formats of the evaluation, volumes, figures, the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

from voxgen.io.files import write_json, write_table
from voxgen.metrics.bootstrap import Estimate
from voxgen.pages.report_inputs import Data, Scores
from voxgen.stages.report import report
from voxgen.volumes.grid import Grid, fixed_grid, rasterize, scan_grid
from voxgen.volumes.manifest import COLUMNS, described
from voxgen.volumes.nifti import write_volume

COUNTS = fixed_grid((24, 24, 8), ((0, 10_000), (0, 10_000), (0, 2_500)), "nm", "gaussian", 1.0)
SCANS = scan_grid((16, 20, 12), (2.0, 2.0, 4.0), "mm")
SPLITS = ("train", "val", "test")
REFERENCES = {
    "train": "floor: train volumes",
    "rebuilt_test": "ceiling: test volumes, rebuilt by the autoencoder",
    "rebuilt_train": "train volumes, rebuilt",
}


def estimate(value: float, spread: float = 0.02, n: int = 6) -> dict[str, Any]:
    return Estimate(value, value - spread, value + spread, n).to_json()


def metric(label: str, unit: str, direction: str, **more: Any) -> dict[str, Any]:
    about = {"label": label, "unit": unit, "direction": direction, "meaning": f"what {label} measures"}
    return about | {"group": "", "finding": f"{label}: intervals overlap"} | more


def tests(*p: float) -> dict[str, Any]:
    """Corrected p-values of samples and of train volumes."""
    found = zip(("samples", "train"), p, strict=True)
    return {name: {"p": one / 2, "corrected": one, "effect": "5 %"} for name, one in found}


def volume(index: int, grid: Grid) -> NDArray[np.float32]:
    """A curved filament of counts, or a signed ball of a scan."""
    rng = np.random.default_rng(index)
    if not grid.holds_counts:
        axes = [np.linspace(-1, 1, n) for n in grid.shape]
        x, y, z = np.meshgrid(*axes, indexing="ij")
        ball = (x**2 + y**2 + z**2 < 0.5 + 0.1 * rng.random()) * np.sign(x)
        return ball.astype(np.float32)
    size = np.multiply(grid.spacing, grid.shape)
    t = np.linspace(0, 1, 3000)
    path = np.stack([0.1 + 0.8 * t, 0.5 + 0.3 * np.sin(6 * t + index), 0.3 + 0.4 * t], axis=1) * size
    return rasterize(path + rng.normal(0, 100, path.shape), grid)[0]


def written(folder: Path, names: Sequence[str], grid: Grid, manifest: Path) -> None:
    rows = []
    for index, name in enumerate(names):
        one = volume(index, grid)
        write_volume(folder / f"{name}.nii.gz", one, grid.origin, grid.spacing, grid.unit)
        about = {"id": name, "file": f"{name}.nii.gz", "key": "", "row": "", "points": 3000, "outside": 0}
        rows.append(about | {"digest": "0"} | described(one, grid, 0.998))
    write_table(manifest, rows, COLUMNS)


def write_scores(folder: Path, *, counts: bool = True, label: str = "occupancy") -> Scores:
    """The four files of an evaluation; `label` is the words of one metric."""
    four = {"model": estimate(0.97), "zero": estimate(0.4), "blurred": estimate(0.8)}
    write_json(
        folder / "reconstruction.json",
        {
            "n": 6,
            "device": "cpu",
            "references": {"zero": "an all-zero volume", "blurred": "blurred", "redrawn": "a Poisson redraw"},
            "metrics": {
                "ssim": metric("SSIM", "", "higher", **four, redrawn=estimate(0.7)),
                "psnr": metric("PSNR", "dB", "higher", model=estimate(31.2, 0.5), zero=estimate(12.0, 0.5)),
            },
            "worst": ["test-2", "test-0"],
            "volumes": [{"id": f"test-{i}", "ssim": 0.9 + i / 100, "psnr": 30.0 + i} for i in range(6)],
        },
    )
    near = {key: estimate(0.03) for key in REFERENCES}
    some = {"n": 6, "samples": estimate(0.05)}
    write_json(
        folder / "samples.json",
        {
            "n": 6,
            "counts": counts,
            "n_clouds": 6,
            "points": 512,
            "empty": {"samples": 1, "test": 0, "train": 0},
            "references": REFERENCES,
            "metrics": {
                "occupancy": metric(
                    label, "%", "towards 0", group="volumes", tests=tests(0.02, 0.9), **some, **near
                ),
                "1-nna": metric("1-NNA", "%", "towards 0.5", group="clouds", **some, train=estimate(0.52)),
            },
            "volumes": {
                name: {"ids": [f"{stem}-{i}" for i in range(3)], "occupancy": [0.1, 0.2, 0.3]}
                for name, stem in (("samples", "sample"), ("test", "test"), ("train", "train"))
            },
            "latent": {"mean": 0.0, "std": 1.0, "n": 6, "drift": False, "cause": ""},
            "findings": ["occupancy 5 % [3, 7] beside a floor of 3 % [1, 5]: intervals overlap"],
            "spectrum": {},
        },
    )
    pairs = [{"sample": "sample-1", "train": "train-0", "distance": 0.82, "ratio": 1.04}]
    space = {"threshold": 0.8, "median_real": 0.95, "median_samples": 0.94, "n_train": 6, "pairs": pairs}
    share = {
        "share": estimate(0.01),
        "expected": 0.01,
        "finding": "1 % [-1, 3] are nearer than the threshold",
    }
    write_json(
        folder / "memorisation.json",
        {
            "quantile": 0.01,
            "spaces": {
                "latent": metric("In the latent space", "%", "lower") | share | space,
                "voxels": metric("In voxels", "%", "lower") | share | space,
            },
        },
    )
    gate = {"metric": "SSIM", "value": "0.97 [0.95, 0.99]", "gate": "at least 0.95", "finding": "above"}
    write_json(
        folder / "summary.json",
        {
            "verdict": "look",
            "differences": {"samples": [label, "power spectrum"], "train": []},
            "worst": [
                {
                    "key": key,
                    "label": label,
                    "words": words,
                    "effect": f"{label}: mean -16 %, p < 0.001",
                    "advice": "train it for longer",
                    "verdict": verdict,
                }
                for key, words, verdict in (
                    ("occupancy", f"{label} is 16 % too low", "fail"),
                    ("1-nna", "samples do not mix", "look"),
                )
            ],
            "sections": {
                "reconstruction": {"verdict": "pass", "gates": [gate | {"verdict": "pass"}]},
                "samples": {"verdict": "look", "gates": [gate | {"metric": label, "verdict": "look"}]},
                "memorisation": {"verdict": "pass", "gates": []},
            },
        },
    )
    return Scores(*(folder / f"{n}.json" for n in ("summary", "samples", "reconstruction", "memorisation")))


def write_data(folder: Path, grid: Grid, *, n: int = 6) -> Data:
    splits = {name: folder / "voxels" / f"{name}.csv" for name in SPLITS}
    for name, manifest in splits.items():
        written(manifest.with_suffix(""), [f"{name}-{i}" for i in range(n)], grid, manifest)
    samples = folder / "samples"
    written(samples, [f"sample-{i}" for i in range(n)], grid, samples / "samples.csv")
    write_json(folder / "voxels" / "grid.json", grid.to_json())
    dropped = folder / "clouds" / "dropped.csv"
    lost = {"id": "cloud-9", "file": "raw.h5", "key": "", "row": 9, "reason": "holds <no> points"}
    write_table(dropped, [lost], list(lost))
    return Data(folder / "voxels" / "grid.json", splits, splits["test"].with_suffix(""), [dropped], samples)


def write_report(folder: Path, *, grid: Grid = COUNTS, label: str = "occupancy", n: int = 6) -> Path:
    """The report of a small run, written below `folder`."""
    scores = write_scores(folder / "evaluation", counts=grid.holds_counts, label=label)
    data = write_data(folder, grid, n=n)
    logs, benchmarks = folder / "logs" / "environment.json", folder / "benchmarks"
    machine = {"platform": "Linux", "gpus": [], "cpu": {"name": "a processor", "cores": 2, "bf16": None}}
    write_json(logs, machine | {"packages": {"torch": "2.8.0"}})
    for name, seconds in (("sample", 1.66), ("voxelize/a", 70.0), ("voxelize/b", 80.0)):
        path = benchmarks / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t{116 + seconds}\n")
    model = folder / "autoencoder" / "model.safetensors"
    write_json(model.with_name("config.json"), {"made_from": {"grid": "42bdb2e15252b55f"}})
    model.write_bytes(b"weights")
    image = folder / "figure.png"
    imsave(image, np.linspace(0, 1, 800 * 200).reshape(200, 800), cmap="viridis")
    histories = [folder / training / "history.png" for training in ("autoencoder", "prior")]
    for path in histories:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(image.read_bytes())
    out = folder / "report.html"
    report(
        **{**vars(scores), "scores": scores.samples, **vars(data), "splits": list(data.splits.values())},
        **dict.fromkeys(("data", "preview", "spectrum", "pairs", "reconstructions"), image),
        **dict.fromkeys(("intensity", "scale"), data.grid),
        **dict.fromkeys(("autoencoder", "prior"), model),
        histories=histories,
        settings={"seed": 0, "data": {"unit": "nm"}},
        out=out,
    )
    return out
