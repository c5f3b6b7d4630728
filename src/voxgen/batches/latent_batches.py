"""Cached latents as the diffusion training sees them: whitened draws, noise and times, all addressed."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxgen.io.files import read_table
from voxgen.io.latent_shards import read_latents
from voxgen.models.whitening import LatentScale
from voxgen.randomness import generator

VALIDATION_TIMES = 8


class Latents:
    """The posterior mean and std of every volume of a split, in each view, as float16 in memory."""

    def __init__(self, folder: Path, scale: LatentScale) -> None:
        shards = list(read_latents(folder))
        self._mean = np.concatenate([mean for mean, _ in shards])
        self._std = np.concatenate([std for _, std in shards])
        self._scale = scale
        rows_of: dict[str, list[int]] = {}
        for row, entry in enumerate(read_table(folder / "index.csv")):
            rows_of.setdefault(entry["id"], []).append(row)
        self._views = [rows_of[name] for name in sorted(rows_of)]
        self.shape: tuple[int, ...] = self._mean.shape[1:]

    def __len__(self) -> int:
        return len(self._views)

    def draw(self, item: int, draws: np.random.Generator) -> NDArray[np.float32]:
        """A whitened latent (C, X, Y, Z) of one volume: a view, and where asked a posterior draw."""
        row = self._views[item][draws.integers(len(self._views[item]))]
        latent = self._mean[row].astype(np.float32)
        if self._scale.posterior == "draw":
            noise = draws.standard_normal(self.shape, dtype=np.float32)
            latent = latent + self._std[row].astype(np.float32) * noise
        whitened: NDArray[np.float32] = self._scale.whiten(latent[None])[0]
        return whitened


class LatentBatches:
    """Batches of latents, noise and times in [0, 1): drawn in training, on a fixed grid in validation."""

    def __init__(self, latents: Latents, seed: int, purpose: Literal["train", "validation"]) -> None:
        self._latents = latents
        self._seed = seed
        self._purpose = purpose

    def __len__(self) -> int:
        return len(self._latents)

    def batch(self, items: NDArray[np.int64], epoch: int) -> tuple[Tensor, ...]:
        """Latents and noise (B, C, X, Y, Z) and times (B,) of the given items."""
        latents, noise, times = zip(*(self._item(int(item), epoch) for item in items), strict=True)
        stacked = torch.from_numpy(np.stack(latents)), torch.from_numpy(np.stack(noise))
        return *stacked, torch.tensor(times, dtype=torch.float32)

    def _item(self, item: int, epoch: int) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
        draws = generator(self._seed, f"{self._purpose}-latent", epoch, item)
        latent = self._latents.draw(item, draws)
        noise = draws.standard_normal(self._latents.shape, dtype=np.float32)
        if self._purpose == "train":
            return latent, noise, float(draws.random())
        return latent, noise, (item % VALIDATION_TIMES + 0.5) / VALIDATION_TIMES
