"""The levels of a network, from the finest on: each but the first has half the voxels of the one before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Flat = tuple[bool, ...]  # along x, y, z: whether there is one voxel, so that no kernel reaches beyond it

NOT_FLAT: Flat = (False, False, False)


@dataclass(frozen=True)
class Level:
    """What a network has at one resolution; axes that are flat are not halved."""

    channels: int
    res_blocks: int
    attends: bool  # after each residual block
    flat: Flat = NOT_FLAT


def levels_of(network: Mapping[str, Any], shape: Sequence[int]) -> tuple[Level, ...]:
    """The levels that the `network` section of a config describes, of which the first sees (X, Y, Z)."""
    flat = tuple(size == 1 for size in shape)
    described = zip(network["channels"], network["attention_levels"], strict=True)
    return tuple(Level(channels, network["res_blocks"], attends, flat) for channels, attends in described)
