"""Weights of MONAI and of monai-generative: the outputs that they had, or a refusal that helps."""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.networks.schedulers import DDPMScheduler
from monai.networks.schedulers.rectified_flow import RFlowScheduler
from safetensors.torch import save_file
from torch import Tensor, nn

from monais import (
    generative_autoencoder,
    generative_denoiser,
    monai_autoencoder,
    monai_denoiser,
)
from voxgen.errors import InputError
from voxgen.io.files import write_json
from voxgen.models.folder import CONFIG, WEIGHTS
from voxgen.models.foreign.answers import Answers
from voxgen.models.foreign.checkpoint_file import read_checkpoint
from voxgen.models.foreign.imported_model import ImportedModel
from voxgen.models.foreign.known_networks import choose_part, import_network, recognised
from voxgen.models.foreign.parameter_names import in_our_names
from voxgen.models.kinds import build_first_stage, build_prior
from voxgen.models.prior.processes import build_process

Network = dict[str, Any]
SCHEDULE = {"schedule": "scaled_linear_beta", "beta_start": 0.0015, "beta_end": 0.0195}
SHAPE, LATENTS = (8, 16, 8), 3
VOLUMES = {
    "shape": SHAPE,
    "spacing": [100.0, 100.0, 50.0],
    "unit": "nm",
    "method": "density",
    "placement": "fixed",
    "law": "log1p",
    "divisor": 2.5,
}
PROCESS = {"process": "ddpm", "prediction_type": "epsilon", "steps": 1000, **SCHEDULE, "scale_factor": 2.0}


def network(res_blocks: int, *attention_levels: bool) -> Network:
    """A network whose widths change in both directions."""
    return {
        "channels": [8, 16, 12][: len(attention_levels)],
        "res_blocks": res_blocks,
        "attention_levels": list(attention_levels),
        "norm_groups": 4,
        "latent_channels": LATENTS,
        "head_channels": 4,
    }


NETWORKS = {
    "no attention": network(1, False, False),
    "attention at the last level": network(2, False, True),
    "attention at three levels": network(1, True, True, True),
    "attention but at the last level": network(2, True, False),
    "three levels of two blocks": network(2, False, False, True),
    "one level": network(1, True),
}
PACKAGES: dict[str, tuple[Callable[..., nn.Module], Callable[..., nn.Module], dict[str, Any]]] = {
    "monai-generative": (generative_autoencoder, generative_denoiser, {}),
    "MONAI": (monai_autoencoder, monai_denoiser, {}),
    "MONAI, fused": (monai_autoencoder, monai_denoiser, {"use_combined_linear": True}),
    "MONAI, without projections": (monai_autoencoder, monai_denoiser, {"include_fc": False}),
}
EACH = pytest.mark.parametrize("section", NETWORKS.values(), ids=NETWORKS)
BOTH = pytest.mark.parametrize("package", PACKAGES.values(), ids=PACKAGES)


def randomised(module: nn.Module) -> nn.Module:
    """The network with other weights, none of which is zero as some are at first."""
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=draws)
    return module.eval()


def imported(module: nn.Module | Mapping[str, Tensor], **told: object) -> ImportedModel:
    """What becomes of a network's weights."""
    weights, _ = in_our_names(module.state_dict() if isinstance(module, nn.Module) else module)
    name = recognised(weights)
    assert name is not None
    return import_network(name, weights, Answers(told))


def imported_autoencoder(module: nn.Module | Mapping[str, Tensor], **told: object) -> ImportedModel:
    return imported(module, **{"norm_groups": 4, **VOLUMES, **told})


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an autoencoder with latents of (3, 4, 8, 4)."""
    folder = tmp_path_factory.mktemp("autoencoder")
    model = imported_autoencoder(monai_autoencoder(NETWORKS["no attention"]))
    write_json(folder / CONFIG, model.config)
    save_file(model.weights, folder / WEIGHTS)
    return folder


def imported_denoiser(
    module: nn.Module | Mapping[str, Tensor], autoencoder: Path, **told: object
) -> ImportedModel:
    given = {"head_channels": 4, "norm_groups": 4, **PROCESS, "autoencoder": str(autoencoder)}
    return imported(module, **{**given, **told})


def assert_alike(found: Tensor, expected: Tensor) -> None:
    largest = float(expected.abs().max())
    assert 1e-3 < largest < 1e3
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * largest)


@EACH
@BOTH
@torch.no_grad()
def test_an_autoencoder_computes_what_it_did(section: Network, package: Any) -> None:
    theirs = randomised(package[0](section, **package[2]))
    model = imported_autoencoder(theirs)
    of_ours = {key: value for key, value in section.items() if key != "head_channels"}
    assert model.network == of_ours | {"stem": [1, 1, 1]}
    ours = build_first_stage(model.config["settings"], SHAPE)
    ours.take_weights(model.weights, torch.device("cpu"))
    draws = torch.Generator().manual_seed(1)
    volumes = torch.rand(2, 1, *SHAPE, generator=draws)
    for found, expected in zip(ours.encode(volumes), theirs.encode(volumes), strict=True):
        assert found is not None
        assert_alike(found, expected)
    latents = torch.randn(expected.shape, generator=draws)
    assert_alike(ours.decode(latents), theirs.decode(latents))


@EACH
@BOTH
@torch.no_grad()
def test_a_denoiser_predicts_what_it_did(section: Network, package: Any, autoencoder: Path) -> None:
    theirs = randomised(package[1](section, LATENTS, **package[2]))
    model = imported_denoiser(theirs, autoencoder)
    assert {**model.network, "latent_channels": LATENTS} == section
    assert model.config["latent_shape"] == [LATENTS, 4, 8, 4]
    ours = build_prior(model.config["settings"], (LATENTS, 4, 8, 4))
    ours.take_weights(model.weights, torch.device("cpu"))
    latents = torch.randn(2, LATENTS, 4, 8, 4, generator=torch.Generator().manual_seed(1))
    steps = torch.tensor([3, 731])
    assert_alike(ours.network(latents, timesteps=steps), theirs(latents, timesteps=steps))


def test_heads_and_groups_change_what_a_network_computes(autoencoder: Path) -> None:
    """So that they have to be asked for."""
    theirs = randomised(monai_denoiser(NETWORKS["attention at the last level"], LATENTS))
    latents = torch.randn(1, LATENTS, 4, 8, 4, generator=torch.Generator().manual_seed(1))
    for told in ({"head_channels": 8}, {"norm_groups": 2}):
        model = imported_denoiser(theirs, autoencoder, **told)
        ours = build_prior(model.config["settings"], (LATENTS, 4, 8, 4))
        ours.take_weights(model.weights, torch.device("cpu"))
        predictions = (module(latents, timesteps=torch.tensor([9])) for module in (ours.network, theirs))
        assert not torch.allclose(*predictions, atol=1e-3)


def test_projections_that_were_never_applied_are_left_out() -> None:
    weights = generative_autoencoder(NETWORKS["attention at the last level"]).state_dict()
    projections = [name for name in weights if "proj_attn" in name]
    assert len(projections) == 2 * (
        2 + 1 + 2 + 1
    )  # weight and bias of the last level's blocks and middle ones
    ours, unused = in_our_names(weights)
    assert unused == len(projections)
    identity = ours["encoder.blocks.7.attn.out_proj.weight"]
    assert torch.equal(identity, torch.eye(16))


def test_a_network_of_one_group_and_one_channel_a_head_is_not_asked_for_them(autoencoder: Path) -> None:
    odd = {**network(1, False, True), "channels": [3, 4], "norm_groups": 1, "head_channels": 1}
    model = imported(monai_autoencoder(odd), **VOLUMES)
    assert model.network["norm_groups"] == 1
    odd = {**odd, "channels": [3, 1]}
    told = {**PROCESS, "autoencoder": str(autoencoder)}
    model = imported(monai_denoiser(odd, LATENTS), **told)
    assert (model.network["norm_groups"], model.network["head_channels"]) == (1, 1)


REFUSED_AUTOENCODERS: dict[str, tuple[dict[str, Any], str]] = {
    "in 2D": ({"spatial_dims": 2}, r"weights in 2D: .* expected 3D"),
    "of several channels": ({"in_channels": 2}, "in_channels 2, out_channels 1"),
    "without a middle": (
        {"with_encoder_nonlocal_attn": False, "with_decoder_nonlocal_attn": False},
        r"attention_levels\[-1\] True, with_encoder_nonlocal_attn False, with_decoder_nonlocal_attn False",
    ),
    "with a middle on the way out": (
        {"with_encoder_nonlocal_attn": False},
        "with_decoder_nonlocal_attn True",
    ),
    "of other numbers of blocks": ({"num_res_blocks": (1, 2)}, r"num_res_blocks \[1, 2\]"),
}
REFUSED_DENOISERS: dict[str, tuple[dict[str, Any], str]] = {
    "in 2D": ({"spatial_dims": 2}, r"weights in 2D: .* expected 3D"),
    "that sees more than latents": ({"in_channels": 4}, "in_channels 4, out_channels 3"),
    "of classes": ({"num_class_embeds": 5}, "num_class_embeds"),
    "with cross attention": ({"with_conditioning": True, "cross_attention_dim": 8}, "with_conditioning"),
    "that resamples in blocks": ({"resblock_updown": True}, "resblock_updown"),
    "of other numbers of blocks": ({"num_res_blocks": (1, 2)}, r"num_res_blocks \[1, 2\]"),
}


@pytest.mark.parametrize(("more", "message"), REFUSED_AUTOENCODERS.values(), ids=REFUSED_AUTOENCODERS)
@pytest.mark.parametrize("make", [monai_autoencoder, generative_autoencoder])
def test_an_autoencoder_that_voxgen_has_not_is_refused(
    make: Callable[..., nn.Module], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=f"AutoencoderKL: .*{message}"):
        imported_autoencoder(make(network(1, False, True), **more))


def test_transposed_convolutions_are_refused() -> None:
    with pytest.raises(InputError, match="use_convtranspose"):
        imported_autoencoder(monai_autoencoder(network(1, False, False), use_convtranspose=True))


@pytest.mark.parametrize(("more", "message"), REFUSED_DENOISERS.values(), ids=REFUSED_DENOISERS)
@pytest.mark.parametrize("make", [monai_denoiser, generative_denoiser])
def test_a_denoiser_that_voxgen_has_not_is_refused(
    make: Callable[..., nn.Module], more: dict[str, Any], message: str, autoencoder: Path
) -> None:
    with pytest.raises(InputError, match=f"DiffusionModelUNet: .*{message}"):
        imported_denoiser(make(network(1, False, True), LATENTS, **more), autoencoder)


def test_weights_that_are_not_whole_are_refused_by_name(autoencoder: Path) -> None:
    whole = monai_autoencoder(NETWORKS["no attention"]).state_dict()
    spoilt = {
        **whole,
        "encoder.blocks.1.norm1.weight": torch.ones(7),
        "quant_conv_mu.conv.bias": torch.full((LATENTS,), torch.nan),
        "extra.weight": torch.ones(1),
    }
    del spoilt["decoder.blocks.1.conv1.conv.weight"], spoilt["decoder.blocks.1.conv1.conv.bias"]
    with pytest.raises(InputError) as refused:
        imported_autoencoder(spoilt)
    said = str(refused.value)
    assert f"{len(spoilt)} tensors for the {len(whole)} of the network; nothing is loaded in part" in said
    assert "2 missing: decoder.blocks.1.conv1.conv.weight, decoder.blocks.1.conv1.conv.bias" in said
    assert "1 left over: extra.weight" in said
    assert "1 of another shape: encoder.blocks.1.norm1.weight [7] for [8]" in said
    assert "1 not finite: quant_conv_mu.conv.bias" in said
    for name in (
        "encoder.blocks.1.conv2.conv.weight",
        "encoder.blocks.1.norm1.weight",
        "encoder.blocks.0.conv.weight",
    ):
        with pytest.raises(InputError, match=name):
            imported_autoencoder({key: value for key, value in whole.items() if key != name})
    without = {key: value for key, value in whole.items() if ".blocks.2." not in key}
    with pytest.raises(InputError, match=r"blocks CR\?.* are not those of this network"):
        imported_autoencoder(without)
    denoiser = monai_denoiser(NETWORKS["no attention"], LATENTS).state_dict()
    del denoiser["middle_block.attention.norm.weight"]
    with pytest.raises(InputError, match=r"1 missing: middle_block\.attention\.norm\.weight"):
        imported_denoiser(denoiser, autoencoder)


def test_all_that_is_not_told_is_asked_for_at_once(autoencoder: Path) -> None:
    with pytest.raises(InputError) as refused:
        imported(monai_autoencoder(network(1, False, True)), shape=[8, 9, 1], spacing=1, colour="red")
    said = str(refused.value)
    for key in ("norm_groups=  .*one of 1, 2, 4, 8", "unit=", "method=", "placement=", "law=", "divisor="):
        assert any(line.strip().startswith(key.partition("=")[0]) for line in said.splitlines()), key
    assert "norm_groups=  groups of the group norms (norm_num_groups): one of 1, 2, 4, 8" in said
    assert (
        "shape=[8, 9, 1]: 9 voxels along y, 1 voxels along z; the network sees two or more, multiples of 2"
        in said
    )
    assert "spacing=1: " in said
    assert "colour: not asked for; asked for are norm_groups, shape" in said
    with pytest.raises(InputError) as refused:
        imported(monai_denoiser(network(1, False, True), LATENTS), process="ddpm")
    said = str(refused.value)
    for key in (
        "head_channels",
        "norm_groups",
        "steps",
        "prediction_type",
        *SCHEDULE,
        "scale_factor",
        "autoencoder",
    ):
        assert f"  {key}=  " in said


def test_volumes_are_told_by_a_run(tmp_path: Path) -> None:
    told = imported_autoencoder(monai_autoencoder(network(1, False, True))).config
    write_json(tmp_path / "grid.json", told["grid"])
    write_json(tmp_path / "intensity.json", told["intensity"])
    module = monai_autoencoder(network(1, False, True))
    model = imported(module, norm_groups=4, voxels=str(tmp_path))
    assert (model.config["grid"], model.config["intensity"]) == (told["grid"], told["intensity"])
    write_json(tmp_path / "grid.json", {**told["grid"], "shape": [8, 9, 8]})
    with pytest.raises(InputError, match=r"voxels=.*9 voxels along y"):
        imported(module, norm_groups=4, voxels=str(tmp_path))
    with pytest.raises(InputError, match=r"no grid.json there; expected results/voxels of a run"):
        imported(module, norm_groups=4, voxels=str(tmp_path / "nowhere"))
    scans = {"shape": SHAPE, "spacing": [1, 1, 2], "unit": "mm", "method": "intensity"}
    config = imported(module, norm_groups=4, **scans).config
    assert config["intensity"] == {"law": "identity", "divisor": 1.0}
    assert (config["grid"]["placement"], config["grid"]["sigma"]) == ("cloud", 1.0)


@pytest.mark.parametrize(
    "told",
    [
        {"schedule": "sigmoid_beta"},
        {"beta_start": 1e-4},
        {"beta_end": 0.02},
        {"steps": 100},
        {"prediction_type": "score"},
    ],
    ids=str,
)
def test_another_process_is_refused_by_what_differs(told: dict[str, Any], autoencoder: Path) -> None:
    (key, value), *_ = told.items()
    with pytest.raises(InputError, match=f"{key}={value}: ") as refused:
        imported_denoiser(monai_denoiser(network(1, False, True), LATENTS), autoencoder, **told)
    assert str({**SCHEDULE, "steps": 1000, "prediction_type": "epsilon"}[key]) in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@torch.no_grad()
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize(
    "schedule",
    [SCHEDULE, {"schedule": "linear_beta", "beta_start": 1e-4, "beta_end": 0.02}, {"schedule": "cosine"}],
    ids=lambda schedule: schedule["schedule"],
)
def test_a_process_means_what_their_scheduler_means(
    prediction: str, schedule: dict[str, Any], autoencoder: Path
) -> None:
    """One step of ancestral sampling, without noise: the posterior's mean, with what the U-Net predicts."""
    theirs = randomised(monai_denoiser(network(1, False, True), LATENTS))
    asked = {key: value for key, value in PROCESS.items() if key not in SCHEDULE}
    told = {**asked, **schedule, "prediction_type": prediction}
    model = imported(theirs, head_channels=4, norm_groups=4, autoencoder=str(autoencoder), **told)
    ours = build_prior(model.config["settings"], (LATENTS, 4, 8, 4))
    ours.take_weights(model.weights, torch.device("cpu"))
    scheduler = DDPMScheduler(1000, prediction_type=prediction, clip_sample=False, **schedule)
    noisy, step = torch.randn(2, LATENTS, 4, 8, 4, generator=torch.Generator().manual_seed(1)), 600
    predicted = theirs(noisy, timesteps=torch.full((2,), step))
    _, latents = scheduler.step(predicted, step, noisy)
    process = build_process(model.config["settings"]["diffusion"])
    found, _ = process.separated(ours.network(noisy, timesteps=torch.full((2,), step)), noisy, 0.601)
    assert_alike(found, latents)


@torch.no_grad()
def test_a_velocity_towards_latents_is_turned_around(autoencoder: Path) -> None:
    """With MONAI's scheduler a U-Net predicts latents less noise, from the mixtures that ours has too."""
    theirs = randomised(monai_denoiser(network(1, False, True), LATENTS))
    told = {"process": "flow", "prediction_type": "latent_minus_noise", "steps": 1000}
    asked = {key: value for key, value in PROCESS.items() if key not in SCHEDULE}
    model = imported(
        theirs, head_channels=4, norm_groups=4, autoencoder=str(autoencoder), **{**asked, **told}
    )
    ours = build_prior(model.config["settings"], (LATENTS, 4, 8, 4))
    ours.take_weights(model.weights, torch.device("cpu"))
    draws = torch.Generator().manual_seed(1)
    latents, noise = (torch.randn(2, LATENTS, 4, 8, 4, generator=draws) for _ in range(2))
    times = torch.tensor([0.25, 0.7])
    noisy, target, steps = build_process({"process": "flow"}).corrupt(latents, noise, times)
    assert torch.allclose(noisy, RFlowScheduler().add_noise(latents, noise, times * 1000), atol=1e-6)
    assert_alike(ours.network(noisy, timesteps=steps), -theirs(noisy, timesteps=steps))
    assert torch.equal(target, -(latents - noise))


def test_the_scale_factor_becomes_a_whitening(autoencoder: Path) -> None:
    model = imported_denoiser(monai_denoiser(network(1, False, True), LATENTS), autoencoder, scale_factor=0.8)
    scale = model.config["scale"]
    assert (scale["mean"], scale["std"]) == ((0.0,) * 3, (1.25,) * 3)
    assert scale["posterior"] == "draw"
    assert scale["autoencoder"] == model.config["made_from"]["autoencoder"]


def test_latents_of_another_autoencoder_are_refused(autoencoder: Path) -> None:
    with pytest.raises(InputError, match="its latents have 3 channels, the U-Net's 2"):
        imported_denoiser(monai_denoiser(network(1, False, True), 2), autoencoder)
    deep = {**network(1, False, False, False), "channels": [4, 4, 4, 4], "attention_levels": [False] * 4}
    with pytest.raises(InputError, match=r"latents of \[4, 8, 4\] voxels, the U-Net sees .* multiples of 8"):
        imported_denoiser(monai_denoiser(deep, LATENTS), autoencoder)


BARE = {"quant_conv_mu.conv.weight": torch.ones(2, 2, 1, 1, 1)}
UNET = {"time_embed.0.weight": torch.ones(2, 2)}


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (BARE, ""),
        (
            {
                "epoch": 3,
                "autoencoder_state_dict": BARE,
                "optimizer": {"state": {0: {"step": torch.ones(1)}}},
            },
            "autoencoder_state_dict",
        ),
        ({"model_state_dict": {f"module.{name}": value for name, value in BARE.items()}}, "model_state_dict"),
        ({"state_dict": {f"_orig_mod.module.{name}": value for name, value in BARE.items()}}, "state_dict"),
        ({"model": {f"module._orig_mod.{name}": value for name, value in BARE.items()}}, "model"),
        ({"best": {"model": BARE}, "discriminator_state_dict": {"conv.weight": torch.ones(1)}}, "best.model"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_found_wherever_they_lie(content: Any, part: str, zipped: bool, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "old.pt", _use_new_zipfile_serialization=zipped)
    file = read_checkpoint(tmp_path / "old.pt")
    assert choose_part(file.parts, None) == (part, "AutoencoderKL")
    assert file.parts[part].keys() == BARE.keys()
    assert file.epoch == (3 if "epoch" in content else None)


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(BARE, tmp_path / "weights.bin")
    assert choose_part(read_checkpoint(tmp_path / "weights.bin").parts, None) == ("", "AutoencoderKL")


def test_one_of_several_networks_is_to_be_named() -> None:
    parts = {"autoencoder_state_dict": BARE, "unet_state_dict": UNET, "ema": {"x": torch.ones(1)}}
    with pytest.raises(InputError, match=r"several networks: .*AutoencoderKL.*, unet_state_dict \(Diff"):
        choose_part(parts, None)
    assert choose_part(parts, "unet_state_dict") == ("unet_state_dict", "DiffusionModelUNet")
    with pytest.raises(InputError, match="part=ema: no network that is known; the file holds autoencoder"):
        choose_part(parts, "ema")
    with pytest.raises(InputError, match=r"no network that is known .*; found ema \(1 tensors\)"):
        choose_part({"ema": parts["ema"]}, None)


class Evil:
    """What runs code where it is unpickled."""

    def __reduce__(self) -> Any:
        return print, ("ran",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_needs_code_is_refused(
    zipped: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(
        {"state_dict": BARE, "args": Evil()}, tmp_path / "old.pt", _use_new_zipfile_serialization=zipped
    )
    with pytest.raises(InputError, match=r"it needs the code of \w*\.?print, .*torch\.save") as refused:
        read_checkpoint(tmp_path / "old.pt")
    assert "ran" not in capsys.readouterr().out
    assert len(str(refused.value).splitlines()) == 1


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(1, 1), tmp_path / "module.pt")
    with pytest.raises(InputError, match=r"it needs the code of torch\.nn\.modules\.linear\.Linear"):
        read_checkpoint(tmp_path / "module.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither a checkpoint of torch nor safetensors"),
        (b"version https://git-lfs.github.com/spec/v1", "pointer of Git LFS"),
        (b"PK\x03\x04" + bytes(50), "damaged"),
        (pickle.dumps([1, 2], 2), "damaged|no weights"),
        (b'\x20\0\0\0\0\0\0\0{"a":', "damaged"),
    ],
)
def test_what_is_no_checkpoint_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match=message):
        choose_part(read_checkpoint(tmp_path / "file").parts, None)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent: No such file"):
        read_checkpoint(tmp_path / "absent")


def test_one_network_twice_is_refused(tmp_path: Path) -> None:
    torch.save({**BARE, **{f"module.{name}": value for name, value in BARE.items()}}, tmp_path / "two.pt")
    with pytest.raises(InputError, match="both with and without the prefixes"):
        read_checkpoint(tmp_path / "two.pt")
