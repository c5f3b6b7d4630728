"""A VQVAE of MONAI or of monai-generative as a first stage of kind vq."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from voxgen.errors import InputError
from voxgen.models.foreign.answers import Answers
from voxgen.models.foreign.asked_volumes import asked_volumes
from voxgen.models.foreign.imported_model import ImportedModel, imported_first_stage
from voxgen.models.foreign.whole_weights import refuse_flat_kernels, width_of

CODES = "quantizer.quantizer.embedding.weight"
KERNEL = 4  # voxels, of the convolutions that halve or double
ASSUMED = (
    "stride 2, padding 1, dilation 1 in downsample_parameters and upsample_parameters, act RELU, no "
    "output_act, the defaults"
)


def import_codes(weights: Mapping[str, Tensor], answers: Answers) -> ImportedModel:
    """The model folder that weights of a VQVAE become, whose names are voxgen's.

    Raises:
        InputError: voxgen has no such network, the weights are not whole, or answers are missing.
    """
    network = network_of(weights)
    volumes = asked_volumes(answers, halved=len(network["channels"]))
    unknown = {"codebook": {"decay": None, "restart": None}, "losses": {}, "training": None}
    return imported_first_stage("vq", {"network": network, **unknown}, volumes, weights, ASSUMED)


def network_of(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The section `network` that the shapes tell.

    Raises:
        InputError: voxgen has no such network; names what of it.
    """
    refuse_flat_kernels(weights, "encoder.blocks.0.conv.weight")
    places = [re.fullmatch(r"encoder\.blocks\.(\d+)\.(conv|conv1\.conv)\.weight", name) for name in weights]
    blocks = sorted((int(place[1]), place[2]) for place in places if place)
    halving = [f"encoder.blocks.{number}.conv.weight" for number, layer in blocks if layer == "conv"][:-1]
    units = [f"encoder.blocks.{number}.conv1.conv.weight" for number, layer in blocks if layer != "conv"]
    levels = len(halving)
    if not levels or len(units) % levels or not units:
        raise InputError(
            f"{levels} convolutions that halve and {len(units)} residual units in the encoder are not those "
            "of this network: the file is not whole, or holds another one"
        )
    for name in halving:
        if (kernel := list(weights[name].shape[2:])) != [KERNEL] * 3:
            raise InputError(f"downsample_parameters: kernel {kernel} of {name}, voxgen's is {[KERNEL] * 3}")
    seen = width_of(weights, halving[0], 1)
    if seen != 1:
        raise InputError(f"in_channels {seen}: voxgen's volumes have one channel")
    res_blocks = len(units) // levels
    return {
        "stem": [1, 1, 1],
        "channels": [width_of(weights, name) for name in halving],
        "res_blocks": res_blocks,
        "res_channels": [width_of(weights, name) for name in units[::res_blocks]],
        "codes": width_of(weights, CODES),
        "latent_channels": width_of(weights, CODES, 1),
    }
