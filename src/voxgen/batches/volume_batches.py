"""Volumes as a training sees them: in the network's range, in views and patches of addressed draws."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxgen.batches.views import View, drawn_view
from voxgen.errors import InputError
from voxgen.io.files import read_table
from voxgen.randomness import generator, normal
from voxgen.settings.models import AutoencoderSettings
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
    """What an autoencoder is trained on: volumes or patches, and posterior noise, by (seed, epoch, item).

    A training draws the view and the patch of each item; a validation sees the middle of the volume as it is.
    """

    def __init__(
        self,
        volumes: Volumes,
        settings: AutoencoderSettings,
        views: Sequence[View],
        seed: int,
        purpose: Literal["train", "validation"],
    ) -> None:
        self._volumes = volumes
        self._network, self._patch = settings.network, settings.patch
        self._views = views
        self._seed = seed
        self._purpose = purpose

    def __len__(self) -> int:
        return len(self._volumes)

    def batch(self, items: NDArray[np.int64], epoch: int) -> tuple[Tensor, ...]:
        """Volumes or patches (B, 1, X, Y, Z) and noise (B, C, x, y, z) of the given items."""
        read = self._volumes.read(items)
        shown = [self._shown(volume, epoch, int(item)) for volume, item in zip(read, items, strict=True)]
        shape = self._network.latent_channels, *(size // self._network.factor for size in shown[0].shape)
        noise = [normal(shape, self._seed, f"{self._purpose}-posterior", epoch, int(item)) for item in items]
        return torch.from_numpy(np.stack(shown)[:, None]), torch.from_numpy(np.stack(noise))

    def _shown(self, volume: Volume, epoch: int, item: int) -> Volume:
        if self._purpose == "validation":
            return volume if self._patch is None else central_patch(volume, self._patch)
        viewed = drawn_view(self._views, self._seed, epoch, item)(volume)
        if self._patch is None:
            return viewed
        return drawn_patch(viewed, self._patch, self._seed, epoch, item)
