"""Latents that shrink as their volume does, which makes them easier to generate.

Of some items the draw of the posterior is shrunk, and is to be decoded to the volume shrunk likewise: EQ-VAE
(Kouzelis et al., arXiv 2502.09509), without its quarter turns, which brought nothing (docs/autoencoder.md).
Validation, encoding and decoding know nothing of it.

Shapes: B batch, C channels, X Y Z grid, x y z latent axes.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from torch import Tensor
from torch.nn.functional import interpolate

from voxgen.models.objective import Address, Batch, Draws


def shrinking_draws(settings: Mapping[str, float] | None, latent: Sequence[int], address: Address) -> Draws:
    """What `shrunk` needs for one item with a latent (x, y, z): its voxels after shrinking.

    Nothing in validation, or without `settings`.
    """
    if settings is None or address.purpose != "train":
        return {}
    draws, scale = address.generator("equivariance"), 1.0
    if draws.random() < settings["share"]:
        scale = draws.uniform(settings["smallest"], 1.0)
    return {"latent_size": np.array([max(1, round(scale * voxels)) for voxels in latent])}


def shrunk(z_BCxyz: Tensor, batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
    """Latents and the volumes that they are to be decoded to, by the batch's `shrinking_draws`.

    Those of one size come together.
    """
    x_BCXYZ = batch["volume"]
    if "latent_size" not in batch:
        yield z_BCxyz, x_BCXYZ
        return
    sizes = zip(x_BCXYZ.shape[2:], z_BCxyz.shape[2:], strict=True)
    factors = [voxels // latents for voxels, latents in sizes]
    items: dict[tuple[int, ...], list[int]] = {}
    for item, size in enumerate(batch["latent_size"].tolist()):
        items.setdefault(tuple(size), []).append(item)
    for size, chosen in items.items():
        whole = [voxels * factor for voxels, factor in zip(size, factors, strict=True)]
        yield _covering(z_BCxyz[chosen], size), _covering(x_BCXYZ[chosen], whole)


def _covering(x_BCXYZ: Tensor, size: Sequence[int]) -> Tensor:
    """Each voxel the mean over the part of the volume that it covers."""
    return x_BCXYZ if tuple(size) == x_BCXYZ.shape[2:] else interpolate(x_BCXYZ, list(size), mode="area")
