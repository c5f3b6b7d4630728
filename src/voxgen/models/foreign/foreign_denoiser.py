"""A DiffusionModelUNet of MONAI or of monai-generative as a prior of kind diffusion."""

import math
import re
from collections.abc import Mapping
from itertools import compress
from pathlib import Path
from typing import Any

from torch import Tensor

from voxgen.errors import InputError
from voxgen.least_steps import DDPM_STEPS
from voxgen.models.folder import read_model_config, weights_digest
from voxgen.models.foreign.answers import Answers
from voxgen.models.foreign.imported_model import ImportedModel, divisors
from voxgen.models.foreign.whole_weights import fitted, refuse_flat_kernels, width_of
from voxgen.models.kinds import build_first_stage, build_prior
from voxgen.models.prior.schedules import SCHEDULES
from voxgen.models.whitening import Whitening
from voxgen.settings.base import Count, Positive

FOREIGN = {  # what is not imported, as MONAI calls it: parameters that tell of it
    "num_class_embeds": r"class_embedding\..*",
    "with_conditioning (cross attention)": r".*\.transformer_blocks\..*",
    "resblock_updown": r"(?:down|up)_blocks\.\d+\.(?:down|up)sampler\.norm1\..*",
}
PROCESSES = "ddpm", "flow"
PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v", "sample": "x0"}  # as MONAI calls voxgen's
LAST = "out.2.conv."  # the convolution that gives the prediction
ASSUMED = "norm_eps 1e-6, its default"


def import_denoiser(weights: Mapping[str, Tensor], answers: Answers) -> ImportedModel:
    """The model folder that weights of a DiffusionModelUNet, in voxgen's names, become.

    Raises:
        InputError: voxgen has no such network or process, the weights are not whole, or answers are missing.
    """
    network, latent_channels = network_of(weights)
    _ask_groups_and_heads(answers, network)
    process, negated = _asked_process(answers)
    factor = answers.take(
        "scale_factor", Positive, "by which latents were multiplied before the U-Net saw them"
    )
    folder = answers.take("autoencoder", str, "folder of the autoencoder of these latents, imported before")
    answers.settle()
    made = _latents_of(Path(folder), latent_channels, len(network["channels"]) - 1)
    settings = {
        "kind": "diffusion",
        "posterior": "draw",
        "diffusion": {**process, "network": network, "training": None},
    }
    prior = build_prior(settings, tuple(made["latent_shape"]))
    fitting = fitted(prior.network, weights)
    if negated:
        fitting |= {name: -tensor for name, tensor in fitting.items() if name.startswith(LAST)}
    whitening = Whitening((0.0,) * latent_channels, (1 / factor,) * latent_channels, "draw")
    scale = {"scale": {**whitening.to_json(), **made["made_from"]}}
    return ImportedModel({"kind": "prior", "settings": settings, **scale, **made}, fitting, network, ASSUMED)


def network_of(weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], int]:
    """The section `network` that the shapes tell, all but groups and heads; and the channels of the latents.

    Raises:
        InputError: voxgen has no such network; names what of it.
    """
    for name, parameters in FOREIGN.items():
        if found := [parameter for parameter in weights if re.fullmatch(parameters, parameter)]:
            raise InputError(
                f"{name}: no denoiser with such tensors can be imported; found {len(found)}, as {found[0]}"
            )
    refuse_flat_kernels(weights, "conv_in.conv.weight")
    seen, made = width_of(weights, "conv_in.conv.weight", 1), width_of(weights, f"{LAST}weight")
    if seen != made:
        raise InputError(
            f"in_channels {seen}, out_channels {made}: voxgen's denoiser sees latents, nothing beside them"
        )
    matches = [re.match(r"down_blocks\.(\d+)\.(resnets|attentions)\.(\d+)", name) for name in weights]
    blocks = {(int(match[1]), match[2], int(match[3])) for match in matches if match}
    levels = range(1 + max((level for level, _, _ in blocks), default=-1))
    res_blocks = [sum(block[:2] == (level, "resnets") for block in blocks) for level in levels]
    if len({*res_blocks}) != 1:
        raise InputError(f"num_res_blocks {res_blocks}: voxgen's levels have the same number each")
    network = {
        "channels": [
            width_of(weights, f"down_blocks.{level}.resnets.0.conv2.conv.weight") for level in levels
        ],
        "res_blocks": res_blocks[0],
        "attention_levels": [(level, "attentions", 0) in blocks for level in levels],
    }
    return network, seen


def _ask_groups_and_heads(answers: Answers, network: dict[str, Any]) -> None:
    channels = network["channels"]
    attended = [*compress(channels, network["attention_levels"]), channels[-1]]  # the middle attends anyway
    for key, asks, widths in (
        (
            "head_channels",
            "channels of an attention head (num_head_channels), the same at all levels",
            attended,
        ),
        ("norm_groups", "groups of the group norms (norm_num_groups)", channels),
    ):
        network[key] = answers.take(key, Count, asks, divisors(math.gcd(*widths)))


def _asked_process(answers: Answers) -> tuple[dict[str, Any], bool]:
    """The process as in settings, and whether voxgen's denoiser predicts the negative of these weights."""
    process = answers.take("process", str, "how noise corrupted latents", PROCESSES)
    _take_ours(answers, "steps", Count, "timesteps that the U-Net was told (num_train_timesteps)", DDPM_STEPS)
    if process != "flow":
        return {"process": process, **(_asked_ddpm(answers) if process else {})}, False
    predicts = "what the U-Net predicts; for MONAI's RFlowScheduler latent_minus_noise"
    prediction = answers.take("prediction_type", str, predicts, ("noise_minus_latent", "latent_minus_noise"))
    return {"process": process}, prediction == "latent_minus_noise"


def _asked_ddpm(answers: Answers) -> dict[str, Any]:
    """What the settings of DDPM say of a DDPMScheduler: what is predicted, and the schedule."""
    prediction = answers.take(
        "prediction_type", str, "of the DDPMScheduler (prediction_type)", tuple(PREDICTIONS)
    )
    ours = {schedule["schedule"]: name for name, schedule in SCHEDULES.items()}
    schedule = answers.take("schedule", str, "of the DDPMScheduler (schedule)", tuple(ours))
    for key, value in SCHEDULES[ours.get(schedule, "scaled_linear")].items():
        if key != "schedule":
            _take_ours(answers, key, float, f"of the DDPMScheduler ({key})", value)
    return {"prediction": PREDICTIONS.get(prediction), "schedule": ours.get(schedule)}


def _take_ours(answers: Answers, key: str, kind: type, asks: str, ours: Any) -> None:
    """Ask for something that voxgen's processes have in one way alone: another cannot be used."""
    found = answers.take(key, kind, f"{asks}; voxgen's is {ours}")
    if found is not None and found != ours:
        answers.refuse(key, f"voxgen's process has {ours}; weights of another cannot be used")


def _latents_of(folder: Path, channels: int, halved: int) -> dict[str, Any]:
    """What the config of a prior says of the latents of an autoencoder.

    Raises:
        InputError: there is no autoencoder, or its latents are not those of the weights.
    """
    config = read_model_config(folder, "autoencoder")
    shape = config["grid"]["shape"]
    stage = build_first_stage(config["settings"], shape)
    latent = [size // factor for size, factor in zip(shape, stage.factors, strict=True)]
    if stage.latent_channels != channels:
        raise InputError(
            f"autoencoder={folder}: its latents have {stage.latent_channels} channels, the U-Net's "
            f"{channels}; name the autoencoder that the U-Net was trained with"
        )
    if any(size % 2**halved or size == 1 for size in latent):
        raise InputError(
            f"autoencoder={folder}: latents of {latent} voxels, the U-Net sees two or more, multiples of "
            f"{2**halved}; import the autoencoder with the shape of volumes that it was trained with"
        )
    made = {"latent_shape": [channels, *latent], "grid": config["grid"], "intensity": config["intensity"]}
    return {**made, "made_from": {"autoencoder": weights_digest(folder)}}
