"""Finished runs in small, to be compared."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imsave

from report_fixture import COUNTS, estimate, write_data, write_scores
from voxgen.io.files import read_json, write_json, write_table
from voxgen.pages.comparing.finished_runs import PARTS
from voxgen.volumes.grid import Grid

LAW = {"law": "log1p", "divisor": 1.5}
TRAINING = {"epochs": 8, "learning_rate": 2e-3}
Change = Callable[[Any], object]


def write_run(project: Path, grid: Grid = COUNTS, *, n: int = 3) -> Path:
    """A whole run in small; returns its project."""
    results = project / "results"
    write_scores(results / "evaluation", counts=grid.holds_counts)
    write_data(results, grid, n=n)
    law = LAW if grid.holds_counts else {"law": "identity", "divisor": 1.0}
    write_json(results / "voxels" / "intensity.json", {**law, "quantile": 0.99, "n_train": n})
    carried = {"grid": grid.to_json(), "intensity": law, "seed": 0}
    chosen = {"network": {"channels": [16, 32], "res_blocks": 1}, "training": TRAINING}
    for name, more in {
        "autoencoder": {"kind": "autoencoder", "settings": {"kind": "kl", "patch": None, "kl": chosen}},
        "prior": {
            "kind": "prior",
            "settings": {"kind": "diffusion", "posterior": "draw", "diffusion": chosen},
        }
        | {"scale": {"mean": [0.5], "posterior": "draw"}, "made_from": {"autoencoder": "0123"}},
        "samples": {"kind": "samples", "sampling": {"samples": n, "steps": 10}},
    }.items():
        write_json(results / name / "config.json", carried | more)
    write_json(results / "latents" / "train" / "config.json", {"flips": ["x", "y"], "rotations": []})
    for training in ("autoencoder", "prior"):
        rows = [{"epoch": i, "val_loss": loss} for i, loss in enumerate((0.9, 0.25, 0.5), 1)]
        write_table(results / training / "history.csv", rows, ["epoch", "val_loss"])
    (results / "benchmarks").mkdir()
    (results / "benchmarks" / "sample.tsv").write_text("s\tmax_rss\n75.0\t100\n")
    imsave(results / "samples" / "preview.png", np.linspace(0, 1, 60).reshape(6, 10), cmap="gray")
    return project


def change(project: Path, part: str, how: Change) -> None:
    """Change a JSON file of a run."""
    path = project / "results" / PARTS[part][0]
    content = read_json(path)
    how(content)
    write_json(path, content)


def set_value(metric: str, value: float, spread: float = 0.02, n: int = 6) -> Change:
    def how(content: Any) -> None:
        model = "samples" if "latent" in content else "model"
        content["metrics"][metric][model] = estimate(value, spread, n)

    return how
