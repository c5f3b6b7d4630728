"""Counts as counts from the real Snakefile: what a run with the overlay leaves, and what is refused."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from project import ROOT, Project
from voxgen.io.files import read_json
from voxgen.volumes.nifti import read_volume

pytestmark = pytest.mark.workflow

POISSON = yaml.safe_load((ROOT / "config/poisson.yaml").read_text())


@pytest.mark.heavy
def test_a_run_leaves_drawn_counts_their_rates_and_scores(tmp_path: Path) -> None:
    project = Project(tmp_path)
    overlay = POISSON | {"sampling": {"rates": True}}
    result = project.run("--cores", "2", overlay=overlay)
    assert result.returncode == 0, result.stdout
    samples = tmp_path / "results/samples"
    volumes, rates = (sorted(folder.glob("*.nii.gz")) for folder in (samples, samples / "rates"))
    assert [path.name for path in volumes] == [path.name for path in rates]
    assert len(volumes) == 8
    for path in volumes:
        volume = read_volume(path)
        assert np.array_equal(volume, np.rint(volume))
    with h5py.File(samples / "samples.h5") as file:
        assert file["point_clouds"].shape[1:] == (256, 3)
    assert read_json(tmp_path / "results/evaluation/samples.json")["counts"]
    header = (tmp_path / "results/autoencoder/history.csv").read_text().splitlines()[0]
    assert "val_deviance" in header
    assert not project.stale(overlay=overlay)
    assert set(project.stale("results/samples", overlay=POISSON)) == {"draw_samples", "sample"}


def test_smoothed_counts_are_refused_before_anything_runs(tmp_path: Path) -> None:
    overlay = {"autoencoder": POISSON["autoencoder"]}
    result = Project(tmp_path).run("--cores", "1", overlay=overlay)
    assert result.returncode != 0
    assert "poisson, but data.grid.method gaussian stores smoothed counts" in result.stdout
    assert "set data.grid.method: density" in result.stdout
    assert not (tmp_path / "results").exists()
