"""An AutoencoderKL of MONAI or of monai-generative as a first stage of kind kl."""

import math
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from voxgen.errors import InputError
from voxgen.models.foreign.answers import Answers
from voxgen.models.foreign.asked_volumes import asked_volumes
from voxgen.models.foreign.imported_model import ImportedModel, divisors, imported_first_stage
from voxgen.models.foreign.whole_weights import refuse_flat_kernels, width_of
from voxgen.settings.base import Count

SIGNS = {  # how a parameter of a block begins that tells what the block is, and the letter that stands for it
    r"(?:norm|conv)[12]\.|nin_shortcut\.": "R",
    r"attn\.|norm\.": "A",
    r"conv\.conv\.": "D",
    r"postconv\.": "U",
    r"deconv\.": "T",
    r"conv\.": "C",
    r"weight|bias": "N",
}
LETTERS = "C convolution, R residual block, A attention, D down, U up, N norm, ? not known"
LEVEL = "(?:R+|(?:RA)+)"
ENCODER = re.compile(f"C(?P<levels>{LEVEL}(?:D{LEVEL})*)(?P<middle>RAR)?NC")
DECODER = re.compile(f"C(?P<middle>RAR)?(?P<levels>{LEVEL}(?:U{LEVEL})*)NC")
ASSUMED = "norm_eps 1e-6 and, for monai-generative, use_convtranspose False, their defaults"


def import_autoencoder(weights: Mapping[str, Tensor], answers: Answers) -> ImportedModel:
    """The model folder that weights of an AutoencoderKL, in voxgen's names, become.

    Raises:
        InputError: voxgen has no such network, the weights are not whole, or answers are missing.
    """
    network = network_of(weights)
    groups = divisors(math.gcd(*network["channels"]))
    network["norm_groups"] = answers.take(
        "norm_groups", Count, "groups of the group norms (norm_num_groups)", groups
    )
    volumes = asked_volumes(answers, halved=len(network["channels"]) - 1)
    section = {"network": network, "losses": {}, "training": None}
    return imported_first_stage("kl", section, volumes, weights, ASSUMED)


def network_of(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The section `network` that the shapes tell, all but norm_groups.

    Raises:
        InputError: voxgen has no such network; names what of it.
    """
    first = "encoder.blocks.0.conv.weight"
    refuse_flat_kernels(weights, first)
    encoder, decoder = (_letters(weights, side) for side in ("encoder", "decoder"))
    if "T" in decoder:
        raise InputError("use_convtranspose True: voxgen's decoder interpolates and convolves instead")
    way_in, way_out = ENCODER.fullmatch(encoder), DECODER.fullmatch(decoder)
    if way_in is None or way_out is None:
        raise InputError(
            f"blocks {encoder or 'none'} and {decoder or 'none'} ({LETTERS}) are not those of this network: "
            "the file is not whole, or holds another one"
        )
    levels = way_in["levels"].split("D")
    res_blocks, attends = [level.count("R") for level in levels], ["A" in level for level in levels]
    if len({*res_blocks}) > 1:
        raise InputError(f"num_res_blocks {res_blocks}: voxgen's levels have the same number each")
    _refuse_other_middles(attends[-1], way_in["middle"] is not None, way_out["middle"] is not None)
    seen = width_of(weights, first, 1)
    made = width_of(weights, f"decoder.blocks.{len(decoder) - 1}.conv.weight")
    if (seen, made) != (1, 1):
        raise InputError(f"in_channels {seen}, out_channels {made}: voxgen's volumes have one channel")
    starts = [1 + sum(len(level) + 1 for level in levels[:depth]) for depth in range(len(levels))]
    return {
        "stem": [1, 1, 1],
        "channels": [width_of(weights, f"encoder.blocks.{start}.conv2.conv.weight") for start in starts],
        "latent_channels": width_of(weights, "quant_conv_mu.conv.weight"),
        "res_blocks": res_blocks[0],
        "attention_levels": attends,
    }


def _letters(weights: Mapping[str, Tensor], side: str) -> str:
    """The blocks of the encoder or the decoder in order, a letter each."""
    blocks = defaultdict[int, set[str]](set)
    for name in weights:
        if found := re.fullmatch(rf"{side}\.blocks\.(\d+)\.(.+)", name):
            blocks[int(found[1])].add(found[2])
    return "".join(_letter(blocks[number]) for number in range(max(blocks, default=-1) + 1))


def _letter(parameters: Collection[str]) -> str:
    found = (letter for sign, letter in SIGNS.items() for name in parameters if re.match(sign, name))
    return next(found, "?")


def _refuse_other_middles(attends: bool, encoder: bool, decoder: bool) -> None:
    """Voxgen's networks have blocks beside the latent where the last level attends."""
    if len({attends, encoder, decoder}) > 1:
        raise InputError(
            f"attention_levels[-1] {attends}, with_encoder_nonlocal_attn {encoder}, "
            f"with_decoder_nonlocal_attn {decoder}: in voxgen's network all three are the same"
        )
