"""Overlays of the settings at the size of the smoke settings: what they train, and that it shows."""

import csv

import pytest
import yaml
from snakemake.utils import update_config

from project import ROOT, Project

pytestmark = pytest.mark.workflow
SMALL = {"epochs": 2, "schedule_epochs": 2}
HISTORY, CURVES = "results/autoencoder/history.csv", "results/figures/autoencoder/history.png"
SCORES = "results/evaluation/reconstruction.json"


def small(name, **changes):
    """An overlay of config/ with a training of two epochs."""
    overlay = yaml.safe_load((ROOT / "config" / name).read_text())
    update_config(overlay, {"autoencoder": {"kl": {"training": SMALL, **changes}}})
    return overlay


def columns(project):
    """The columns of the autoencoder's history, and the last row's value in each."""
    with (project.folder / HISTORY).open(newline="") as file:
        return list(csv.DictReader(file))[-1]


def test_adversarial(tmp_path):
    overlay = small("adversarial.yaml", losses={"adversarial": {"warmup_epochs": 1, "layers": 1}})
    project = Project(tmp_path)
    result = project.run("--cores", "2", SCORES, CURVES, overlay=overlay)
    assert result.returncode == 0, result.stdout
    assert (project.folder / CURVES).stat().st_size > 0
    last = columns(project)
    for name in ("train_adversarial", "val_adversarial", "train_l1", "val_kl"):
        assert float(last[name]) > 0, name
    discriminator = ("loss", "on_volumes", "on_reconstructions", "gradient_norm")
    assert all(last[f"train_discriminator_{name}"] for name in discriminator)
    assert not project.stale(SCORES, CURVES, overlay=overlay)
