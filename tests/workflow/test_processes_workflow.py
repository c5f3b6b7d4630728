"""Trainings in two processes from the real Snakefile."""

import re
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file
from torch.testing import assert_close

from project import ROOT, Project
from voxgen.io.files import read_json, read_table

pytestmark = pytest.mark.workflow

TRAININGS = {"autoencoder": "train_autoencoder", "prior": "train_diffusion"}  # and their rules
MODELS = [f"results/{name}/model.safetensors" for name in TRAININGS]
FULL_PRECISION = {"device": "cpu", "precision": "fp32", "threads": 1}


@pytest.mark.heavy
def test_both_trainings_run_in_two_processes_and_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    one = Project(tmp_path_factory.mktemp("one"))
    made = one.run("--cores", "2", "results/voxels/train.csv", "results/voxels/val.csv")
    assert made.returncode == 0, made.stdout
    two = one.copied(tmp_path / "two")
    for project, processes in ((one, 1), (two, 2)):
        made = project.run(
            "--cores", "2", *MODELS, overlay={"machine": {**FULL_PRECISION, "gpus": processes}}
        )
        assert made.returncode == 0, made.stdout
        assert "Warning" not in made.stdout
    for rule, model in zip(TRAININGS.values(), MODELS, strict=True):
        log = (two.folder / f"results/logs/{rule}.log").read_text()
        assert log.count("2 processes on 1 nodes") == 1
        assert [log.count(f"epoch {epoch} of 2: train_loss") for epoch in (1, 2)] == [1, 1]
        rows = [read_table((project.folder / model).parent / "history.csv") for project in (one, two)]
        losses = [[float(row["val_loss"]) for row in history] for history in rows]
        assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    weights = [load_file(project.folder / MODELS[0]) for project in (one, two)]
    assert_close(*weights, rtol=1e-5, atol=1e-5)  # the latents' float16 hides as much from the denoiser
    assert two.stale(*MODELS) == {}
    assert read_json(two.folder / "results/logs/environment.json")["step"]["fp32"]["finite"]


def test_the_preset_asks_for_its_gpus(tmp_path: Path) -> None:
    preset = yaml.safe_load((ROOT / "config/multi-gpu.yaml").read_text())
    planned = Project(tmp_path).run("--dry-run", "--cores", "2", *MODELS, overlay=preset)
    assert planned.returncode == 0, planned.stdout
    for rule, gpus in (("train_autoencoder", 4), ("encode_latents", 1), ("train_diffusion", 4)):
        _, _, job = planned.stdout.partition(f"rule {rule}:")
        assert re.search(rf"gpu={gpus}\b", job.partition("rule ")[0])
