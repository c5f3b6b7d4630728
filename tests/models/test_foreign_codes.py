"""Weights of a VQVAE of MONAI or of monai-generative: the codes and volumes that they had, or a refusal."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from monais import generative_vqvae, monai_vqvae
from voxgen.errors import InputError
from voxgen.models.foreign.answers import Answers
from voxgen.models.foreign.imported_model import ImportedModel
from voxgen.models.foreign.known_networks import import_network, recognised
from voxgen.models.foreign.parameter_names import in_our_names
from voxgen.models.kinds import build_first_stage

SHAPE = (8, 16, 8)
VOLUMES = {"shape": SHAPE, "spacing": [1, 1, 2], "unit": "mm", "method": "intensity"}
NETWORKS: dict[str, dict[str, Any]] = {
    "two levels": {"channels": [4, 6], "res_channels": [3, 5], "res_blocks": 2},
    "one level": {"channels": [5], "res_channels": [5], "res_blocks": 1},
    "three levels": {"channels": [4, 4, 8], "res_channels": [4, 4, 2], "res_blocks": 1},
}
CODEBOOK = {"codes": 16, "latent_channels": 3}
EACH = pytest.mark.parametrize("section", NETWORKS.values(), ids=NETWORKS)
BOTH = pytest.mark.parametrize("make", [monai_vqvae, generative_vqvae])


def randomised(module: nn.Module) -> nn.Module:
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor += 0.1 * torch.randn(tensor.shape, generator=draws)
    return module.eval()


def imported(module: nn.Module, **told: object) -> ImportedModel:
    weights, _ = in_our_names(module.state_dict())
    name = recognised(weights)
    assert name == "VQVAE"
    return import_network(name, weights, Answers({**VOLUMES, **told}))


@EACH
@BOTH
@torch.no_grad()
def test_codes_and_volumes_are_those_of_the_old_network(
    make: Callable[..., nn.Module], section: dict[str, Any]
) -> None:
    network = {**section, **CODEBOOK}
    theirs: Any = randomised(make(network))
    draws = torch.Generator().manual_seed(1)
    volumes = torch.rand(2, 1, *SHAPE, generator=draws)
    latents_NC = theirs.encode(volumes).movedim(1, -1).flatten(0, -2)
    theirs.quantizer.quantizer.embedding.weight[: len(latents_NC)] = latents_NC[: CODEBOOK["codes"]]
    model = imported(theirs)
    assert model.network == {"stem": [1, 1, 1], **network}
    ours: Any = build_first_stage(model.config["settings"], SHAPE)
    ours.take_weights(model.weights, torch.device("cpu"))
    latents, spread = ours.encode(volumes)
    assert spread is None
    torch.testing.assert_close(latents, theirs.encode(volumes), rtol=1e-5, atol=1e-5)
    codes = theirs.index_quantize(volumes)
    assert len(codes.unique()) > 1
    assert torch.equal(ours.codes(volumes), codes)
    drawn = torch.randn(latents.shape, generator=draws)
    expected = theirs.decode_stage_2_outputs(drawn)
    torch.testing.assert_close(
        ours.decode(drawn), expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max())
    )


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "in 2D": ({"spatial_dims": 2}, "weights in 2D"),
    "of several channels": ({"in_channels": 2}, "in_channels 2"),
    "of another kernel": (
        {"downsample_parameters": ((2, 3, 1, 1),) * 2},
        r"downsample_parameters: kernel \[3, 3, 3\]",
    ),
    "of another kernel on the way out": (
        {"upsample_parameters": ((2, 3, 1, 1, 1),) * 2},
        "2 of another shape: decoder",
    ),
}


@BOTH
@pytest.mark.parametrize(("more", "message"), REFUSED.values(), ids=REFUSED)
def test_a_network_that_voxgen_has_not_is_refused(
    make: Callable[..., nn.Module], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=f"(?s)VQVAE: .*{message}"):
        imported(make({**NETWORKS["two levels"], **CODEBOOK}, **more))
