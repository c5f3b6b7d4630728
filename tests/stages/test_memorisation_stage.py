"""Copies of train volumes among the samples: planted ones are found, by name and view, and drawn."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.ndimage import gaussian_filter

from voxgen.batches.views import views
from voxgen.errors import InputError
from voxgen.evaluation.copy_search import DRAWN
from voxgen.io.files import read_json, write_json, write_table
from voxgen.io.latent_shards import COLUMNS, write_latents
from voxgen.models.whitening import Whitening
from voxgen.settings.machine import Machine
from voxgen.stages import evaluate_memorisation as stage
from voxgen.stages.evaluate_memorisation import evaluate_memorisation
from voxgen.stages.plot_memorisation import plot_memorisation
from voxgen.volumes.grid import fixed_grid
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.nifti import write_volume

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config" / "config.yaml").read_text())
MACHINE = Machine.model_validate_json(json.dumps(CONFIG["machine"] | {"device": "cpu", "batch": 4}))
GRID = fixed_grid((8, 8, 8), ((0, 800), (0, 800), (0, 800)), "nm", "density", 1.0)
LAW = Intensity("log1p", 1.5)
FLIPS = ("x", "y")
SCALE = Whitening((0.5,), (2.0,), "mean")


class Halving:
    """An autoencoder whose latents are means over 2-cubes."""

    intensity, digest = LAW, "this one"
    fabric = SimpleNamespace(device=SimpleNamespace(type="cpu"))

    def encode(self, x_BXYZ: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = x_BXYZ.reshape(-1, 4, 2, 4, 2, 4, 2).mean((2, 4, 6))[:, None].astype(np.float32)
        return mean, np.ones_like(mean)


@pytest.fixture(autouse=True)
def _stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "load_autoencoder", lambda folder, machine: Halving())


def volume(index: int, purpose: int) -> np.ndarray:
    return np.random.default_rng([index, purpose]).poisson(1.0, (8, 8, 8)).astype(np.float32)


def written(folder: Path, volumes: list[np.ndarray]) -> tuple[Path, Path]:
    names = [f"{folder.name}-{i}" for i in range(len(volumes))]
    for name, one in zip(names, volumes, strict=True):
        write_volume(folder / f"{name}.nii.gz", one, GRID.origin, GRID.spacing, GRID.unit)
    write_table(folder.with_suffix(".csv"), [{"id": name} for name in names], ["id"])
    return folder.with_suffix(".csv"), folder


def encoded(folder: Path, volumes: list[np.ndarray]) -> Path:
    """Latents of train volumes in every view, as encode_latents leaves them."""
    rows = []
    for number, view in enumerate(views(FLIPS, ())):
        x = np.stack([view(Halving.intensity.to_network(one)) for one in volumes])
        write_latents(folder / f"{number}.safetensors", *Halving().encode(x))
        shard = {"shard": f"{number}.safetensors", "view": number}
        rows += [{**shard, "position": i, "id": f"train-{i}"} for i in range(len(volumes))]
    write_table(folder / "index.csv", rows, COLUMNS)
    made = {"made_from": {"autoencoder": "this one"}, "flips": list(FLIPS), "rotations": []}
    write_json(folder / "config.json", made)
    return folder


def judged(root: Path, make: Callable[[list[np.ndarray]], list[np.ndarray]]) -> dict[str, Any]:
    """memorisation.json of samples that are made from the train volumes."""
    train = [volume(i, 1) for i in range(12)]
    write_json(root / "grid.json", GRID.to_json())
    write_json(root / "intensity.json", LAW.to_json())
    write_json(root / "scale.json", SCALE.to_json())
    evaluate_memorisation(
        samples=written(root / "samples", make(train)),
        train=written(root / "train", train),
        test=written(root / "test", [volume(i, 2) for i in range(9)]),
        latents=encoded(root / "latents", train),
        scale=root / "scale.json",
        grid=root / "grid.json",
        intensity=root / "intensity.json",
        autoencoder=root / "autoencoder",
        scores=root / "memorisation.json",
        longest=4,
        confidence=0.95,
        permutations=999,
        seed=0,
        machine=MACHINE,
    )
    content: dict[str, Any] = read_json(root / "memorisation.json")
    return content


def test_a_mirrored_copy_is_found_by_name_and_view(tmp_path: Path) -> None:
    content = judged(tmp_path, lambda train: [volume(0, 3), volume(1, 3), np.flip(train[7], 1), volume(2, 3)])
    for space in content["spaces"].values():
        nearest = space["pairs"][0]
        assert (nearest["sample"], nearest["train"]) == ("samples-2", "train-7")
        assert views(FLIPS, ())[nearest["view"]].mirrored == (False, True, False)
        assert nearest["ratio"] < 0.1
        assert space["share"]["value"] >= 0.25
        assert (space["n_train"], space["n_real"], space["expected"]) == (12, 9 + 12, 1 / 22)
    write = tmp_path / "pairs.png"
    places = (tmp_path / "memorisation.json", tmp_path / "samples", tmp_path / "train", tmp_path / "latents")
    plot_memorisation(*places, tmp_path / "grid.json", write)
    assert write.stat().st_size > 5000


def test_new_volumes_are_no_copies(tmp_path: Path) -> None:
    content = judged(tmp_path, lambda _: [volume(i, 3) for i in range(20)])
    for space in content["spaces"].values():
        assert space["share"]["value"] <= 0.3
        assert space["test"]["corrected"] > 0.05
        assert 0.9 < space["median_samples"] / space["median_real"] < 1.1


def test_all_copies_count(tmp_path: Path) -> None:
    content = judged(tmp_path, lambda train: [one + gaussian_filter(one, 1) * 0.01 for one in train])
    for space in content["spaces"].values():
        assert space["share"]["value"] == 1
        assert space["test"]["corrected"] < 0.05
    assert len({pair["sample"] for pair in content["spaces"]["latent"]["pairs"]}) == DRAWN


def test_a_foreign_autoencoders_own_constant_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Latents of train volumes were made under it: divided by this run's constant a copy is none."""
    monkeypatch.setattr(Halving, "intensity", Intensity("log1p", 3 * LAW.divisor))
    content = judged(tmp_path, lambda train: train[:9])
    assert content["spaces"]["latent"]["share"]["value"] == 1
    assert (
        max(pair["distance"] for pair in content["spaces"]["latent"]["pairs"]) < 1e-3
    )  # latents are float16


def test_latents_of_another_autoencoder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Halving, "digest", "another")
    with pytest.raises(InputError, match="made for autoencoder 'this one', found 'another'"):
        judged(tmp_path, lambda train: train)
