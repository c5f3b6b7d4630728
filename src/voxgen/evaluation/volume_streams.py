"""Volumes for an evaluation, batch by batch: as they are stored, and as an autoencoder reconstructs them.

Shapes: B volumes per batch; X, Y, Z voxels.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.models.codec import Autoencoder
from voxgen.randomness import generator
from voxgen.volumes.nifti import read_volume

Batch = tuple[list[str], NDArray[np.float32]]  # ids, volumes (B, X, Y, Z) as they are stored


def read_batches(ids: Sequence[str], folder: Path, shape: tuple[int, ...], batch: int) -> Iterator[Batch]:
    """Batches of at most `batch` volumes {id}.nii.gz of a folder.

    Raises:
        InputError: a volume has another shape.
    """
    for start in range(0, len(ids), batch):
        group = list(ids[start : start + batch])
        volumes = [read_volume(folder / f"{one}.nii.gz") for one in group]
        for one, volume in zip(group, volumes, strict=True):
            if volume.shape != tuple(shape):
                raise InputError(
                    f"{folder}/{one}.nii.gz: {volume.shape} voxels, expected the autoencoder's grid, "
                    f"{tuple(shape)}; give the autoencoder trained on this grid"
                )
        yield group, np.stack(volumes)


def rebuild(first: Autoencoder, batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same volumes, decoded from their posterior means.

    Raises:
        InputError: a reconstruction is not finite.
    """
    for ids, x_BXYZ in batches:
        network_BXYZ = first.reconstruct(first.intensity.to_network(x_BXYZ))
        r_BXYZ = first.intensity.from_network(network_BXYZ)
        for one, volume in zip(ids, r_BXYZ, strict=True):
            if not np.isfinite(volume).all():
                raise InputError(f"{one}: its reconstruction is not finite; train the autoencoder for longer")
        yield ids, r_BXYZ


def rebuild_as_drawn(first: Autoencoder, batches: Iterable[Batch], seed: int) -> Iterator[Batch]:
    """The same, made as samples are: where these are drawn counts, so is what was decoded."""
    for ids, r_BXYZ in rebuild(first, batches):
        drawn = [
            first.drawn(r, generator(seed, f"rebuilt {one}")) for one, r in zip(ids, r_BXYZ, strict=True)
        ]
        yield ids, np.stack(drawn)
