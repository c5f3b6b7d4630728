"""Volumes as a training sees them: in the network's range, mirrored by addressed draws."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxgen.intensity import Intensity
from voxgen.io.files import read_table
from voxgen.io.nifti import read_volume
from voxgen.randomness import generator, normal


class Volumes:
    """The volumes of a manifest, kept in memory as far as `cache_gb` reaches."""

    def __init__(self, manifest: Path, folder: Path, intensity: Intensity, cache_gb: float) -> None:
        self.ids = [row["id"] for row in read_table(manifest)]
        self._folder = folder
        self._intensity = intensity
        self._room = cache_gb * 1e9
        self._cache: dict[int, NDArray[np.float32]] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, item: int) -> NDArray[np.float32]:
        """One volume (X, Y, Z) in the network's range."""
        if item in self._cache:
            return self._cache[item]
        volume = self._intensity.to_network(read_volume(self._folder / f"{self.ids[item]}.nii.gz"))
        if volume.nbytes <= self._room:
            self._room -= volume.nbytes
            self._cache[item] = volume
        return volume


def mirrored(volume_XYZ: NDArray[np.float32], axes: tuple[str, ...], view: int) -> NDArray[np.float32]:
    """The volume flipped along those `axes` whose bit is set in `view` (0 .. 2**len(axes) - 1)."""
    flipped = tuple("xyz".index(axis) for bit, axis in enumerate(axes) if view >> bit & 1)
    return np.flip(volume_XYZ, flipped)


def drawn_view(axes: tuple[str, ...], seed: int, epoch: int, item: int) -> int:
    """The view of one item in one epoch: each axis is mirrored by its own coin."""
    return int(generator(seed, "flip", epoch, item).integers(2 ** len(axes)))


class VolumeBatches:
    """What an autoencoder is trained on: volumes and posterior noise, drawn by (seed, epoch, item)."""

    def __init__(
        self, volumes: Volumes, latent_shape: tuple[int, ...], flips: tuple[str, ...], seed: int, purpose: str
    ) -> None:
        self._volumes = volumes
        self._latent_shape = latent_shape
        self._flips = flips
        self._seed = seed
        self._purpose = f"{purpose}-posterior"

    def __len__(self) -> int:
        return len(self._volumes)

    def batch(self, items: NDArray[np.int64], epoch: int) -> tuple[Tensor, ...]:
        """Volumes (B, 1, X, Y, Z) and noise (B, C, x, y, z) of the given items."""
        volumes = [mirrored(self._volumes[i], self._flips, self._view(epoch, i)) for i in items]
        noise = [normal(self._latent_shape, self._seed, self._purpose, epoch, i) for i in items]
        return torch.from_numpy(np.stack(volumes)[:, None]), torch.from_numpy(np.stack(noise))

    def _view(self, epoch: int, item: int) -> int:
        return drawn_view(self._flips, self._seed, epoch, item) if self._flips else 0
