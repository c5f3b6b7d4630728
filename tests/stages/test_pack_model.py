"""A model in one folder: what lies in it, and that it draws the same elsewhere."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import voxgen
from report_fixture import write_scores
from voxgen.io.files import read_json
from voxgen.settings.sections import Settings
from voxgen.stages.pack_model import pack_model

FILES = {
    *("README.md", "config.json"),
    *(f"{part}/{file}" for part in ("autoencoder", "prior") for file in ("config.json", "model.safetensors")),
}


def packed(results: Path, voxels: Path, settings: Settings, folder: Path) -> Path:
    """The model of a run, in a folder."""
    scores = write_scores(folder / "evaluation")
    pack_model(
        *(results / "autoencoder", results / "prior", results / "samples/config.json"),
        *(voxels / "grid.json", [voxels / "train.csv", voxels / "val.csv"], scores.summary),
        *(folder / "model", settings.data),
    )
    return folder / "model"


@pytest.fixture
def model(results: Path, voxels: Path, settings: Settings, tmp_path: Path) -> Path:
    """A packed model, moved away from what it was made of."""
    folder = packed(results, voxels, settings, tmp_path / "there")
    return Path(shutil.move(folder, tmp_path / "elsewhere"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copied_model_draws_the_same_samples_and_clouds(model: Path, results: Path) -> None:
    here, there = (voxgen.load(folder, device="cpu", precision="fp32") for folder in (results, model))
    for one, other in zip(here.sample(3, seed=1), there.sample(3, seed=1), strict=True):
        np.testing.assert_array_equal(one.array, other.array)
        np.testing.assert_array_equal(here.points(one), there.points(other))
        np.testing.assert_array_equal(one.affine, other.affine)


def test_it_holds_what_is_needed_and_the_same_bytes_each_time(
    model: Path, results: Path, voxels: Path, settings: Settings, tmp_path: Path
) -> None:
    assert set(contents(model)) == FILES
    assert contents(packed(results, voxels, settings, tmp_path / "again")) == contents(model)
    config = read_json(model / "config.json")
    assert {**config, "kind": "samples"} == read_json(results / "samples/config.json")
    assert config["kind"] == "model"
    assert "| train | 6 volumes" in (model / "README.md").read_text()
