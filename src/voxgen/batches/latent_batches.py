"""Latents as a prior's training sees them: whitened, in drawn views, with the draws of its objective."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from voxgen.batches.conditions import read_conditions
from voxgen.batches.stacking import Item, stacked
from voxgen.io.files import read_table
from voxgen.io.latent_shards import read_latents
from voxgen.models.objective import Address, Draws, Objective, Purpose
from voxgen.models.whitening import Whitening
from voxgen.randomness import order


class Latents:
    """Mean and spread of the latents of every volume of a split, in each view, as float16 in memory.

    `classes` are those of the train split, where this is another.
    """

    def __init__(self, folder: Path, whitening: Whitening, classes: Sequence[str] | None = None) -> None:
        shards = list(read_latents(folder))
        self._mean = np.concatenate([mean for mean, _ in shards])
        self._std = np.concatenate([std for _, std in shards])
        self._whitening = whitening
        entries = read_table(folder / "index.csv")
        rows_of: dict[str, list[int]] = {}
        for row, entry in enumerate(entries):
            rows_of.setdefault(entry["id"], []).append(row)
        self._views = [rows_of[name] for name in sorted(rows_of)]
        self.conditions = read_conditions([entries[views[0]] for views in self._views], classes)
        self.shape: tuple[int, ...] = self._mean.shape[1:]

    def __len__(self) -> int:
        return len(self._views)

    def draw(self, item: int, draws: np.random.Generator) -> NDArray[np.float32]:
        """A whitened latent (C, x, y, z) of one volume: a view, and where asked a posterior draw."""
        row = self._views[item][draws.integers(len(self._views[item]))]
        latent = self._mean[row].astype(np.float32)
        if self._whitening.posterior == "draw":
            noise = draws.standard_normal(self.shape, dtype=np.float32)
            latent = latent + self._std[row].astype(np.float32) * noise
        whitened: NDArray[np.float32] = self._whitening.whiten(latent[None])[0]
        return whitened


class LatentBatches:
    """Batches of "latent" (B, C, x, y, z), of what is known of each item, and of the objective's draws."""

    def __init__(self, latents: Latents, objective: Objective, seed: int, purpose: Purpose) -> None:
        self._latents, self._objective = latents, objective
        self._seed = seed
        self._purpose = purpose
        self._epoch = _Epoch(-1, np.arange(0))

    def __len__(self) -> int:
        return len(self._latents)

    def batch(self, items: NDArray[np.int64], epoch: int) -> dict[str, Tensor]:
        """The batch of the given items, by name."""
        if epoch != self._epoch.number:
            number = len(self._latents)
            trains = self._purpose == "train"
            self._epoch = _Epoch(epoch, order(number, self._seed, epoch) if trains else np.arange(number))
        return stacked([self._item(int(item)) for item in items])

    def _item(self, item: int) -> Item:
        latent, draws = self._drawn(item)
        partner = self._partner(item)
        if partner != item:
            draws = {**draws, "noise": self._drawn(partner)[1]["noise"]}
        return {"latent": latent, **self._latents.conditions.of(item), **draws}

    def _drawn(self, item: int) -> tuple[NDArray[np.float32], Draws]:
        place = int(self._epoch.places[item])
        address = Address(self._seed, self._purpose, self._epoch.number, item, place)
        latent = self._latents.draw(item, address.generator("latent"))
        return latent, self._objective.draws(self._latents.shape, address)

    def _partner(self, item: int) -> int:
        """Whose noise an item is given: found for all that are coupled with it, whoever asks for one."""
        if self._objective.coupled is None:
            return item
        if item not in self._epoch.partners:
            group = self._epoch.group(item, self._objective.coupled)
            latents, draws = zip(*map(self._drawn, group), strict=True)
            partners = group[self._objective.partners(latents, draws)]
            self._epoch.partners |= dict(zip(group.tolist(), partners.tolist(), strict=True))
        return self._epoch.partners[item]


class _Epoch:
    """The order of one epoch, the place of each item in it, and the partners that were found."""

    def __init__(self, number: int, ordered: NDArray[np.int64]) -> None:
        self.number, self._ordered = number, ordered
        self.places = np.argsort(ordered)
        self.partners: dict[int, int] = {}

    def group(self, item: int, most: int) -> NDArray[np.int64]:
        """The items that are coupled with one: runs of the order, cut as batches of `most` are."""
        groups = np.array_split(self._ordered, -(-len(self._ordered) // most))
        return next(group for group in groups if item in group)
