"""Weights that fit a network whole, or not at all."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from voxgen.errors import InputError

NAMED = 5  # parameters of a kind that a message names


def width_of(weights: Mapping[str, Tensor], name: str, axis: int = 0) -> int:
    """Channels of a parameter along an axis.

    Raises:
        InputError: it is missing, or has no such axis.
    """
    if name not in weights or weights[name].ndim <= axis:
        raise InputError(f"no usable {name} among the {len(weights)} tensors; the file is not whole")
    return weights[name].shape[axis]


def refuse_flat_kernels(weights: Mapping[str, Tensor], name: str) -> None:
    """Refuse weights of networks in other than three dimensions, by one of their convolutions.

    Raises:
        InputError: they are.
    """
    width_of(weights, name)
    if (dimensions := weights[name].ndim - 2) != 3:
        raise InputError(
            f"weights in {dimensions}D: {name} has the shape {list(weights[name].shape)}, expected 3D, with "
            "three axes after the channels (spatial_dims=3)"
        )


def fitted(network: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights in the network's order, in fp32.

    Raises:
        InputError: names with counts what is missing, left over, of another shape or not finite.
    """
    expected = network.state_dict()
    missing = [name for name in expected if name not in weights]
    left_over = [name for name in weights if name not in expected]
    common = [name for name in expected if name in weights]
    misshapen = [
        f"{name} {list(weights[name].shape)} for {list(expected[name].shape)}"
        for name in common
        if weights[name].shape != expected[name].shape
    ]
    spoilt = [name for name in common if not torch.isfinite(weights[name].float()).all()]
    faults = {"missing": missing, "left over": left_over, "of another shape": misshapen, "not finite": spoilt}
    if any(faults.values()):
        said = [f"{len(names)} {fault}: {_some(names)}" for fault, names in faults.items() if names]
        raise InputError(
            f"{len(weights)} tensors for the {len(expected)} of the network; nothing is loaded in part\n  "
            + "\n  ".join(said)
        )
    return {name: weights[name].detach().float().contiguous().clone() for name in expected}


def _some(names: Collection[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join([*names][:NAMED]) + more
