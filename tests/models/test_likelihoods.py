"""Counts as counts: their deviance, their draws, and a first stage that decodes rates."""

import shutil
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

import voxgen
from conftest import GRID, model_stages
from fire import Fired, assert_same, before_call
from voxgen.batches.views import views
from voxgen.batches.volume_batches import VolumeBatches, Volumes
from voxgen.errors import InputError, StoppedError
from voxgen.evaluation.volume_streams import read_batches, rebuild, rebuild_as_drawn
from voxgen.io.files import read_json, read_table, write_table
from voxgen.io.shards import Shard
from voxgen.models.codec import load_autoencoder
from voxgen.models.first_stage.likelihoods import LARGEST, PoissonLikelihood, drawn_counts, poisson_deviance
from voxgen.models.first_stage.tiled import Tiled
from voxgen.models.kinds import build_first_stage
from voxgen.randomness import generator
from voxgen.settings.sections import Settings
from voxgen.sources.clouds.opening import open_clouds
from voxgen.sources.clouds.writing import Form, write_clouds
from voxgen.stages.draw_samples import draw_samples
from voxgen.stages.sample import sample
from voxgen.training.engine import Engine
from voxgen.volumes.grid import rasterize
from voxgen.volumes.intensity import IDENTITY, Intensity
from voxgen.volumes.nifti import read_volume

LAWS = [Intensity("linear", 7.0), Intensity("log1p", float(np.log1p(2))), Intensity("log1p", 0.3)]
RATES = np.array([0.0, 1e-4, 0.05, 0.7, 3.0, 40.0, 2000.0], np.float32)

either_law = pytest.mark.parametrize("law", LAWS, ids=str)


def shaped(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32)).reshape(1, 1, -1, 1, 1)


def test_the_deviance_is_twice_what_likelihood_the_best_rates_have_more() -> None:
    rng = np.random.default_rng(0)
    log_rate = rng.normal(0, 2, 500)
    counts = rng.poisson(np.exp(log_rate + rng.normal(0, 1, 500)))
    assert (counts == 0).sum() > 50
    best = np.where(counts == 0, 0.0, stats.poisson.logpmf(counts, np.maximum(counts, 1)))
    expected = 2 * np.mean(best - stats.poisson.logpmf(counts, np.exp(log_rate)))
    assert poisson_deviance(shaped(log_rate), shaped(counts)).item() == pytest.approx(expected, rel=1e-5)


def test_rates_that_are_the_counts_cost_nothing() -> None:
    counts = np.array([0, 1, 2, 17, 300])
    log_rate = np.array([-100, *np.log(counts[1:])])
    assert poisson_deviance(shaped(log_rate), shaped(counts)).item() == pytest.approx(0, abs=1e-4)
    assert poisson_deviance(shaped(log_rate + 0.1), shaped(counts)).item() > 0.1


def test_the_gradient_is_how_far_rates_are_from_counts() -> None:
    log_rate, counts = shaped(np.array([-60, -3, 0, 0, 4])).requires_grad_(), shaped([0, 0, 0, 5, 50])
    (gradient,) = torch.autograd.grad(poisson_deviance(log_rate, counts), log_rate)
    expected = 2 * (log_rate.exp() - counts) / 5
    torch.testing.assert_close(gradient, expected)


@either_law
def test_wild_log_rates_stay_finite(law: Intensity) -> None:
    wild = shaped([-1e30, 1e30, np.inf])
    assert torch.isfinite(poisson_deviance(wild, shaped([3, 0, 1])))
    x = PoissonLikelihood(law).expected(wild).numpy()
    largest = np.exp(LARGEST)
    np.testing.assert_allclose(law.from_network(x).ravel(), [0, largest, largest], rtol=1e-4)


@either_law
def test_all_counts_come_back_whole(law: Intensity) -> None:
    counts = np.arange(100_001)
    x = law.to_network(counts.astype(np.float32))
    np.testing.assert_array_equal(PoissonLikelihood(law).counts(torch.from_numpy(x)).numpy(), counts)


@either_law
def test_what_is_expected_is_the_rate_under_the_law(law: Intensity) -> None:
    log_rate = np.linspace(-12, 12, 200, dtype=np.float32)
    x = PoissonLikelihood(law).expected(shaped(log_rate)).numpy().ravel()
    np.testing.assert_allclose(x, law.to_network(np.exp(log_rate)), rtol=1e-5)


def test_draws_have_the_mean_and_the_variance_of_their_rate() -> None:
    rate_XYZ = np.broadcast_to(RATES[:, None, None], (len(RATES), 4, 4))
    draws = np.stack([drawn_counts(rate_XYZ, generator(0, "counts", i)) for i in range(1500)])
    drawn = draws.transpose(1, 0, 2, 3).reshape(len(RATES), -1).astype(np.float64)
    n = drawn.shape[1]
    assert np.array_equal(drawn, np.rint(drawn))
    assert drawn.min() == 0
    np.testing.assert_array_less(
        np.abs(drawn.mean(1) - RATES),
        1e-12 + 5 * np.sqrt(RATES / n),
        err_msg="means off by 5 standard errors",
    )
    of_variance = np.sqrt(
        (RATES + 2 * RATES.astype(np.float64) ** 2) / n
    )  # 4th central moment less variance^2
    np.testing.assert_array_less(np.abs(drawn.var(1) - RATES), 1e-12 + 5 * of_variance)
    together = np.corrcoef(drawn[2:].reshape(5, -1))
    assert np.abs(together[~np.eye(5, dtype=bool)]).max() < 5 / np.sqrt(n)


def test_draws_are_those_of_their_address_and_do_not_follow_rounding() -> None:
    rate_XYZ = np.random.default_rng(0).gamma(0.3, 3.0, (24, 24, 24)).astype(np.float32)
    counts = drawn_counts(rate_XYZ, generator(0, "counts", 5))
    np.testing.assert_array_equal(drawn_counts(rate_XYZ, generator(0, "counts", 5)), counts)
    assert (drawn_counts(rate_XYZ, generator(0, "counts", 6)) != counts).mean() > 0.1
    nearly = rate_XYZ * np.float32(1 + 1e-4)  # where one number decides a voxel alone, few of them notice
    assert (drawn_counts(nearly, generator(0, "counts", 5)) != counts).mean() < 1e-3


def test_a_uniform_number_of_zero_is_no_count() -> None:
    class Zeros(np.random.Generator):
        def random(self, size: object = None, *_: object, **__: object) -> np.ndarray:  # type: ignore[override]
            return np.zeros(size)  # type: ignore[call-overload]

    rng = Zeros(np.random.Philox(0))
    np.testing.assert_array_equal(drawn_counts(RATES[:, None, None], rng)[:4].ravel(), 0)


def test_volumes_that_are_no_counts_are_refused(counting: Settings) -> None:
    stage = build_first_stage(counting.autoencoder.model_dump(mode="json"), GRID.shape)
    with pytest.raises(
        InputError, match=r"likelihood poisson .* law identity, expected that of counts .*likelihood: null"
    ):
        stage.under(IDENTITY).objective()


@pytest.fixture(scope="module")
def counting(settings: Settings) -> Settings:
    """Settings of a first stage that decodes log rates, with the rates kept."""
    kl = settings.autoencoder.kl.model_copy(update={"likelihood": "poisson", "equivariance": None})
    autoencoder = settings.autoencoder.model_copy(update={"kl": kl})
    sampling = settings.sampling.model_copy(update={"rates": True})
    return settings.model_copy(update={"autoencoder": autoencoder, "sampling": sampling})


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory, voxels: Path, counting: Settings) -> Path:
    """What the model stages make with it."""
    return model_stages(tmp_path_factory.mktemp("counted"), voxels, counting)


def drawn_again(counted: Path, out: Path, settings: Settings, **paths: Path) -> Path:
    """The samples in one shard, one at a time."""
    given = {"autoencoder": counted / "autoencoder", "prior": counted / "prior", **paths}
    draw_samples(
        **given,
        scale=given["prior"].parent / "latents/scale.json",
        grid=counted / "grid.json",
        out=out,
        shard=Shard(0, 1),
        settings=settings.sampling,
        seed=settings.seed,
        machine=settings.machine.model_copy(update={"batch": 1}),
    )
    return out


def files(folder: Path) -> Mapping[str, np.ndarray]:
    return {path.name: read_volume(path) for path in sorted(folder.glob("*.nii.gz"))}


def test_training_lowers_the_deviance_of_the_stored_counts(
    counted: Path, voxels: Path, counting: Settings
) -> None:
    history = read_table(counted / "autoencoder/history.csv")
    first, last = (float(history[i]["val_deviance"]) for i in (0, -1))
    assert last < 0.8 * first
    assert "val_l1" not in history[0]
    model = load_autoencoder(counted / "autoencoder", counting.machine)
    shown = Volumes(voxels / "val.csv", voxels / "val", model.intensity, 1.0)
    x = np.stack([shown[i] for i in range(len(shown))])
    rate, counts = (model.intensity.from_network(each) for each in (model.reconstruct(x), x))
    best = np.where(counts == 0, 0.0, stats.poisson.logpmf(counts.round(), np.maximum(counts.round(), 1)))
    deviance = 2 * np.mean(best - stats.poisson.logpmf(counts.round(), rate))
    assert deviance == pytest.approx(last, rel=0.05)  # of means here, of posterior draws there


def test_the_objective_sees_whole_counts_in_every_view(voxels: Path, counting: Settings) -> None:
    law = Intensity.from_json(read_json(voxels / "intensity.json"))
    stage = build_first_stage(counting.autoencoder.model_dump(mode="json"), GRID.shape).under(law)
    volumes = Volumes(voxels / "train.csv", voxels / "train", law, 1.0)
    batches = VolumeBatches(volumes, stage.objective(), views(("x", "y", "z"), ("xy",)), None, 0, "train")
    counts = PoissonLikelihood(law).counts(batches.batch(np.arange(len(volumes)), 3)["volume"])
    for seen, name in zip(counts.numpy(), volumes.ids, strict=True):
        stored = read_volume(voxels / "train" / f"{name}.nii.gz")
        np.testing.assert_array_equal(np.sort(seen, axis=None), np.sort(stored, axis=None))


def test_the_folder_alone_says_that_counts_are_drawn(
    counted: Path, results: Path, tmp_path: Path, counting: Settings
) -> None:
    assert read_json(counted / "autoencoder/config.json")["settings"]["kl"]["likelihood"] == "poisson"
    there = load_autoencoder(shutil.copytree(counted / "autoencoder", tmp_path / "copy"), counting.machine)
    other = load_autoencoder(results / "autoencoder", counting.machine)
    assert (there.draws_counts, other.draws_counts) == (True, False)
    rate = np.full((3, 3, 3), 1.5, np.float32)
    np.testing.assert_array_equal(other.drawn(rate, np.random.default_rng(0)), rate)
    assert set(np.unique(there.drawn(rate, np.random.default_rng(0)))) > {0, 1, 2}


def test_samples_are_draws_of_their_rates_in_any_shard_and_batch(
    counted: Path, tmp_path: Path, counting: Settings
) -> None:
    shards = sorted((counted / "sample_shards").iterdir())
    volumes = {name: volume for shard in shards for name, volume in files(shard).items()}
    rates = {name: rate for shard in shards for name, rate in files(shard / "rates").items()}
    assert volumes.keys() == rates.keys()
    assert len(volumes) == counting.sampling.samples
    for number, (name, volume) in enumerate(volumes.items()):
        expected = drawn_counts(rates[name], generator(counting.seed, "counts", number))
        np.testing.assert_array_equal(volume, expected)
    again = drawn_again(counted, tmp_path / "again", counting)
    for name, volume in files(again).items():
        np.testing.assert_allclose(read_volume(again / "rates" / name), rates[name], rtol=1e-3, atol=1e-5)
        assert (volume != volumes[name]).sum() <= 1
    rows = read_table(again / "manifest.csv")
    assert [float(row["sum"]) for row in rows] == [volume.sum() for volume in files(again).values()]
    fewer = counting.model_copy(
        update={"sampling": counting.sampling.model_copy(update={"rates": False, "samples": 2})}
    )
    few = drawn_again(counted, tmp_path / "few", fewer)
    assert not (few / "rates").exists()
    assert {path.name for path in few.iterdir()} == {*list(volumes)[:2], "manifest.csv", "config.json"}


def test_a_loaded_model_draws_the_same_counts_and_points(counted: Path, counting: Settings) -> None:
    model = voxgen.load(counted, device="cpu", precision="fp32", batch=2)
    volumes = list(files(counted / "samples").values())[:2]
    with open_clouds([counted / "samples/samples.h5"], counting.data.clouds) as clouds:
        points = [cloud.points for cloud in clouds.read(0, 2)]
    for drawn, volume, cloud in zip(model.sample(2, counting.seed), volumes, points, strict=True):
        np.testing.assert_array_equal(drawn.array, volume)
        np.testing.assert_array_equal(model.points(drawn), cloud)
        rates = model.reconstruct(drawn).array
        assert not np.array_equal(rates, np.rint(rates))
    inpainted = model.inpaint(drawn, np.arange(8)[:, None, None] < np.full(GRID.shape, 4)).array
    assert np.array_equal(inpainted, np.rint(inpainted))


def test_rates_lie_beside_the_gathered_samples(counted: Path) -> None:
    gathered = counted / "samples"
    assert files(gathered / "rates").keys() == files(gathered).keys()
    assert all(np.array_equal(volume, np.rint(volume)) for volume in files(gathered).values())
    assert not all(np.array_equal(rate, np.rint(rate)) for rate in files(gathered / "rates").values())


def test_a_cloud_of_drawn_counts_has_their_volume(counted: Path, tmp_path: Path, counting: Settings) -> None:
    form = Form("stacked", "point_clouds", "nm", np.dtype(np.float64))
    raw = [tmp_path / f"raw_{points}.h5" for points in (40, 30)]  # of different sizes: as many as counts
    for path, points in zip(raw, (40, 30), strict=True):
        write_clouds(path, np.ones((4, points, 3)), form)
    train = (tmp_path / "none.csv", tmp_path)
    write_table(train[0], [], ["id"])
    shards = sorted((counted / "sample_shards").iterdir())
    sample(shards, raw, counted / "grid.json", train, tmp_path / "out", counting.data.clouds)
    rows = [row for row in read_table(tmp_path / "out/samples.csv") if row["points"] != "0"]
    with open_clouds([tmp_path / "out/samples.h5"], counting.data.clouds) as clouds:
        for row, cloud in zip(rows, clouds.read(0, len(clouds)), strict=True):
            volume = read_volume(tmp_path / "out" / f"{row['id']}.nii.gz")
            again, outside = rasterize(cloud.points, GRID)
            assert outside == 0
            np.testing.assert_array_equal(again, volume)


def test_rebuilt_volumes_are_drawn_as_samples_are(
    counted: Path, results: Path, voxels: Path, counting: Settings
) -> None:
    ids = [row["id"] for row in read_table(voxels / "train.csv")]

    def both(folder: Path) -> tuple[np.ndarray, np.ndarray]:
        model = load_autoencoder(folder / "autoencoder", counting.machine)
        batches = list(read_batches(ids, voxels / "train", GRID.shape, 4))
        mean, drawn = rebuild(model, batches), rebuild_as_drawn(model, batches, 0)
        return tuple(np.concatenate([volumes for _, volumes in each]) for each in (mean, drawn))  # type: ignore[return-value]

    np.testing.assert_array_equal(*both(results))
    rate, counts = both(counted)
    assert np.array_equal(counts, np.rint(counts))
    assert abs(counts.sum() - rate.sum()) < 5 * np.sqrt(rate.sum())


def test_rates_are_refused_where_volumes_are_decoded(
    counted: Path, results: Path, tmp_path: Path, counting: Settings
) -> None:
    with pytest.raises(InputError, match=r"decodes volumes, not rates .* sampling\.rates .*poisson"):
        drawn_again(
            counted,
            tmp_path / "out",
            counting,
            autoencoder=results / "autoencoder",
            prior=results / "prior",
        )
    assert not (tmp_path / "out").exists()


def test_tiles_blend_rates(counting: Settings) -> None:
    """What lies between tiles is a mean of what they show under the law."""
    law = Intensity("log1p", 1.0)
    settings = counting.autoencoder.model_dump(mode="json") | {"patch": (8, 8, 8)}
    torch.manual_seed(0)
    stage = build_first_stage(settings, (16, 8, 8)).under(law)
    z = torch.randn(
        1, stage.latent_channels, *(n // f for n, f in zip((16, 8, 8), stage.factors, strict=True))
    )
    with torch.no_grad():
        whole = Tiled(stage, (8, 8, 8)).decode(z)
        along = 8 // stage.factors[0]
        ends = torch.cat([stage.decode(z[:, :, :along]), stage.decode(z[:, :, along:])], 2)
    assert whole.min() > 0
    torch.testing.assert_close(whole[:, :, [0, 15]], ends[:, :, [0, 15]], rtol=0.2, atol=0.02)


def test_stopped_and_called_again_it_ends_in_the_same_weights(
    counted: Path, voxels: Path, tmp_path: Path, counting: Settings
) -> None:
    whole = Fired("autoencoder", voxels, counted, tmp_path / "whole", counting)
    whole.train()
    stopped = replace(whole, folder=tmp_path / "stopped")
    with pytest.MonkeyPatch.context() as patch:
        before_call(3, Engine, "train_step", lambda: signal.raise_signal(signal.SIGTERM), patch.setattr)
        with pytest.raises(StoppedError):
            stopped.train()
    assert not stopped.model.exists()
    stopped.train()
    assert_same(stopped, whole)
