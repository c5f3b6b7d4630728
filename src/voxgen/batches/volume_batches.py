"""Volumes as a training sees them: in the network's range, in views and patches of addressed draws."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from voxgen.batches.stacking import Item, stacked
from voxgen.batches.views import View, drawn_view
from voxgen.errors import InputError
from voxgen.io.files import read_table
from voxgen.models.objective import Address, Objective, Purpose
from voxgen.randomness import generator
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.nifti import read_volume

Volume = NDArray[np.float32]


class Volumes:
    """The volumes of a manifest, kept in memory as far as `cache_gb` reaches, read by `readers` threads."""

    def __init__(
        self, manifest: Path, folder: Path, intensity: Intensity, cache_gb: float, readers: int = 1
    ) -> None:
        self.ids = [row["id"] for row in read_table(manifest)]
        self._folder = folder
        self._intensity = intensity
        self._room = cache_gb * 1e9
        self._readers = readers
        self._cache: dict[int, Volume] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, item: int) -> Volume:
        """One volume (X, Y, Z) in the network's range.

        Raises:
            InputError: it holds values that are not finite.
        """
        if item in self._cache:
            return self._cache[item]
        volume = self._intensity.to_network(read_volume(self.path(item)))
        if not np.isfinite(volume).all():
            raise InputError(
                f"{self.path(item).resolve()}: holds values that are not finite; delete its folder and run "
                "the same command again"
            )
        with self._lock:
            if item not in self._cache and volume.nbytes <= self._room:
                self._room -= volume.nbytes
                self._cache[item] = volume
        return volume

    def path(self, item: int) -> Path:
        """The file of one volume."""
        return self._folder / f"{self.ids[item]}.nii.gz"

    def read(self, items: Sequence[int] | NDArray[np.int64]) -> list[Volume]:
        """The volumes of some items, in their order; several that are not in memory are read at once."""
        missing = sum(item not in self._cache for item in items)
        if min(missing, self._readers) < 2:
            return [self[item] for item in items]
        with ThreadPoolExecutor(self._readers, "reader") as readers:
            return list(readers.map(self.__getitem__, items))


def drawn_patch(volume_XYZ: Volume, shape: Sequence[int], seed: int, epoch: int, item: int) -> Volume:
    """The patch of one item in one epoch: each place in the volume is as likely."""
    places = np.subtract(volume_XYZ.shape, shape) + 1
    return _cut(volume_XYZ, generator(seed, "patch", epoch, item).integers(places), shape)


def central_patch(volume_XYZ: Volume, shape: Sequence[int]) -> Volume:
    """The patch in the middle of the volume."""
    return _cut(volume_XYZ, np.subtract(volume_XYZ.shape, shape) // 2, shape)


def _cut(volume_XYZ: Volume, start: NDArray[np.int64], shape: Sequence[int]) -> Volume:
    return volume_XYZ[tuple(slice(low, low + size) for low, size in zip(start, shape, strict=True))]


class VolumeBatches:
    """Batches of "volume" (B, 1, X, Y, Z), whole or patches of a shape, and of the objective's draws.

    A training draws the view and the patch of each item; a validation sees the middle of the volume as it is.
    """

    def __init__(
        self,
        volumes: Volumes,
        objective: Objective,
        views: Sequence[View],
        patch: Sequence[int] | None,
        seed: int,
        purpose: Purpose,
    ) -> None:
        self._volumes, self._objective = volumes, objective
        self._views, self._patch = views, patch
        self._seed = seed
        self._purpose = purpose

    def __len__(self) -> int:
        return len(self._volumes)

    def batch(self, items: NDArray[np.int64], epoch: int) -> dict[str, Tensor]:
        """The batch of the given items, by name."""
        read = self._volumes.read(items)
        return stacked(
            [self._item(volume, epoch, int(item)) for volume, item in zip(read, items, strict=True)]
        )

    def _item(self, volume: Volume, epoch: int, item: int) -> Item:
        shown = self._shown(volume, epoch, item)
        draws = self._objective.draws(shown.shape, Address(self._seed, self._purpose, epoch, item))
        return {"volume": shown[None], **draws}

    def _shown(self, volume: Volume, epoch: int, item: int) -> Volume:
        if self._purpose == "validation":
            return volume if self._patch is None else central_patch(volume, self._patch)
        viewed = drawn_view(self._views, self._seed, epoch, item)(volume)
        if self._patch is None:
            return viewed
        return drawn_patch(viewed, self._patch, self._seed, epoch, item)
