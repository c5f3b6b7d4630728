"""The levels of a network, from the finest on: each but the first has half the voxels of the one before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Level:
    """What a network has at one resolution."""

    channels: int
    res_blocks: int
    attends: bool  # after each residual block


def levels_of(network: Mapping[str, Any]) -> tuple[Level, ...]:
    """The levels that the `network` section of a config describes."""
    described = zip(network["channels"], network["attention_levels"], strict=True)
    return tuple(Level(channels, network["res_blocks"], attends) for channels, attends in described)
