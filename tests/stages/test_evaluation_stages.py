"""The evaluation stages on 8-cubes: files in, JSON, volumes and figures out."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import yaml
from scipy.ndimage import gaussian_filter

from voxgen.errors import InputError
from voxgen.evaluation.sample_scores import _draw
from voxgen.evaluation.set_items import take_items
from voxgen.evaluation.volume_sets import Description
from voxgen.evaluation.volume_streams import read_batches
from voxgen.io.files import read_json, read_table, write_json, write_table
from voxgen.settings.evaluation import EvaluationSettings
from voxgen.settings.machine import Machine
from voxgen.stages import evaluate_reconstruction as reconstruction_stage
from voxgen.stages import evaluate_samples as samples_stage
from voxgen.stages.evaluate_reconstruction import evaluate_reconstruction
from voxgen.stages.evaluate_samples import evaluate_samples
from voxgen.stages.plot_history import plot_history
from voxgen.stages.plot_reconstructions import plot_reconstructions
from voxgen.stages.plot_spectrum import plot_spectrum
from voxgen.volumes.grid import fixed_grid
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.nifti import affine_of, read_volume, write_volume

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config" / "config.yaml").read_text())
SMALL = {
    "ssim_window": 5,
    "points": 32,
    "matched_points": 16,
    "matched_clouds": 5,
    "bootstrap": 50,
    "permutations": 999,
}
EVALUATION = EvaluationSettings.model_validate_json(json.dumps(CONFIG["evaluation"] | SMALL))
MACHINE = Machine.model_validate_json(
    json.dumps(CONFIG["machine"] | {"device": "cpu", "batch": 2, "threads": 1})
)
GRID = fixed_grid((8, 8, 8), ((0, 800), (0, 800), (0, 800)), "nm", "density", 1.0)
LAW = Intensity("log1p", 1.5)


class Blurring:
    """An autoencoder that gives back slightly blurred volumes."""

    grid, intensity = GRID, LAW
    config: ClassVar[dict[str, Any]] = {"intensity": LAW.to_json()}
    fabric = SimpleNamespace(device=SimpleNamespace(type="cpu"))

    def features(self, x_BXYZ: np.ndarray) -> np.ndarray:
        assert x_BXYZ.dtype == np.float32
        return np.stack([[x.mean(), x.std(), x.max(), 1.0] for x in x_BXYZ])

    def reconstruct(self, x_BXYZ: np.ndarray) -> np.ndarray:
        assert x_BXYZ.dtype == np.float32
        assert len(x_BXYZ) <= MACHINE.batch
        return np.stack([gaussian_filter(x, 0.3) for x in x_BXYZ])

    def drawn(self, decoded_XYZ: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return decoded_XYZ


def counts(index: int, purpose: int) -> np.ndarray:
    """A clump of counts at its own place."""
    rng = np.random.default_rng([index, purpose])
    volume = np.zeros((8, 8, 8), np.float32)
    x, y, z = rng.integers(1, 5, 3)
    volume[x : x + 3, y : y + 3, z : z + 2] = rng.poisson(3, (3, 3, 2))
    return volume


def written(folder: Path, volumes: list[np.ndarray], latent: float = 1.0) -> tuple[Path, Path]:
    """Volumes as NIfTI and their manifest, which also serves as samples.csv."""
    rows: list[dict[str, Any]] = []
    for i, volume in enumerate(volumes):
        name = f"{folder.name}-{i}"
        write_volume(folder / f"{name}.nii.gz", volume, GRID.origin, GRID.spacing, GRID.unit)
        numbers = {"sum": volume.sum(), "max": volume.max(), "latent_mean": 0, "latent_std": latent}
        places = {
            f"{part}_{axis}": value[k]
            for part, value in (("origin", GRID.origin), ("spacing", GRID.spacing))
            for k, axis in enumerate("xyz")
        }
        rows.append({"id": name, "unit": GRID.unit, **numbers, **places})
    manifest = folder.with_suffix(".csv")
    write_table(manifest, rows, list(rows[0]) if rows else ["id"])
    return manifest, folder


def judged(
    root: Path, samples: list[np.ndarray], latent: float = 1.0, medicalnet: Path | None = None
) -> dict[str, Any]:
    table, folder = written(root / "samples", samples, latent)
    train = written(root / "train", [counts(i, 1) for i in range(9)])
    test = written(root / "test", [counts(i, 2) for i in range(7)])
    write_json(root / "grid.json", GRID.to_json())
    write_json(root / "intensity.json", LAW.to_json())
    paths = (root / "grid.json", root / "intensity.json", root / "autoencoder")
    evaluate_samples(
        (table, folder), train, test, *paths, medicalnet, root / "samples.json", EVALUATION, 0, MACHINE
    )
    scores: dict[str, Any] = read_json(root / "samples.json")
    return scores


@pytest.fixture(autouse=True)
def _stub(monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in (reconstruction_stage, samples_stage):
        monkeypatch.setattr(stage, "load_autoencoder", lambda folder, machine: Blurring())


def reconstructed(root: Path, volumes: list[np.ndarray]) -> tuple[Path, Path, Path, Path]:
    manifest, folder = written(root / "test", volumes)
    scores, out = root / "reconstruction.json", root / "reconstructions"
    evaluate_reconstruction((manifest, folder), root / "autoencoder", scores, out, EVALUATION, 0, MACHINE)
    return scores, manifest, folder, out


def test_reconstruction_is_scored_beside_its_baselines(tmp_path: Path) -> None:
    scores, _, folder, out = reconstructed(tmp_path, [counts(i, 0) for i in range(7)])
    content = read_json(scores)
    assert content["n"] == 7
    assert content["device"] == "cpu"
    for name in ("ssim", "ms_ssim", "psnr", "dice", "iou"):
        metric = content["metrics"][name]
        assert metric["zero"]["value"] < metric["model"]["value"]
        assert metric["blurred"]["value"] < metric["model"]["value"]
        assert metric["model"]["low"] <= metric["model"]["value"] <= metric["model"]["high"]
    for name in ("l1", "mse", "count_error"):
        assert content["metrics"][name]["model"]["value"] < content["metrics"][name]["redrawn"]["value"]
    assert content["metrics"]["count_error"]["zero"]["value"] == 1
    assert content["metrics"]["sharpness"]["zero"]["value"] == -1
    assert (
        content["metrics"]["sharpness"]["blurred"]["value"]
        < content["metrics"]["sharpness"]["model"]["value"]
    )
    assert "above 0.5 counts" in content["metrics"]["dice"]["meaning"]
    assert "a blurred input at" in content["metrics"]["ssim"]["finding"]
    ranked = sorted(content["volumes"], key=lambda volume: volume["ssim"])
    assert content["worst"] == [volume["id"] for volume in ranked[:5]]
    result = read_volume(out / "test-3.nii.gz")
    expected = LAW.from_network(gaussian_filter(LAW.to_network(read_volume(folder / "test-3.nii.gz")), 0.3))
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    assert affine_of(GRID.origin, GRID.spacing, GRID.unit)[0, 3] == pytest.approx(0.05)


def test_reconstruction_refuses_no_volumes_and_another_grid(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.split\.test"):
        reconstructed(tmp_path / "none", [])
    with pytest.raises(InputError, match="autoencoder's grid"):
        reconstructed(tmp_path / "other", [np.ones((4, 8, 8), np.float32)])


CLOUDS = {f"{score} {distance}" for score in ("1-nna", "coverage", "mmd") for distance in ("chamfer", "emd")}
STRUCTURE = {"specks", "pieces", "length", "longest", "thickness", "loops", "cavities"}
VOLUMES = {"histogram", "spectrum", "counts", "occupancy", "sharpness", "diversity"} | STRUCTURE
FEATURES = {"classifier", "frechet autoencoder", "kernel autoencoder"}


def test_no_difference_is_found_in_samples_of_the_same_kind(tmp_path: Path) -> None:
    scores = judged(tmp_path, [counts(i, 3) for i in range(8)])
    assert scores["n"] == scores["n_clouds"] == 7
    assert set(scores["metrics"]) == VOLUMES | FEATURES | CLOUDS | {"jsd"}
    for metric in scores["metrics"].values():
        for name in ("samples", *scores["references"]):
            assert (
                metric[name]["low"] <= metric[name]["value"] <= metric[name]["high"]
                or metric["group"] == "volumes"
            )
        assert "beside a floor of" in metric["finding"]
        for test in metric["tests"].values():
            assert 0.05 < test["p"] <= test.get("corrected", 1)
    tests = {key: metric["tests"].get("samples") for key, metric in scores["metrics"].items()}
    assert {key for key, test in tests.items() if not test} == {"frechet autoencoder"}
    gated = {key for key, test in tests.items() if test and "corrected" in test}
    shown = {"loops", "cavities"}
    other = {"counts", "occupancy", "sharpness", "diversity", "classifier", "1-nna chamfer"}
    assert gated == STRUCTURE - shown | other
    assert "10th percentile" in scores["metrics"]["occupancy"]["tests"]["train"]["effect"]
    assert scores["metrics"]["mmd chamfer"]["unit"] == "nm²"
    assert scores["metrics"]["mmd emd"]["unit"] == "nm"
    assert "5 clouds of 16 points" in scores["metrics"]["mmd emd"]["meaning"]
    assert "3 features" in scores["metrics"]["kernel autoencoder"]["meaning"]  # the constant one is left out
    assert scores["latent"]["drift"] is False
    assert set(scores["empty"].values()) == {0}


def test_the_ceiling_is_what_the_autoencoder_leaves_of_test_volumes(tmp_path: Path) -> None:
    metrics = judged(tmp_path, [counts(i, 3) for i in range(8)])["metrics"]
    assert metrics["mmd emd"]["rebuilt_test"]["value"] < 0.5 * metrics["mmd emd"]["train"]["value"]
    assert (
        metrics["1-nna chamfer"]["rebuilt_test"]["value"]
        < 0.3
        < metrics["1-nna chamfer"]["rebuilt_train"]["value"]
    )
    assert metrics["coverage chamfer"]["rebuilt_test"]["value"] == 1
    assert metrics["sharpness"]["rebuilt_test"]["value"] < 0


def test_the_table_names_the_spectra(tmp_path: Path) -> None:
    scores = judged(tmp_path, [counts(i, 3) for i in range(8)])
    spectrum = scores["spectrum"]
    assert set(spectrum["power"]) == {"samples", "test", "train", "rebuilt_test", "rebuilt_train"}
    assert all(len(power) == len(spectrum["frequencies"]) for power in spectrum["power"].values())
    plot_spectrum(tmp_path / "samples.json", tmp_path / "spectrum.png")
    assert (tmp_path / "spectrum.png").stat().st_size > 5000


def test_medicalnets_features_stand_beside_the_autoencoders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def features(x_BXYZ: np.ndarray, foreground_BXYZ: np.ndarray) -> np.ndarray:
        assert foreground_BXYZ.dtype == bool
        return np.stack([x[inside][:4] for x, inside in zip(x_BXYZ, foreground_BXYZ, strict=True)])

    asked: list[tuple[Path, str]] = []
    network = SimpleNamespace(features=features)
    monkeypatch.setattr(samples_stage, "load_medicalnet", lambda *given: asked.append(given) or network)
    weights = tmp_path / "resnet_10.pth"
    metrics = judged(tmp_path, [counts(i, 3) for i in range(8)], medicalnet=weights)["metrics"]
    assert len(asked) == 1
    assert asked[0][0] == weights
    assert set(metrics) >= FEATURES | {"frechet MedicalNet", "kernel MedicalNet"}
    assert "4 features (MedicalNet)" in metrics["frechet MedicalNet"]["meaning"]


def test_repeats_bit_for_bit(tmp_path: Path) -> None:
    samples = [counts(i, 3) for i in range(8)]
    assert judged(tmp_path / "a", samples) == judged(tmp_path / "b", samples)


def test_bad_samples_are_seen(tmp_path: Path) -> None:
    smeared = [gaussian_filter(counts(0, 3), 1.5) for _ in range(8)]
    scores = judged(tmp_path, smeared, latent=0.8)
    metrics = {name: metric["samples"]["value"] for name, metric in scores["metrics"].items()}
    assert metrics["1-nna chamfer"] > 0.85
    assert metrics["1-nna emd"] > 0.65
    tests = {
        name: metric["tests"]["samples"] for name, metric in scores["metrics"].items() if metric["tests"]
    }
    assert all(tests[name]["corrected"] < 0.05 for name in ("sharpness", "diversity", "1-nna chamfer"))
    assert max(tests[name]["p"] for name in ("spectrum", "histogram", "kernel autoencoder")) < 0.01
    assert metrics["coverage chamfer"] < 0.5
    assert metrics["sharpness"] < -0.1
    assert metrics["diversity"] > 0.1
    assert scores["latent"]["drift"] is True
    assert "narrower" in scores["latent"]["cause"]
    assert any("drift" in line for line in scores["findings"])


@pytest.mark.parametrize("filled", [0, 5])
def test_empty_samples_are_counted_and_left_out_of_the_clouds(filled: int, tmp_path: Path) -> None:
    samples = [counts(i, 3) for i in range(filled)] + [np.zeros((8, 8, 8), np.float32)] * (7 - filled)
    scores = judged(tmp_path, samples)
    assert scores["empty"]["samples"] == 7 - filled
    assert scores["n_clouds"] == filled
    assert ("1-nna chamfer" in scores["metrics"]) is (filled > 1)
    assert any("empty" in line for line in scores["findings"])


def test_samples_that_are_missing_or_infinite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no volumes"):
        judged(tmp_path / "none", [])
    with pytest.raises(InputError, match="train for longer"):
        judged(tmp_path / "infinite", [np.full((8, 8, 8), np.inf, np.float32)])


def test_features_come_from_the_autoencoders_own_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An autoencoder from elsewhere was trained with another constant than this run has."""
    foreign, seen = Intensity("log1p", 3 * LAW.divisor), []

    def features(_: Blurring, x_BXYZ: np.ndarray) -> np.ndarray:
        seen.extend(float(x.sum()) for x in x_BXYZ)
        return np.stack([[x.mean(), x.std()] for x in x_BXYZ])

    before = judged(tmp_path / "own", [counts(i, 3) for i in range(8)])["metrics"]
    monkeypatch.setattr(Blurring, "features", features)
    monkeypatch.setattr(Blurring, "intensity", foreign)
    after = judged(tmp_path / "foreign", [counts(i, 3) for i in range(8)])["metrics"]
    for i in range(7):
        assert min(abs(float(foreign.to_network(counts(i, 2)).sum()) - one) for one in seen) < 1e-3
    for name in ("sharpness", "histogram", "spectrum"):  # in this run's range
        assert after[name]["samples"]["value"] == before[name]["samples"]["value"]


def test_a_few_volumes_of_many_are_drawn_at_random(tmp_path: Path) -> None:
    """Volumes are often sorted: the first ids are of one kind."""
    manifest, folder = written(tmp_path / "set", [counts(i, 1) for i in range(40)])
    ids = [row["id"] for row in read_table(manifest)]
    few = EVALUATION.model_copy(update={"diverse": 10})
    how = Description(GRID, LAW, {}, few, 0)
    chosen = _draw(ids, how, "diversity set")
    assert len(chosen) == 10
    assert chosen != set(ids[:10])
    assert chosen == _draw(ids, how, "diversity set") != _draw(ids, how, "diversity test")
    one = how.describe("set", read_batches(ids, folder, GRID.shape, 4), chosen)
    assert len(one["whole"]) == 10
    items, _ = take_items(dict.fromkeys(("samples", "test", "train"), one), how, "cpu", 1)
    matched = [items["emd"][name].a_NN for name in ("samples", "train")]
    assert matched[0].shape == (5, 5)
    assert (matched[0] != matched[1]).any()  # of the same set each name draws its own clouds


def test_an_autoencoder_of_another_range_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Blurring, "config", {"intensity": Intensity("linear", 1.0).to_json()})
    with pytest.raises(InputError, match="made for law"):
        judged(tmp_path, [counts(i, 3) for i in range(8)])


def test_figures_of_reconstructions_and_histories(tmp_path: Path) -> None:
    scores, manifest, folder, out = reconstructed(tmp_path, [counts(i, 0) for i in range(4)])
    write_json(tmp_path / "grid.json", GRID.to_json())
    plot_reconstructions(
        scores, (manifest, folder), out, tmp_path / "grid.json", tmp_path / "reconstructions.png"
    )
    columns = ["epoch", "step", "learning_rate", "train_loss", "val_loss"]
    rows = [dict(zip(columns, (i, i * 10, 1e-3, 1 / i, 1.1 / i), strict=True)) for i in (1, 2, 3)]
    write_table(tmp_path / "history.csv", rows, columns)
    plot_history(tmp_path / "history.csv", "autoencoder", tmp_path / "history.png")
    for name in ("reconstructions", "history"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
