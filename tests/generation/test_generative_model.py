"""A trained model in Python: the samples of the rule, and what else is made of a model."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import voxgen
from voxgen.errors import InputError
from voxgen.generation.generative_model import Model
from voxgen.io.files import read_json, read_table, write_json
from voxgen.io.latent_shards import read_latents
from voxgen.models.whitening import Whitening
from voxgen.settings.sections import Settings
from voxgen.sources.clouds.opening import open_clouds
from voxgen.volumes.nifti import read_volume


@pytest.fixture(scope="module")
def model(results: Path, settings: Settings) -> Model:
    """The model of the stages' run."""
    machine = settings.machine
    return voxgen.load(results, device="cpu", precision=machine.precision, batch=machine.batch)


@pytest.fixture(scope="module")
def volume(voxels: Path) -> np.ndarray:
    """A volume that no training saw."""
    return read_volume(min((voxels / "val").glob("*.nii.gz")))


def test_samples_are_those_of_the_rule(model: Model, results: Path, settings: Settings) -> None:
    for shard in sorted((results / "sample_shards").iterdir()):
        rows = read_table(shard / "manifest.csv")
        drawn = model.sample(len(rows), settings.seed, first=int(rows[0]["index"]))
        assert [one.index for one in drawn] == [int(row["index"]) for row in rows]
        for row, one in zip(rows, drawn, strict=True):
            file = voxgen.read(shard / f"{row['id']}.nii.gz")
            np.testing.assert_array_equal(one.array, file.array)
            np.testing.assert_allclose(one.affine[:3] / 1000, file.affine[:3], rtol=1e-5, atol=1e-6)
            assert (one.unit, file.unit) == ("nm", "um")


def test_clouds_are_those_of_the_rule(model: Model, results: Path, settings: Settings) -> None:
    shards = sorted((results / "sample_shards").iterdir())
    parts = [[int(row["index"]) for row in read_table(shard / "manifest.csv")] for shard in shards]
    drawn = [one for part in parts for one in model.sample(len(part), settings.seed, first=part[0])]
    with open_clouds([results / "samples/samples.h5"], settings.data.clouds) as clouds:
        for one, cloud in zip(drawn, clouds.read(0, len(clouds)), strict=True):
            np.testing.assert_array_equal(model.points(one), cloud.points)
            assert model.points(one).dtype == clouds.form.dtype
    assert model.points(drawn[0], 7).shape == (7, 3)
    assert model.points(np.zeros(model.grid.shape)).shape == (0, 3)


def test_seed_index_and_settings_of_the_sampler_decide(model: Model) -> None:
    one = model.sample(1, seed=3, first=5)[0].array
    recorded = model.config["sampling"]["steps"]
    np.testing.assert_array_equal(model.sample(1, 3, 5, steps=recorded)[0].array, one)
    for other in (model.sample(1, 4, 5), model.sample(1, 3, 6), model.sample(1, 3, 5, steps=recorded + 2)):
        assert (other[0].array != one).any()
    assert model.sample(0) == []


def test_one_at_a_time_they_are_the_same(model: Model) -> None:
    together = model.sample(5)
    for one, drawn in zip(together, model.draw(range(5)), strict=True):
        np.testing.assert_array_equal(drawn.volume, one.array)
        assert (drawn.latent.shape, drawn.index) == (model.latent_shape, one.index)


def test_latents_are_whitened_means(model: Model, results: Path, voxels: Path) -> None:
    """Those that were stored, in float16."""
    whitening = Whitening.from_json(read_json(results / "latents/scale.json"))
    means = np.concatenate([mean for mean, _ in read_latents(results / "latents/val")]).astype(np.float32)
    for row, mean in zip(read_table(voxels / "val.csv"), means, strict=True):
        found = model.encode(voxgen.read(voxels / "val" / row["file"]))
        np.testing.assert_allclose(found, whitening.whiten(mean[None])[0], rtol=5e-3, atol=5e-3)


def test_reconstructions_are_decoded_latents_in_counts(model: Model, volume: np.ndarray) -> None:
    back = model.reconstruct(volume)
    np.testing.assert_array_equal(back.array, model.decode(model.encode(volume)).array)
    assert back.array.min() >= 0
    assert back.array.sum() == pytest.approx(volume.sum(), rel=0.5)
    assert np.corrcoef(back.array.ravel(), volume.ravel())[0, 1] > 0.1


def test_what_is_made_of_a_volume_lies_where_it_does(model: Model, volume: np.ndarray) -> None:
    given = voxgen.generation.volume.Volume(volume, (5000.0, 0.0, 0.0), (1.0, 2.0, 3.0), "um")
    mask = np.zeros(volume.shape, bool)
    for made in (model.reconstruct(given), *model.interpolate(given, volume, 2), model.inpaint(given, mask)):
        assert (made.origin, made.spacing, made.unit) == (given.origin, given.spacing, given.unit)
    assert model.reconstruct(volume).origin == model.grid.origin


def test_an_interpolation_goes_from_one_reconstruction_to_the_other(model: Model, volume: np.ndarray) -> None:
    other = model.sample(1)[0]
    steps = model.interpolate(volume, other, 3)
    np.testing.assert_array_equal(steps[0].array, model.reconstruct(volume).array)
    np.testing.assert_array_equal(steps[2].array, model.reconstruct(other).array)
    distances = [np.abs(steps[1].array - steps[end].array).max() for end in (0, 2)]
    assert min(distances) > 0
    with pytest.raises(InputError, match="interpolate: 1 steps, expected 2 or more"):
        model.interpolate(volume, other, 1)


def test_inpainting_draws_what_is_masked_and_keeps_the_rest(model: Model, volume: np.ndarray) -> None:
    mask = np.zeros(volume.shape, bool)
    mask[:4, 2:6] = True
    made = [model.inpaint(volume, mask, seed=seed).array for seed in (0, 0, 1)]
    np.testing.assert_array_equal(made[0], made[1])
    assert np.abs(made[0] - made[2])[mask].max() > 1e-3
    for array in made:
        np.testing.assert_array_equal(array[~mask], volume[~mask])
        assert np.abs(array - volume)[mask].max() > 1e-3
    np.testing.assert_array_equal(model.inpaint(volume, ~mask & mask).array, volume)


def test_a_masked_voxel_lets_go_of_its_latent_alone(model: Model, volume: np.ndarray) -> None:
    """Of the 2 x 2 x 8 voxels of a latent one is masked; the others are held at each step."""
    seen = {}

    def inpaint(known: np.ndarray, keep: np.ndarray, *_: object) -> np.ndarray:
        seen.update(known=known, keep=keep)
        return known

    mask = np.zeros(volume.shape, bool)
    mask[3, 0, 5] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model._prior, "inpaint", inpaint)
        model.inpaint(volume, mask)
    assert np.argwhere(~seen["keep"]).tolist() == [[1, 0, 0]]
    np.testing.assert_array_equal(seen["known"][0], model.encode(volume))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda model, volume: model.encode(volume[:4]), r"volume: shape \(4, 8, 8\), expected \(8, 8, 8\)"),
        (lambda model, volume: model.encode(volume - 1), r"volume: values -1 to .*, expected counts"),
        (lambda model, volume: model.points(np.nan * volume), "volume: values nan to nan, expected counts"),
        (
            lambda model, volume: model.decode(np.zeros((2, 4, 4))),
            r"latent: shape .*, expected \(2, 4, 4, 1\)",
        ),
        (lambda model, volume: model.inpaint(volume, volume[:4] > 9), r"mask: bool \(4, 8, 8\), expected"),
        (lambda model, volume: model.inpaint(volume, volume), r"mask: float32 .*, expected bool \(8, 8, 8\)"),
        (lambda model, volume: model.sample(1, stepps=3), "sampling: unknown key stepps; known here: steps"),
        (lambda model, volume: model.sample(1, samples=3), "sampling: unknown key samples"),
        (lambda model, volume: model.sample(1, steps=0), r"sampling\.steps: .*, found 0"),
        (lambda model, volume: model.sample(1, seed=-1), "seed and indices: -1, expected no number below 0"),
        (lambda model, volume: model.sample(1, condition={"label": "a"}), "is told nothing of its items"),
        (
            lambda model, volume: model.sample(1, guidance={"scale": 2.0, "interval": [0.0, 1.0]}),
            r"sampling\.guidance: the prior is told nothing",
        ),
        (lambda model, volume: model.sample(1, steps=2), r"sampling\.steps: 2, .*5"),
    ],
)
def test_what_cannot_be_is_refused(bad: object, message: str, model: Model, volume: np.ndarray) -> None:
    with pytest.raises(InputError, match=message):
        bad(model, volume)


def test_keys_that_came_after_a_model_are_not_missed(model: Model) -> None:
    recorded = model.config["sampling"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(model.config, "sampling", {"steps": 6})
        assert model.sampling() == {"steps": 6}
        assert model.sampling(steps=7, temperature=1.0) == {"steps": 7, "temperature": 1.0}
        with pytest.raises(InputError, match=r"sampling\.steps: .*, found 'many'"):
            model.sampling(steps="many")
    assert model.sampling() == recorded


def test_volumes_without_counts_have_no_clouds(results: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(results, tmp_path / "results", ignore=shutil.ignore_patterns("state"))
    config = read_json(folder / "samples/config.json")
    del config["clouds"]
    write_json(folder / "samples/config.json", config)
    model = voxgen.load(folder, device="cpu")
    with pytest.raises(InputError, match="points: volumes hold density; expected counts"):
        model.points(model.sample(1)[0])


def test_models_that_did_not_draw_the_samples_are_refused(results: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(results, tmp_path / "results", ignore=shutil.ignore_patterns("state"))
    shutil.rmtree(folder / "autoencoder")
    with pytest.raises(InputError, match=r"autoencoder: not there; if it was trained elsewhere .* make"):
        voxgen.load(folder)
    shutil.copytree(results / "prior", folder / "autoencoder")
    with pytest.raises(InputError, match=r"config\.json: made from autoencoder '\w+', found '\w+' beside it"):
        voxgen.load(folder)
    with pytest.raises(InputError, match="kind is 'prior', expected one of samples, model"):
        voxgen.load(folder / "prior")
    with pytest.raises(InputError, match=r"absent: no config\.json, no samples/config\.json"):
        voxgen.load(tmp_path / "absent")
    (folder / "autoencoder/model.safetensors").unlink()
    with pytest.raises(InputError, match=r"autoencoder: no model\.safetensors; copy the whole folder"):
        voxgen.load(folder)


def test_a_model_says_what_it_is(model: Model) -> None:
    assert repr(model) == "<voxgen model: kl + diffusion, 8x8x8 voxels of 100x100x50 nm>"
