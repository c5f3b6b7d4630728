"""What an import makes: a model folder, before it is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class ImportedModel:
    """The content of a model folder.

    Attributes:
        config: of config.json, but for what tells of the file.
        weights: of model.safetensors.
        network: the section `network`, for people.
        assumed: what neither weights nor answers tell.
    """

    config: dict[str, Any]
    weights: dict[str, Tensor]
    network: Mapping[str, Any]
    assumed: str


def divisors(number: int) -> list[int]:
    """All that divide a number evenly, the smallest first."""
    return [each for each in range(1, number + 1) if number % each == 0]
