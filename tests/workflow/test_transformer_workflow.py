"""The overlay with a prior of codes, from raw files to the report."""

from pathlib import Path

import h5py
import pytest
import yaml

from project import ROOT, Project
from voxgen.io.files import read_json, read_table

pytestmark = pytest.mark.workflow


@pytest.mark.heavy
def test_a_prior_of_codes_runs_to_the_report(tmp_path: Path) -> None:
    project, overlay = Project(tmp_path), yaml.safe_load((ROOT / "config/vq-transformer.yaml").read_text())
    result = project.run("--cores", "2", overlay=overlay)
    assert result.returncode == 0, result.stdout
    results = project.folder / "results"
    chosen = read_json(results / "prior/config.json")["settings"]
    assert chosen["kind"] == "transformer"
    assert "diffusion" not in chosen
    first, last = read_table(results / "prior/history.csv")
    assert 0 < float(last["val_loss"]) < float(first["val_loss"])
    assert float(last["val_perplexity"]) > 1
    assert read_json(results / "samples/config.json")["sampling"]["temperature"] == 1
    with h5py.File(results / "samples/samples.h5") as file:
        assert len(file["point_clouds"]) == 8
    assert "<table" in (results / "report.html").read_text()
    assert not project.stale(overlay=overlay)
    sampling = {"sampling": {"temperature": 0.8}}
    assert "train_diffusion" not in (stale := project.stale(overlay={**overlay, **sampling}))
    assert stale["draw_samples"] > 0
