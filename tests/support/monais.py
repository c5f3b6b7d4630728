"""MONAI's networks that voxgen's own have the parameters of, from sections `network` of a config."""

from collections.abc import Mapping
from typing import Any

from monai.networks.nets import AutoencoderKL, DiffusionModelUNet
from torch import nn


def monai_autoencoder(network: Mapping[str, Any]) -> nn.Module:
    attends = network["attention_levels"][-1]
    built: nn.Module = AutoencoderKL(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        channels=network["channels"],
        num_res_blocks=network["res_blocks"],
        attention_levels=network["attention_levels"],
        latent_channels=network["latent_channels"],
        norm_num_groups=network["norm_groups"],
        with_encoder_nonlocal_attn=attends,
        with_decoder_nonlocal_attn=attends,
    )
    return built


def monai_denoiser(network: Mapping[str, Any], latent_channels: int) -> nn.Module:
    built: nn.Module = DiffusionModelUNet(
        spatial_dims=3,
        in_channels=latent_channels,
        out_channels=latent_channels,
        channels=network["channels"],
        num_res_blocks=network["res_blocks"],
        attention_levels=network["attention_levels"],
        num_head_channels=network["head_channels"],
        norm_num_groups=network["norm_groups"],
    )
    return built
