"""Noise on the inputs of a training, which an autoencoder learns to take out (Vincent et al., ICML 2008).

Shapes: B batch, C channels, X Y Z grid.
"""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from voxgen.models.objective import Address, Batch, Draws


def noise_draws(settings: Mapping[str, float] | None, shape: tuple[int, ...], address: Address) -> Draws:
    """What `noisy` needs for one volume (X, Y, Z): nothing in validation, or without `settings`."""
    if settings is None or address.purpose != "train":
        return {}
    draws: Draws = {}
    if sigma := settings["gaussian"]:
        normal = address.generator("input noise").standard_normal((1, *shape), np.float32)
        draws["input_noise"] = np.float32(sigma) * normal
    if share := settings["dropout"]:
        draws["kept"] = address.generator("dropout").random((1, *shape), np.float32) >= share
    return draws


def noisy(batch: Batch) -> Tensor:
    """The volumes of a batch as the encoder is to see them: with its `noise_draws`, where there are any."""
    x_BCXYZ = batch["volume"]
    if "input_noise" in batch:
        x_BCXYZ = x_BCXYZ + batch["input_noise"]
    return x_BCXYZ * batch["kept"] if "kept" in batch else x_BCXYZ
