"""What an import makes: a model folder, before it is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from voxgen.models.foreign.whole_weights import fitted
from voxgen.models.kinds import build_first_stage
from voxgen.volumes.grid import Grid
from voxgen.volumes.intensity import Intensity


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


def imported_first_stage(
    kind: str,
    section: Mapping[str, Any],
    volumes: tuple[Grid, Intensity],
    weights: Mapping[str, Tensor],
    assumed: str,
) -> ImportedModel:
    """The model folder of a first stage: its section of the settings, what it was trained on, its weights.

    Raises:
        InputError: the weights are not those of the section's network.
    """
    grid, law = volumes
    settings = {"kind": kind, "patch": None, kind: section}
    stage = build_first_stage(settings, grid.shape)
    config = {"kind": "autoencoder", "settings": settings, "grid": grid.to_json(), "intensity": law.to_json()}
    return ImportedModel(config, fitted(stage.network, weights), section["network"], assumed)


def divisors(number: int) -> list[int]:
    """All that divide a number evenly, the smallest first."""
    return [each for each in range(1, number + 1) if number % each == 0]
