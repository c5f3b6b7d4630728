"""The overlay with a first stage of codes, from raw files to the report."""

import h5py
import pytest
import yaml

from project import ROOT, Project
from voxgen.io.files import read_json, read_table

pytestmark = pytest.mark.workflow


def test_a_first_stage_of_codes_runs_to_the_report(tmp_path):
    project, overlay = Project(tmp_path), yaml.safe_load((ROOT / "config/vq.yaml").read_text())
    result = project.run("--cores", "2", overlay=overlay)
    assert result.returncode == 0, result.stdout
    results = project.folder / "results"
    chosen = read_json(results / "autoencoder/config.json")["settings"]
    assert chosen["kind"] == "vq"
    assert "kl" not in chosen
    row = read_table(results / "autoencoder/history.csv")[-1]
    both = ("l1", "commitment", "perplexity", "used")
    assert {f"{purpose}_{name}" for purpose in ("train", "val") for name in both} <= set(row)
    assert float(row["train_restarts"]) >= 0
    assert 1 <= float(row["val_perplexity"]) <= chosen["vq"]["network"]["codes"]
    with h5py.File(results / "samples/samples.h5") as file:
        assert len(file["point_clouds"]) == 8
    assert read_json(results / "evaluation/reconstruction.json")["metrics"]
    assert "<table" in (results / "report.html").read_text()
    assert not project.stale(overlay=overlay)
