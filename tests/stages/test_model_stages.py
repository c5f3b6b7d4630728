"""One run of the stages from volumes to samples on 8-cubes: what each of them leaves, and what it refuses."""

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from safetensors.numpy import load_file, save_file

from conftest import trained_for
from resnet_files import random_weights, saved
from voxgen.batches.latent_batches import LatentBatches, Latents
from voxgen.batches.views import views
from voxgen.batches.volume_batches import VolumeBatches, Volumes
from voxgen.errors import InputError
from voxgen.io.files import digest, read_json, read_table, write_json, write_table
from voxgen.io.latent_shards import read_latents
from voxgen.io.shards import Shard
from voxgen.models.codec import load_autoencoder
from voxgen.models.folder import weights_digest
from voxgen.models.kinds import build_first_stage, build_prior
from voxgen.models.whitening import Whitening
from voxgen.settings.losses import Perception
from voxgen.settings.sections import Settings
from voxgen.sources.clouds.opening import open_clouds
from voxgen.sources.clouds.writing import Form, write_clouds
from voxgen.stages import encode_latents as encoding
from voxgen.stages.draw_samples import draw_samples
from voxgen.stages.sample import sample
from voxgen.stages.train_autoencoder import train_autoencoder
from voxgen.volumes.grid import Grid
from voxgen.volumes.nifti import read_volume

MODEL = {"model.safetensors", "config.json", "history.csv"}
SAMPLES = [f"sample-{i:06d}" for i in range(8)]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def volumes_of(folder: Path) -> np.ndarray:
    return np.stack([read_volume(path) for path in sorted(folder.glob("**/*.nii.gz"))])


def redrawn(results: Path, out: Path, settings: Settings, **given: Path) -> np.ndarray:
    """The samples drawn once more, in one shard and one at a time."""
    draw_samples(
        given.get("autoencoder", results / "autoencoder"),
        given.get("prior", results / "prior"),
        given.get("scale", results / "latents/scale.json"),
        given.get("grid", results / "grid.json"),
        *(out, Shard(0, 1), settings.sampling, settings.seed),
        settings.machine.model_copy(update={"batch": 1}),
    )
    return volumes_of(out)


def retrained(results: Path, voxels: Path, out: Path, settings: Settings, **changes: object) -> Path:
    """The autoencoder trained again beside a copy of its state; returns the folder of states."""
    state = shutil.copytree(results / "state/autoencoder", out / "state", dirs_exist_ok=True)
    train_autoencoder(
        *((voxels / f"{split}.csv", voxels / split) for split in ("train", "val")),
        *(voxels / "grid.json", voxels / "intensity.json", out, state),
        trained_for(settings.autoencoder, **changes),
        *(settings.data.flips, settings.data.rotations, settings.seed),
        settings.machine.model_copy(update={"batch": 3, "cache_gb": 1e-6, "checkpoint_minutes": 1.0}),
    )
    return state


def test_the_autoencoder_says_what_it_is(results: Path, voxels: Path, settings: Settings) -> None:
    folder = results / "autoencoder"
    assert names(folder) == MODEL
    config = read_json(folder / "config.json")
    assert config["kind"] == "autoencoder"
    assert config["grid"] == read_json(voxels / "grid.json")
    assert config["intensity"] == {"law": "log1p", "divisor": np.log1p(2)}
    assert config["settings"] == settings.autoencoder.model_dump(mode="json", exclude={"source"})
    assert config["settings"]["kl"]["training"]["epochs"] == 12
    assert config["seed"] == settings.seed
    files = {"train": "train.csv", "val": "val.csv", "grid": "grid.json", "law": "intensity.json"}
    assert config["made_from"] == {name: digest(voxels / file) for name, file in files.items()}
    history = read_table(folder / "history.csv")
    assert [int(row["epoch"]) for row in history] == list(range(1, 13))
    assert float(history[-1]["val_loss"]) < float(history[0]["val_loss"])


def test_latents_are_the_posteriors_of_every_view(results: Path, voxels: Path, settings: Settings) -> None:
    autoencoder = load_autoencoder(results / "autoencoder", settings.machine)
    for split, flips in (("train", ("x",)), ("val", ())):
        folder = results / "latents" / split
        volumes = Volumes(voxels / f"{split}.csv", voxels / split, autoencoder.intensity, cache_gb=1.0)
        shards = [f"{view}-0000.safetensors" for view in range(2 ** len(flips))]
        assert names(folder) == {*shards, "index.csv", "config.json"}
        config = read_json(folder / "config.json")
        assert config["made_from"] == {
            "autoencoder": weights_digest(results / "autoencoder"),
            "volumes": digest(voxels / f"{split}.csv"),
        }
        assert (config["shape"], config["flips"], config["rotations"]) == ([2, 4, 4, 1], list(flips), [])
        assert config["grid"] == read_json(voxels / "grid.json")
        assert config["intensity"] == autoencoder.intensity.to_json()
        rows = read_table(folder / "index.csv")
        assert [row["id"] for row in rows] == volumes.ids * len(shards)
        for row in rows:
            volume = views(flips, ())[int(row["view"])](volumes[volumes.ids.index(row["id"])])
            stored = load_file(folder / row["shard"])
            for name, expected in zip(("mean", "std"), autoencoder.encode(volume[None]), strict=True):
                assert stored[name].dtype == np.float16
                np.testing.assert_allclose(
                    stored[name][int(row["position"])], expected[0], rtol=2e-3, atol=2e-3
                )


def test_a_mirrored_view_is_another_latent(results: Path) -> None:
    (one, _), (other, _) = read_latents(results / "latents/train")
    assert np.abs(one.astype(float) - other).max() > 0.1
    assert np.abs(one.astype(float) - other[:, :, ::-1]).max() > 0  # a network is not symmetric


def test_the_length_of_shards_does_not_matter(
    results: Path, voxels: Path, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "SHARD_VOLUMES", 4)
    encoding.encode_latents(
        "train",
        (voxels / "train.csv", voxels / "train"),
        *(voxels / "grid.json", voxels / "intensity.json", results / "autoencoder", tmp_path, ("x",), ()),
        settings.machine,
    )
    shards = {f"{view}-{part:04d}.safetensors" for view in (0, 1) for part in (0, 1)}
    assert names(tmp_path) == shards | {"index.csv", "config.json"}
    for part in (0, 1):
        ours, theirs = (
            np.concatenate([shard[part] for shard in read_latents(folder)])
            for folder in (tmp_path, results / "latents/train")
        )
        np.testing.assert_allclose(ours.astype(float), theirs, rtol=2e-3, atol=2e-3)


def test_the_scale_is_that_of_the_train_latents(results: Path) -> None:
    recorded = read_json(results / "latents/scale.json")
    means, stds = (
        np.concatenate([shard[part] for shard in read_latents(results / "latents/train")]).astype(float)
        for part in (0, 1)
    )
    axes = (0, 2, 3, 4)
    np.testing.assert_allclose(recorded["mean"], means.mean(axes))
    np.testing.assert_allclose(recorded["std"], np.sqrt(means.var(axes) + (stds**2).mean(axes)))
    assert recorded["posterior"] == "draw"
    assert recorded["autoencoder"] == weights_digest(results / "autoencoder")


def test_the_prior_says_what_it_is(results: Path, voxels: Path, settings: Settings) -> None:
    folder, latents = results / "prior", results / "latents"
    assert names(folder) == MODEL
    config = read_json(folder / "config.json")
    assert (config["kind"], config["latent_shape"]) == ("prior", [2, 4, 4, 1])
    assert config["scale"] == read_json(latents / "scale.json")
    assert config["grid"] == read_json(voxels / "grid.json")
    assert config["intensity"]["divisor"] == np.log1p(2)
    assert config["settings"] == settings.prior.model_dump(mode="json", exclude={"source"})
    assert config["settings"]["diffusion"]["process"] == "flow"
    assert config["made_from"] == {
        "autoencoder": weights_digest(results / "autoencoder"),
        "scale": digest(latents / "scale.json"),
        "train": digest(*sorted((latents / "train").iterdir())),
        "val": digest(*sorted((latents / "val").iterdir())),
    }
    assert [int(row["epoch"]) for row in read_table(folder / "history.csv")] == [1, 2]


def test_sample_shards_hold_volumes_in_counts_where_the_grid_is(results: Path) -> None:
    drawn = []
    for shard in sorted((results / "sample_shards").iterdir()):
        rows = read_table(shard / "manifest.csv")
        assert names(shard) == {f"{row['id']}.nii.gz" for row in rows} | {"manifest.csv", "config.json"}
        config = read_json(shard / "config.json")
        assert config["made_from"] == {
            "autoencoder": weights_digest(results / "autoencoder"),
            "prior": weights_digest(results / "prior"),
        }
        assert config["grid"] == read_json(results / "autoencoder" / "config.json")["grid"]
        for row in rows:
            image = nib.load(shard / f"{row['id']}.nii.gz")
            volume = image.get_fdata()
            assert volume.shape == (8, 8, 8)
            assert volume.min() >= 0
            assert float(row["sum"]) == pytest.approx(volume.sum())
            assert float(row["max"]) == volume.max() > 0
            assert float(row["occupied"]) == np.mean(volume > 0.5)
            # 100 x 100 x 50 nm in um; the centre of the first voxel is half a voxel from the lower corner
            affine = np.diag([0.1, 0.1, 0.05, 1])
            affine[:3, 3] = [0.05, -0.35, 1.025]
            np.testing.assert_allclose(image.affine, affine, rtol=1e-6)
            assert image.header.get_xyzt_units()[0] == "micron"
        drawn.append([row["id"] for row in rows])
    assert drawn == [SAMPLES[:2], SAMPLES[2:5], SAMPLES[5:]]


def test_samples_do_not_depend_on_shard_and_batch(results: Path, tmp_path: Path, settings: Settings) -> None:
    ours, theirs = redrawn(results, tmp_path, settings), volumes_of(results / "sample_shards")
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.ptp(theirs))
    assert np.abs(ours[0] - ours[1]).max() > 1e-2
    assert [row["id"] for row in read_table(tmp_path / "manifest.csv")] == SAMPLES


def test_samples_are_gathered_with_clouds_as_the_input_has_them(
    results: Path, grid: Grid, settings: Settings
) -> None:
    folder = results / "samples"
    volumes = {f"{name}.nii.gz" for name in SAMPLES}
    assert names(folder) == volumes | {"config.json", "samples.csv", "samples.h5", "preview.png"}
    np.testing.assert_array_equal(volumes_of(folder), volumes_of(results / "sample_shards"))
    rows = read_table(folder / "samples.csv")
    assert [(row["id"], row["points"]) for row in rows] == [(name, "40") for name in SAMPLES]
    with open_clouds([folder / "samples.h5"], settings.data.clouds) as clouds:
        assert (clouds.form.layout, len(clouds), clouds.form.unit) == ("stacked", len(SAMPLES), "nm")
        assert (clouds.form.dtype, clouds.uniform_points()) == (np.float32, 40)
        for cloud in clouds.read(0, len(clouds)):
            index = np.floor((cloud.points - grid.origin) / grid.spacing).astype(int)
            assert np.all((index >= 0) & (index < grid.shape))
            assert (read_volume(folder / f"{SAMPLES[cloud.row]}.nii.gz")[tuple(index.T)] > 0).all()
    with h5py.File(folder / "samples.h5") as file:
        assert file["id"].asstr()[()].tolist() == SAMPLES
    assert imread(folder / "preview.png").ndim == 3


def test_samples_lie_where_the_data_lie_also_with_an_autoencoder_from_elsewhere(
    results: Path, tmp_path: Path, settings: Settings, grid: Grid
) -> None:
    moved = replace(grid, origin=(5000.0, 0.0, 0.0))
    write_json(tmp_path / "grid.json", moved.to_json())
    redrawn(results, tmp_path / "out", settings, grid=tmp_path / "grid.json")
    image = nib.load(tmp_path / "out" / f"{SAMPLES[0]}.nii.gz")
    np.testing.assert_allclose(image.affine[:3, 3], [5.05, 0.05, 0.025], rtol=1e-6)
    assert read_json(tmp_path / "out" / "config.json")["grid"]["origin"] == [5000.0, 0.0, 0.0]


def test_clouds_of_integer_input_are_floats(results: Path, tmp_path: Path, settings: Settings) -> None:
    points = np.arange(8 * 40 * 3, dtype=np.uint16).reshape(8, 40, 3)
    write_clouds(tmp_path / "raw.h5", points, Form("stacked", "point_clouds", "nm", np.dtype(np.uint16)))
    shards = sorted((results / "sample_shards").iterdir())
    train = (results.parent / "absent.csv", results.parent)
    write_table(train[0], [], ["id"])
    as_found = settings.data.clouds
    sample(shards, [tmp_path / "raw.h5"], results / "grid.json", train, tmp_path / "out", as_found)
    with open_clouds([tmp_path / "out" / "samples.h5"], as_found) as clouds:
        assert clouds.form.dtype == np.float32
        assert min(cloud.points.min() for cloud in clouds.read(0, len(clouds))) < 0


def test_clouds_of_stacks_of_several_sizes_are_padded(
    results: Path, tmp_path: Path, settings: Settings
) -> None:
    raw = [tmp_path / "raw_40.h5", tmp_path / "raw_30.h5"]
    form = Form("stacked", "point_clouds", "nm", np.dtype(np.float32))
    for path, points in zip(raw, (40, 30), strict=True):
        write_clouds(path, np.ones((4, points, 3)), form)
    shards = sorted((results / "sample_shards").iterdir())
    train = (results.parent / "absent.csv", results.parent)
    write_table(train[0], [], ["id"])
    as_found = settings.data.clouds
    sample(shards, raw, results / "grid.json", train, tmp_path / "out", as_found)
    rows = read_table(tmp_path / "out" / "samples.csv")
    with open_clouds([tmp_path / "out" / "samples.h5"], as_found) as clouds:
        assert clouds.form.layout == "padded"
        found = [len(cloud.points) for cloud in clouds.read(0, len(clouds))]
    assert found == [int(row["points"]) for row in rows if row["points"] != "0"]
    assert len(set(found)) > 1


def test_a_prior_of_another_autoencoder_is_refused(results: Path, tmp_path: Path, settings: Settings) -> None:
    other = shutil.copytree(results / "autoencoder", tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    first = next(iter(weights))
    save_file({**weights, first: weights[first] + np.float32(1e-3)}, other / "model.safetensors")
    ours, theirs = weights_digest(results / "autoencoder"), weights_digest(other)
    with pytest.raises(InputError, match=f"prior: made for autoencoder '{ours}', found '{theirs}'"):
        redrawn(results, tmp_path / "out", settings, autoencoder=other)
    assert not (tmp_path / "out").exists()


def test_a_prior_of_another_scale_is_refused(results: Path, tmp_path: Path, settings: Settings) -> None:
    scale = read_json(results / "latents/scale.json")
    write_json(tmp_path / "scale.json", scale | {"std": [2 * std for std in scale["std"]]})
    with pytest.raises(InputError, match=r"prior: made for scale .*, found "):
        redrawn(results, tmp_path / "out", settings, scale=tmp_path / "scale.json")
    assert not (tmp_path / "out").exists()


def test_a_finished_training_is_not_done_again(
    results: Path, voxels: Path, tmp_path: Path, settings: Settings
) -> None:
    """Nothing of the machine is in a state's name, and a state that is done gives the same files."""
    state = retrained(results, voxels, tmp_path, settings)
    assert names(state) == names(results / "state/autoencoder")
    for name in MODEL:
        assert (tmp_path / name).read_bytes() == (results / "autoencoder" / name).read_bytes()


def test_raised_epochs_continue_the_state_and_other_settings_do_not(
    results: Path, voxels: Path, tmp_path: Path, settings: Settings
) -> None:
    state = retrained(results, voxels, tmp_path, settings, epochs=13)
    assert names(state) == names(results / "state/autoencoder")
    before, after = (read_table(folder / "history.csv") for folder in (results / "autoencoder", tmp_path))
    assert after[:-1] == before
    assert len(after) == 13
    assert len(names(retrained(results, voxels, tmp_path, settings, epochs=1, clip=0.5))) == 2


def test_other_weights_of_a_perceptual_loss_are_another_training(
    voxels: Path, tmp_path: Path, settings: Settings
) -> None:
    file = tmp_path / "resnet_10_23dataset.pth"
    kl = settings.autoencoder.kl
    perception = Perception(weight=0.1, network="medicalnet_resnet10", weights=str(file))
    losses = kl.losses.model_copy(update={"perceptual": perception})
    training = kl.training.model_copy(update={"fast_dev_run": True, "batch": 2})
    kl = kl.model_copy(update={"losses": losses, "training": training})
    for factor in (1.0, 0.5, 1.0):
        weights = random_weights(10)
        saved(file, {**weights, "conv1.weight": factor * weights["conv1.weight"]})
        train_autoencoder(
            *((voxels / f"{split}.csv", voxels / split) for split in ("train", "val")),
            *(voxels / "grid.json", voxels / "intensity.json", tmp_path / "out", tmp_path / "state"),
            settings.autoencoder.model_copy(update={"kl": kl}),
            *((), (), settings.seed, settings.machine),
            perceptual=file,
        )
        assert read_json(tmp_path / "out/config.json")["made_from"]["perceptual"] == digest(file)
    assert len(names(tmp_path / "state")) == 2
    (row,) = read_table(tmp_path / "out/history.csv")
    assert float(row["train_perceptual"]) > 0
    assert float(row["val_perceptual"]) > 0
    assert "perceptual.weight" not in str(load_file(tmp_path / "out/model.safetensors").keys())
    load_autoencoder(tmp_path / "out", settings.machine)


def test_volume_batches_depend_on_epoch_and_items_alone(
    voxels: Path, results: Path, settings: Settings
) -> None:
    law = load_autoencoder(results / "autoencoder", settings.machine).intensity
    stored = [Volumes(voxels / "train.csv", voxels / "train", law, cache_gb=gb) for gb in (1.0, 1e-9)]
    both = views(("x",), ())
    objective = build_first_stage(settings.autoencoder.model_dump(mode="json"), (8, 8, 8)).objective()
    kept, read = (VolumeBatches(volumes, objective, both, None, 0, "train") for volumes in stored)
    batch = kept.batch(np.array([4, 0, 2]), epoch=3)
    shapes = {name: part.shape for name, part in batch.items()}
    assert shapes == {"volume": (3, 1, 8, 8, 8), "noise": (3, 2, 4, 4, 1), "latent_size": (3, 3)}
    alone = read.batch(np.array([2]), epoch=3)
    assert alone["volume"].equal(batch["volume"][2:])
    assert alone["noise"].equal(batch["noise"][2:])
    drawn = [kept.batch(np.array([2]), epoch)["volume"][0, 0].numpy() for epoch in range(12)]
    mirror_images = [view(stored[0][2]) for view in both]
    seen = {tuple(np.array_equal(volume, image) for image in mirror_images) for volume in drawn}
    assert seen == {(True, False), (False, True)}
    assert not kept.batch(np.array([2]), 4)["noise"].equal(alone["noise"])


@pytest.mark.parametrize("posterior", ["draw", "mean"])
def test_latent_batches_are_whitened_addressed_draws(
    results: Path, settings: Settings, posterior: str
) -> None:
    recorded = read_json(results / "latents/scale.json")
    scale = Whitening(tuple(recorded["mean"]), tuple(recorded["std"]), posterior)
    latents = Latents(results / "latents/train", scale)
    assert (len(latents), latents.shape) == (6, (2, 4, 4, 1))
    objective = build_prior(settings.prior.model_dump(mode="json"), latents.shape).objective()
    batches = LatentBatches(latents, objective, 0, "train")
    both, alone = batches.batch(np.array([5, 1]), epoch=2), batches.batch(np.array([1]), epoch=2)
    assert both.keys() == alone.keys() == {"latent", "noise", "time"}
    assert all(alone[name].equal(both[name][1:]) for name in both)
    z, noise, times = both["latent"], both["noise"], both["time"]
    assert times.dtype == torch.float32
    assert not noise[0].equal(noise[1])
    assert times[0] != times[1]
    assert not batches.batch(np.array([1]), epoch=3)["noise"].equal(noise[1:])
    means = np.concatenate([mean for mean, _ in read_latents(results / "latents/train")]).astype(np.float32)
    views = scale.whiten(means[[5, 11]])  # of item 5: as it is, and mirrored
    distance = np.abs(z[0].numpy() - views).max(axis=(1, 2, 3, 4)).min()
    assert (distance < 1e-6) == (posterior == "mean")
    assert 0 <= times.min() <= times.max() < 1
    watched = LatentBatches(latents, objective, 0, "validation").batch(np.arange(6), 0)["time"]
    assert watched.tolist() == [(i + 0.5) / 8 for i in range(6)]
