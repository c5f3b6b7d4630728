"""The autoencoder: its loss, what its voxels depend on, and its folder."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from voxgen.batches.volume_batches import Volumes
from voxgen.errors import InputError
from voxgen.io.files import read_json, write_json
from voxgen.models.codec import Autoencoder, Codec, load_autoencoder
from voxgen.models.first_stage.kl import KLAutoencoder, KLObjective
from voxgen.models.first_stage.networks import AutoencoderKL
from voxgen.models.folder import weights_digest
from voxgen.models.kinds import build_first_stage
from voxgen.models.levels import Level
from voxgen.models.objective import Address
from voxgen.models.whitening import Whitening
from voxgen.settings.autoencoder import AutoencoderSettings
from voxgen.settings.base import WHOLE
from voxgen.settings.sections import Settings
from voxgen.stages.encode_latents import encode_latents
from voxgen.volumes.grid import Grid
from voxgen.volumes.intensity import Intensity


class Stub(nn.Module):
    """Encodes to given posteriors; decodes a latent to its double."""

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.posterior = mean, std

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.posterior

    def decode(self, z: Tensor) -> Tensor:
        return 2 * z


def objective(network: nn.Module, foreground: float, kl: float) -> KLObjective:
    """The loss of a network, with these weights."""
    losses = {"l1": {"weight": 1.0, "foreground": foreground}, "kl": {"weight": kl}}
    section = {"channels": [4], "attention_levels": [False], "latent_channels": 1}
    section |= {"stem": [1, 1, 1], "res_blocks": 1, "norm_groups": 2}
    stage = KLAutoencoder({"network": section, "losses": losses}, (5, 1, 1))
    return KLObjective(stage.with_network(network))


def shaped(*values: float) -> Tensor:
    return torch.tensor(values).reshape(1, 1, len(values), 1, 1)


@pytest.fixture
def autoencoder(results: Path, settings: Settings) -> Autoencoder:
    return load_autoencoder(results / "autoencoder", settings.machine)


@pytest.fixture
def volumes(voxels: Path, autoencoder: Autoencoder) -> np.ndarray:
    stored = Volumes(voxels / "train.csv", voxels / "train", autoencoder.intensity, cache_gb=1.0)
    return np.stack([stored[i] for i in range(len(stored))])


class Unnormalized(nn.Identity):
    """Stands in for a normalisation."""

    def activated(self, x_BCXYZ: Tensor) -> Tensor:
        return nn.functional.silu(x_BCXYZ)


def network(levels: int) -> nn.Module:
    """A network without normalisation, so that voxels meet through convolutions alone."""
    torch.manual_seed(0)
    built: nn.Module = AutoencoderKL([Level(4, 1, attends=False)] * levels, 2, norm_groups=2).eval()
    for module in list(built.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.GroupNorm):
                setattr(module, name, Unnormalized())
    return built


def test_loss_by_hand() -> None:
    x = shaped(-0.5, 0.0, 0.25, 1.0, 4.0)
    mean, std = shaped(0.0, 0.1, -0.2, 0.6, 1.5), shaped(1.0, 0.5, 2.0, 1.0, 0.1)
    noise = shaped(1.0, -1.0, 0.5, 0.0, 2.0)
    figures = objective(Stub(mean, std), 3.0, 0.5)({"volume": x, "noise": noise})
    # decoded 2 (mean + std noise):  2.0, -0.8, 1.6, 1.2, 3.4
    # |decoded - x|:                 2.5,  0.8, 1.35, 0.2, 0.6
    # weights 1 + 2 clip(x, 0, 1):   1,    1,   1.5,  3,   3
    l1 = (2.5 + 0.8 + 1.5 * 1.35 + 3 * 0.2 + 3 * 0.6) / 5
    kl = sum(
        0.5 * (m**2 + s**2 - 1 - np.log(s**2))
        for m, s in [(0.0, 1.0), (0.1, 0.5), (-0.2, 2.0), (0.6, 1.0), (1.5, 0.1)]
    )
    assert figures["l1"].item() == pytest.approx(l1, rel=1e-6)
    assert figures["kl"].item() == pytest.approx(kl / 5, rel=1e-6)
    assert figures["loss"].item() == pytest.approx(l1 + 0.5 * kl / 5, rel=1e-6)


def test_a_standard_normal_posterior_costs_nothing() -> None:
    zero, one = torch.zeros(2, 1, 2, 2, 2), torch.ones(2, 1, 2, 2, 2)
    figures = objective(Stub(zero, one), 1.0, 1.0)({"volume": zero, "noise": zero})
    assert {name: value.item() for name, value in figures.items()} == {"loss": 0, "l1": 0, "kl": 0}


def test_a_folder_of_before_there_were_stems_has_none(settings: Settings) -> None:
    section = settings.autoencoder.kl.model_dump(mode="json")
    section["network"]["stem"] = [1, 1, 1]
    stems = KLAutoencoder(section, (8, 8, 8)).network.state_dict()
    del section["network"]["stem"]
    KLAutoencoder(section, (8, 8, 8)).network.load_state_dict(stems, strict=True)


def test_a_folder_of_before_there_were_factors_halves(settings: Settings) -> None:
    section = settings.autoencoder.kl.model_dump(mode="json")
    section["network"]["stem"] = [1, 1, 1]
    before = KLAutoencoder(section, (8, 8, 8))
    section["network"]["factors"] = None
    halved = KLAutoencoder(section, (8, 8, 8))
    before.network.load_state_dict(halved.network.state_dict(), strict=True)
    assert before.factors == halved.factors == (2, 2, 2)


@pytest.mark.parametrize(
    ("stem", "factors", "shape", "in_all"),
    [
        ([2, 2, 1], [4], (16, 8, 12), (8, 8, 4)),
        ([1, 1, 8], [[4, 2, 1]], (8, 8, 8), (4, 2, 8)),
        ([1, 1, 1], [[3, 5, 8]], (6, 10, 8), (3, 5, 8)),
    ],
)
def test_factors_are_what_the_settings_and_the_latent_say(
    settings: Settings, stem: list[int], factors: list[Any], shape: tuple[int, ...], in_all: tuple[int, ...]
) -> None:
    section = json.loads(settings.autoencoder.model_dump_json(context=WHOLE))
    section["kl"]["network"] |= {"stem": stem, "factors": factors}
    chosen = AutoencoderSettings.model_validate_json(json.dumps(section))
    stage, x = build_first_stage(chosen.model_dump(mode="json"), shape), torch.rand(1, 1, *shape)
    assert stage.factors == chosen.factors(shape) == in_all
    mean, _ = stage.encode(x)
    assert mean.shape[2:] == tuple(size // factor for size, factor in zip(shape, in_all, strict=True))
    assert stage.decode(mean).shape == x.shape
    draws = stage.objective().draws(shape, Address(0, "train", 0, 0))
    assert draws["noise"].shape == mean.shape[1:]


def test_new_posteriors_are_narrow_beside_their_means(settings: Settings) -> None:
    """So that the decoder is told something from the first step on."""
    torch.manual_seed(0)
    stage = build_first_stage(settings.autoencoder.model_dump(mode="json"), (8, 8, 8))
    with torch.no_grad():
        mean, std = stage.encode(torch.rand(4, 1, 8, 8, 8))
    assert std is not None
    assert std.mean() < 0.5 * mean.std()


@pytest.mark.parametrize("levels", [2, 3])
def test_every_input_voxel_reaches_the_latent(levels: int) -> None:
    x = torch.rand(1, 1, 16, 16, 16, generator=torch.manual_seed(1)).requires_grad_()
    mean, _ = network(levels).encode(x)  # type: ignore[operator]
    assert mean.shape == (1, 2, *(16 // 2 ** (levels - 1),) * 3)
    (gradient,) = torch.autograd.grad((mean * torch.randn_like(mean)).sum(), x)
    assert gradient.abs().min() > 0


@pytest.mark.parametrize("levels", [2, 3])
def test_every_output_voxel_depends_on_the_latent(levels: int) -> None:
    size = 16 // 2 ** (levels - 1)
    model, z = network(levels).double(), torch.randn(1, 2, size, size, size).double()
    with torch.no_grad():
        change = model.decode(z + 0.1 * torch.randn_like(z)) - model.decode(z)
    assert change.shape == (1, 1, 16, 16, 16)
    assert change.abs().min() > 0


def test_the_folder_builds_itself(
    results: Path, tmp_path: Path, settings: Settings, grid: Grid, volumes: np.ndarray
) -> None:
    """A copy elsewhere, without the workflow's files, gives the same volumes."""
    here = load_autoencoder(results / "autoencoder", settings.machine)
    there = load_autoencoder(shutil.copytree(results / "autoencoder", tmp_path / "copy"), settings.machine)
    assert there.grid == grid
    assert there.intensity == Intensity("log1p", float(np.log1p(2)))
    assert there.digest == weights_digest(results / "autoencoder")
    np.testing.assert_array_equal(there.reconstruct(volumes), here.reconstruct(volumes))


def test_what_a_codec_gives(autoencoder: Autoencoder, volumes: np.ndarray) -> None:
    mean, std = autoencoder.encode(volumes)
    assert mean.shape == std.shape == (6, 2, 4, 4, 1)
    assert std.min() > 0
    reconstruction = autoencoder.reconstruct(volumes)
    assert reconstruction.shape == volumes.shape
    assert {array.dtype for array in (mean, std, reconstruction)} == {np.dtype(np.float32)}
    with torch.no_grad():
        mean_again, std_again = autoencoder._stage.network.encode(torch.from_numpy(volumes)[:, None])
        decoded = autoencoder._stage.network.decode(mean_again)[:, 0]
    np.testing.assert_allclose(mean, mean_again, atol=1e-5)
    np.testing.assert_allclose(std, std_again, atol=1e-5)
    np.testing.assert_allclose(reconstruction, decoded, atol=1e-5)


def test_features_are_moments_of_the_last_hidden_channels(
    autoencoder: Autoencoder, volumes: np.ndarray
) -> None:
    seen: list[Tensor] = []
    last = autoencoder._stage.network.encoder.blocks[-1]
    handle = last.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    autoencoder.encode(volumes)
    handle.remove()
    hidden = seen[0].numpy()
    features = autoencoder.features(volumes)
    assert features.shape == (6, 2 * hidden.shape[1])
    expected = np.concatenate([hidden.mean((2, 3, 4)), hidden.std((2, 3, 4))], 1)
    np.testing.assert_allclose(features, expected, atol=1e-5)
    assert features.std(0).max() > 1e-3


def test_the_codec_whitens_and_takes_it_back(autoencoder: Autoencoder, volumes: np.ndarray) -> None:
    codec = Codec(autoencoder, Whitening((3.0, -1.0), (0.2, 5.0), "draw"))
    whitened = codec.encode(volumes)
    mean, _ = autoencoder.encode(volumes)
    np.testing.assert_allclose(whitened[:, 1], (mean[:, 1] + 1) / 5, atol=1e-6)
    np.testing.assert_allclose(codec.decode(whitened), autoencoder.reconstruct(volumes), atol=1e-5)


def test_the_batch_size_does_not_matter(autoencoder: Autoencoder, volumes: np.ndarray) -> None:
    mean, std = autoencoder.encode(volumes)
    decoded = autoencoder.decode(mean)
    for i in range(len(volumes)):
        alone_mean, alone_std = autoencoder.encode(volumes[i : i + 1])
        np.testing.assert_allclose(alone_mean[0], mean[i], atol=1e-4 * np.ptp(mean))
        np.testing.assert_allclose(alone_std[0], std[i], atol=1e-4 * np.ptp(std))
        np.testing.assert_allclose(autoencoder.decode(alone_mean)[0], decoded[i], atol=1e-4 * np.ptp(decoded))


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json"])
def test_a_folder_without_a_model_is_refused(
    results: Path, tmp_path: Path, settings: Settings, missing: str
) -> None:
    folder = shutil.copytree(results / "autoencoder", tmp_path / "copy")
    (folder / missing).unlink()
    with pytest.raises(
        InputError, match=rf"{folder}: no {missing}; expected the folder of a trained autoenc"
    ):
        load_autoencoder(folder, settings.machine)


def test_a_model_of_another_kind_is_refused(results: Path, settings: Settings) -> None:
    with pytest.raises(InputError, match="kind is 'prior', expected 'autoencoder'"):
        load_autoencoder(results / "prior", settings.machine)


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("grid", "shape", [8, 8, 16]),
        ("grid", "spacing", [100.0, 100.0, 100.0]),
        ("grid", "unit", "um"),
        ("grid", "method", "gaussian"),
        ("grid", "sigma", 2.0),
        ("grid", "placement", "cloud"),
        ("intensity", "law", "linear"),
    ],
)
def test_encoding_refuses_another_contract_by_its_key(
    results: Path, voxels: Path, tmp_path: Path, settings: Settings, file: str, key: str, value: Any
) -> None:
    described = {name: voxels / f"{name}.json" for name in ("grid", "intensity")}
    found = read_json(described[file])
    described[file] = tmp_path / f"{file}.json"
    write_json(described[file], found | {key: value})
    message = rf"made for {key} .*, found {json.dumps(value)}"
    split = (voxels / "val.csv", voxels / "val")
    with pytest.raises(InputError, match=message.replace('"', "'").replace("[", r"\[")):
        encode_latents(
            *("val", split, *described.values(), results / "autoencoder", tmp_path / "out", (), ()),
            settings.machine,
        )
    assert not (tmp_path / "out").exists()
