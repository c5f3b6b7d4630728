"""Networks that voxgen's own have the parameters of, from sections `network` of a config.

They are MONAI's, and those of monai-generative, where MONAI has them from; `more` overrides their arguments.
"""

import warnings
from collections.abc import Mapping
from typing import Any

from monai.networks.nets import VQVAE, AutoencoderKL, DiffusionModelUNet
from torch import nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it marks its functions in a way that torch has given up
    from generative.networks import nets as generative


def monai_autoencoder(network: Mapping[str, Any], **more: Any) -> nn.Module:
    shared = of_autoencoder(network) | {"channels": network["channels"]}
    built: nn.Module = AutoencoderKL(**shared | more)
    return built


def monai_denoiser(network: Mapping[str, Any], latent_channels: int, **more: Any) -> nn.Module:
    shared = of_denoiser(network, latent_channels) | {"channels": network["channels"]}
    built: nn.Module = DiffusionModelUNet(**shared | more)
    return built


def generative_autoencoder(network: Mapping[str, Any], **more: Any) -> nn.Module:
    shared = of_autoencoder(network) | {"num_channels": network["channels"]}
    built: nn.Module = generative.AutoencoderKL(**shared | more)
    return built


def generative_denoiser(network: Mapping[str, Any], latent_channels: int, **more: Any) -> nn.Module:
    shared = of_denoiser(network, latent_channels) | {"num_channels": network["channels"]}
    built: nn.Module = generative.DiffusionModelUNet(**shared | more)
    return built


def monai_vqvae(network: Mapping[str, Any], **more: Any) -> nn.Module:
    built: nn.Module = VQVAE(**of_vqvae(network) | {"channels": network["channels"]} | more)
    return built


def generative_vqvae(network: Mapping[str, Any], **more: Any) -> nn.Module:
    built: nn.Module = generative.VQVAE(**of_vqvae(network) | {"num_channels": network["channels"]} | more)
    return built


def of_autoencoder(network: Mapping[str, Any]) -> dict[str, Any]:
    attends = network["attention_levels"][-1]
    return {
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 1,
        "num_res_blocks": network["res_blocks"],
        "attention_levels": network["attention_levels"],
        "latent_channels": network["latent_channels"],
        "norm_num_groups": network["norm_groups"],
        "with_encoder_nonlocal_attn": attends,
        "with_decoder_nonlocal_attn": attends,
    }


def of_denoiser(network: Mapping[str, Any], latent_channels: int) -> dict[str, Any]:
    return {
        "spatial_dims": 3,
        "in_channels": latent_channels,
        "out_channels": latent_channels,
        "num_res_blocks": network["res_blocks"],
        "attention_levels": network["attention_levels"],
        "num_head_channels": network["head_channels"],
        "norm_num_groups": network["norm_groups"],
    }


def of_vqvae(network: Mapping[str, Any]) -> dict[str, Any]:
    levels = len(network["channels"])
    return {
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 1,
        "num_res_layers": network["res_blocks"],
        "num_res_channels": network["res_channels"],
        "downsample_parameters": ((2, 4, 1, 1),) * levels,
        "upsample_parameters": ((2, 4, 1, 1, 0),) * levels,
        "num_embeddings": network["codes"],
        "embedding_dim": network["latent_channels"],
    }
