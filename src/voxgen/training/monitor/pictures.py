"""What averaged weights do, as pictures for TensorBoard."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxgen.figures.sheet import Quantity, quantity_of
from voxgen.figures.tiles import tiled
from voxgen.models.codec import Codec, load_autoencoder
from voxgen.models.objective import Objective
from voxgen.models.prior.denoiser import DenoiserObjective
from voxgen.models.whitening import LatentScale
from voxgen.randomness import normal
from voxgen.settings.machine import Machine
from voxgen.training.monitor.board import Picture, Pictures
from voxgen.volumes.grid import Grid

SHOWN = 4
STEPS = 20  # of the sampler: enough to look at, and a divisor of 1000, as DDIM needs


def reconstructions(x_BCXYZ: Tensor, grid: dict[str, Any]) -> Pictures:
    """Volumes (at most four of B, 1, X, Y, Z), their reconstructions, and the differences between them.

    `grid` is the JSON of the grid that they lie in.
    """
    x_BCXYZ = x_BCXYZ[:SHOWN]

    @torch.no_grad()
    def draw(objective: Objective) -> dict[str, Picture]:
        device = next(objective.parameters()).device
        mean, _ = objective.model.encode(x_BCXYZ.to(device))
        decoded = objective.model.decode(mean).float().cpu()
        rows = [list(part[:, 0].numpy()) for part in (x_BCXYZ, decoded, decoded - x_BCXYZ)]
        return {"input, reconstruction, difference": tiled(rows, _quantity(grid))}

    return draw


def samples(
    autoencoder: Path,
    scale: LatentScale,
    shape: tuple[int, ...],
    seed: int,
    machine: Machine,
    grid: dict[str, Any],
) -> Pictures:
    """Four samples, from the same noise each time; `shape` is a latent's (C, X, Y, Z)."""
    noise_BCXYZ = np.stack([normal(shape, seed, "picture", index) for index in range(SHOWN)])

    @torch.no_grad()
    def draw(objective: Objective) -> dict[str, Picture]:
        assert isinstance(objective, DenoiserObjective)
        start = torch.from_numpy(noise_BCXYZ).to(next(objective.parameters()).device)

        def denoise(z_BCXYZ: Tensor, step_B: Tensor) -> Tensor:
            predicted: Tensor = objective.model(z_BCXYZ, timesteps=step_B)
            return predicted.float()

        latents = objective.process.sample(denoise, start, STEPS).cpu().numpy()
        volumes = Codec(load_autoencoder(autoencoder, machine), scale).decode(latents)
        return {"samples": tiled([list(volumes)], _quantity(grid))}

    return draw


def _quantity(grid: dict[str, Any]) -> Quantity:
    return quantity_of(Grid.from_json(grid).holds_counts)
