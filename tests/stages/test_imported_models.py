"""Checkpoints as trainers leave them, imported by the command, then in the place of trained models."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from monais import generative_autoencoder, generative_denoiser
from voxgen.cli.main import main
from voxgen.errors import InputError
from voxgen.io.files import read_json, write_json
from voxgen.io.latent_shards import read_latents
from voxgen.io.shards import Shard
from voxgen.models.folder import weights_digest
from voxgen.models.trained_prior import load_prior
from voxgen.settings.sections import Settings
from voxgen.stages.draw_samples import draw_samples
from voxgen.stages.encode_latents import encode_latents
from voxgen.stages.scale_factor import scale_factor
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.nifti import read_volume

NETWORK = {
    "channels": [4, 8],
    "res_blocks": 1,
    "attention_levels": [False, True],
    "norm_groups": 4,
    "latent_channels": 2,
    "head_channels": 4,
}
TOLD = ["head_channels=4", "norm_groups=4", "process=ddpm", "steps=1000", "prediction_type=epsilon"]
SCHEDULE = ["schedule=scaled_linear_beta", "beta_start=0.0015", "beta_end=0.0195"]


def randomised(network: nn.Module) -> nn.Module:
    """The network with other weights, none of which is zero."""
    draws = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=draws)
    return network.eval()


def store(path: Path, key: str, network: nn.Module) -> None:
    """What a trainer in several processes stores, with its optimiser."""
    optimiser = torch.optim.Adam(network.parameters())
    weights = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"epoch": 41, key: weights, "optimizer_state_dict": optimiser.state_dict()}, path)


@pytest.fixture(scope="module")
def old() -> nn.Module:
    """The autoencoder of old."""
    return randomised(generative_autoencoder(NETWORK))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, voxels: Path, old: nn.Module) -> Path:
    """A folder with checkpoints, and with autoencoder/ and prior/ that were imported from them."""
    folder = tmp_path_factory.mktemp("imported")
    store(folder / "ae.pt", "autoencoder_state_dict", old)
    store(folder / "unet.pt", "unet_state_dict", randomised(generative_denoiser(NETWORK, 2)))
    told = ["norm_groups=4", f"voxels={voxels}"]
    assert main(["import-checkpoint", str(folder / "ae.pt"), str(folder / "autoencoder"), *told]) == 0
    told = [*TOLD, *SCHEDULE, "scale_factor=0.5", f"autoencoder={folder / 'autoencoder'}"]
    assert main(["import-checkpoint", str(folder / "unet.pt"), str(folder / "prior"), *told]) == 0
    return folder


@pytest.fixture(scope="module")
def latents(folder: Path, voxels: Path, settings: Settings) -> Path:
    """The train split, encoded."""
    described = voxels / "grid.json", voxels / "intensity.json", folder / "autoencoder"
    train = voxels / "train.csv", voxels / "train"
    encode_latents("train", train, *described, folder / "latents", ("x",), (), settings.machine)
    return folder / "latents"


def test_an_import_says_where_it_is_from(folder: Path, voxels: Path) -> None:
    autoencoder, prior = (read_json(folder / name / "config.json") for name in ("autoencoder", "prior"))
    for config in (autoencoder, prior):
        assert (config["epoch"], config["seed"]) == (41, None)
        assert config["grid"] == read_json(voxels / "grid.json")
        assert len(config["made_from"]["checkpoint"]) == 16
    assert prior["made_from"]["autoencoder"] == weights_digest(folder / "autoencoder")


def test_samples_are_those_of_the_old_networks(
    old: nn.Module, folder: Path, latents: Path, voxels: Path, settings: Settings
) -> None:
    """In the scale of the prior, decoded by the old decoder."""
    scale, prior = folder / "scale.json", folder / "prior"
    scale_factor(latents, scale, "mean", prior)
    assert read_json(scale) == read_json(prior / "config.json")["scale"]
    draw_samples(
        *(folder / "autoencoder", prior, scale, voxels / "grid.json", folder / "samples"),
        *(Shard(0, 1), settings.sampling, settings.seed, settings.machine),
    )
    found = [read_volume(path) for path in sorted((folder / "samples").glob("*.nii.gz"))]
    assert len(found) == settings.sampling.samples
    whitened = load_prior(prior, settings.machine).sample(
        range(2), settings.seed, settings.sampling.model_dump()
    )
    with torch.no_grad():
        decoded = old.decode(torch.from_numpy(whitened) / 0.5)[:, 0].numpy()
    law = Intensity.from_json(read_json(voxels / "intensity.json"))
    for volume, expected in zip(found, law.from_network(decoded), strict=False):
        assert expected.max() > 0
        np.testing.assert_allclose(volume, expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_latents_are_those_of_the_old_encoder(old: nn.Module, latents: Path, voxels: Path) -> None:
    law = Intensity.from_json(read_json(voxels / "intensity.json"))
    volumes = [read_volume(path) for path in sorted((voxels / "train").glob("*.nii.gz"))]
    with torch.no_grad():
        x_BCXYZ = torch.from_numpy(law.to_network(np.stack(volumes)))[:, None]
        expected = old.encode(x_BCXYZ)
    found = next(iter(read_latents(latents)))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-2, atol=1e-3 * float(theirs.abs().max()))


def test_the_width_of_latents_in_a_priors_scale_is_told(
    folder: Path, latents: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    measured = tmp_path / "scale.json"
    scale_factor(latents, measured, "draw")
    config = read_json(folder / "prior" / "config.json")
    for factor, level in ((1.0, "INFO"), (3.0, "WARNING")):
        scale = {**read_json(measured), "std": [std / factor for std in read_json(measured)["std"]]}
        write_json(tmp_path / "prior" / "config.json", {**config, "scale": scale})
        (tmp_path / "prior" / "model.safetensors").touch()
        with caplog.at_level("INFO", logger="voxgen.stages.scale_factor"):
            scale_factor(latents, tmp_path / "taken.json", "draw", tmp_path / "prior")
        (record,) = caplog.records
        assert record.levelname == level
        assert f"a standard deviation of {factor:.3g}" in record.getMessage()
        assert read_json(tmp_path / "taken.json") == scale
        caplog.clear()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"made_from": {"autoencoder": "another"}}, "prior: made for autoencoder 'another', found "),
        (
            {"latent_shape": [2, 4, 4, 8]},
            r"prior: made for latent_shape \[2, 4, 4, 8\], found \[2, 4, 4, 4\]",
        ),
        ({"kind": "autoencoder"}, "kind is 'autoencoder', expected 'prior'"),
    ],
)
def test_a_prior_of_other_latents_is_refused_before_it_draws(
    change: dict[str, object], message: str, folder: Path, latents: Path, tmp_path: Path
) -> None:
    config = read_json(folder / "prior" / "config.json")
    write_json(tmp_path / "prior" / "config.json", {**config, **change})
    (tmp_path / "prior" / "model.safetensors").touch()
    with pytest.raises(InputError, match=message):
        scale_factor(latents, tmp_path / "scale.json", "draw", tmp_path / "prior")
    assert not (tmp_path / "scale.json").exists()


def test_an_import_overwrites_no_model(
    folder: Path, voxels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = weights_digest(folder / "prior")
    assert main(["import-checkpoint", str(folder / "ae.pt"), str(folder / "prior")]) == 1
    assert "prior: holds config.json already; name another folder" in capsys.readouterr().err
    assert weights_digest(folder / "prior") == before


def test_the_command_says_what_it_found_and_took_for_granted(
    folder: Path, voxels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    told = ["norm_groups=4", f"voxels={voxels}"]
    assert main(["import-checkpoint", str(folder / "ae.pt"), str(out), *told]) == 0
    said = capsys.readouterr().out
    assert "ae.pt, autoencoder_state_dict: AutoencoderKL, " in said
    assert "channels: [4, 8]" in said
    assert "left out: 8 tensors proj_attn, which monai-generative never applies" in said
    assert "norm_eps 1e-6" in said
    assert said.endswith(f"autoencoder:\n  source: {out}\n")
    assert main(["import-checkpoint", str(folder / "ae.pt")]) == 1
    assert "1 paths, expected two" in capsys.readouterr().err
    assert main(["import-checkpoint", str(folder / "ae.pt"), str(tmp_path / "other")]) == 1
    assert "ae.pt: AutoencoderKL: the weights do not tell" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
