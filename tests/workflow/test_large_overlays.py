"""Overlays for large volumes in a small form: levels, factors and patches as theirs, from data to samples."""

from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from project import ROOT, Project

SMALL: dict[str, Any] = {
    "data": {"synthetic": {"files": 2, "clouds": 10, "points": 256}},
    "autoencoder": {"kl": {"network": {"latent_channels": 2, "norm_groups": 4}}},
    "prior": {
        "diffusion": {
            "network": {
                "channels": [8, 16],
                "attention_levels": [False, True],
                "res_blocks": 1,
                "norm_groups": 4,
            }
        }
    },
    "sampling": {"samples": 4, "steps": 5},
    "machine": {"device": "cpu", "batch": 2, "memory_mb": 1000},
}
ENDS = {"epochs": 1, "schedule_epochs": 1, "batch": 2, "warmup_steps": 2, "ema": 0.9}


def small(name: str, by: int) -> dict[str, Any]:
    """An overlay with volumes and patches `by` times smaller along each axis, and networks of width 8."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "config" / name).read_text())
    grid, network = content["data"]["grid"], content["autoencoder"]["kl"]["network"]
    grid["shape"] = [size // by for size in grid["shape"]]
    content["autoencoder"]["patch"] = [size // by for size in content["autoencoder"]["patch"]]
    network["channels"] = [8 for _ in network["channels"]]
    update_config(content, SMALL)
    for training in (content["autoencoder"]["kl"], content["prior"]["diffusion"]):
        training["training"] = ENDS
    return content


@pytest.mark.heavy
@pytest.mark.workflow
@pytest.mark.parametrize(("name", "by"), [("8x.yaml", 4), ("16x.yaml", 4)])
def test_overlays_for_large_volumes_draw_samples(tmp_path, name, by):
    project = Project(tmp_path / "project")
    result = project.run("--cores", "2", "results/samples", overlay=small(name, by))
    assert result.returncode == 0, result.stdout
    assert len(list((project.folder / "results/samples").glob("*.nii.gz"))) == 4
