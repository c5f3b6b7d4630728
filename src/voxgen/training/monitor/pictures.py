"""What averaged weights do, as pictures for TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from voxgen.figures.sheet import Quantity, quantity_of
from voxgen.figures.tiles import tiled
from voxgen.models.codec import Codec, load_autoencoder
from voxgen.models.interfaces import FirstStage, Prior
from voxgen.models.objective import Objective
from voxgen.models.whitening import Whitening
from voxgen.settings.machine import Machine
from voxgen.training.monitor.board import Picture, Pictures
from voxgen.volumes.grid import Grid

SHOWN = 4
SAMPLING = {"steps": 20, "temperature": 1.0}  # enough to look at


def reconstructions(stage: FirstStage, x_BCXYZ: Tensor, grid: dict[str, Any]) -> Pictures:
    """Volumes (at most four of B, 1, X, Y, Z), their reconstructions, and the differences between them.

    `grid` is the JSON of the grid that they lie in.
    """
    x_BCXYZ = x_BCXYZ[:SHOWN]

    @torch.no_grad()
    def draw(objective: Objective) -> dict[str, Picture]:
        averaged = stage.with_network(objective.model)
        device = next(objective.parameters()).device
        mean, _ = averaged.encode(x_BCXYZ.to(device))
        decoded = averaged.decode(mean).float().cpu()
        rows = [list(part[:, 0].numpy()) for part in (x_BCXYZ, decoded, decoded - x_BCXYZ)]
        return {"input, reconstruction, difference": tiled(rows, _quantity(grid))}

    return draw


def samples(
    prior: Prior,
    autoencoder: Path,
    whitening: Whitening,
    seed: int,
    machine: Machine,
    grid: dict[str, Any],
    given: Mapping[str, NDArray[Any]],
) -> Pictures:
    """Four samples, from the same draws each time, decoded by the first stage in the folder `autoencoder`.

    A prior that is told of items is told of the first of `given`, arrays by name as in a batch.
    """

    @torch.no_grad()
    def draw(objective: Objective) -> dict[str, Picture]:
        averaged = prior.with_network(objective.model)
        device = next(objective.parameters()).device
        known = {name: torch.from_numpy(values[:SHOWN]).to(device) for name, values in given.items()}
        shown = min([SHOWN, *map(len, known.values())])
        latents = averaged.sample(range(shown), seed, SAMPLING, known, "picture")
        volumes = Codec(load_autoencoder(autoencoder, machine), whitening).decode(latents.cpu().numpy())
        return {"samples": tiled([list(volumes)], _quantity(grid))}

    return draw


def _quantity(grid: dict[str, Any]) -> Quantity:
    return quantity_of(Grid.from_json(grid).holds_counts)
