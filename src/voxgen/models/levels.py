"""The levels of a network, from the finest on: a voxel of one stands for several of the one before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voxgen.factors import HALVED, Factors, steps_between

Flat = tuple[bool, ...]  # along x, y, z: whether there is one voxel, so that no kernel reaches beyond it

NOT_FLAT: Flat = (False, False, False)


@dataclass(frozen=True)
class Level:
    """What a network has at one resolution.

    `factors` are voxels of the level before per voxel of this one, along axes that are not flat before it.
    """

    channels: int
    res_blocks: int
    attends: bool  # after each residual block
    flat: Flat = NOT_FLAT
    factors: Factors = HALVED


def levels_of(network: Mapping[str, Any], shape: Sequence[int]) -> tuple[Level, ...]:
    """The levels that the `network` section of a config describes, of which the first sees (X, Y, Z).

    Where it gives no factors, kernels keep the size of MONAI's at levels where an axis ends with one voxel.
    """
    factors = network.get("factors")
    steps = [(1, 1, 1), *steps_between(len(network["channels"]), factors)]
    described = zip(network["channels"], network["attention_levels"], steps, strict=True)
    flat, levels = tuple(size == 1 for size in shape), list[Level]()
    for channels, attends, step in described:
        if factors is not None:
            shape = [max(1, size // factor) for size, factor in zip(shape, step, strict=True)]
            flat = tuple(size == 1 for size in shape)
        levels.append(Level(channels, network["res_blocks"], attends, flat, step))
    return tuple(levels)
