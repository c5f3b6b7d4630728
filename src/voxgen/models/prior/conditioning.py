"""How a network is told the condition of an item, and guidance of a denoiser by it.

Shapes: B batch, K covariates, C channels, x y z latent axes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxgen.models.objective import Address, Draws
from voxgen.models.prior.processes import Process
from voxgen.models.prior.samplers import Denoise
from voxgen.models.vocabulary import Vocabulary

UNKNOWN = -1  # in place of a class; of a covariate it is NaN


def told(vocabulary: Vocabulary | None, given: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
    """Keyword arguments of a network for as many items as `like` has, on its device: `class_labels` (B,)
    and `covariates` (B, K) in standard deviations from the mean.

    `given` holds what a batch does: "label" (B,), a number of a class, and "covariate NAME" (B,). What it
    lacks is unknown, and so are all items where `given` has "dropped" (B,) and it is true.
    """
    if vocabulary is None:
        return {}
    nothing = like.new_full((len(like),), float("nan"), dtype=torch.float32)
    dropped = given.get("dropped", torch.zeros_like(nothing, dtype=torch.bool))
    arguments = {}
    if vocabulary.classes:
        label_B = given.get("label", torch.full_like(nothing, UNKNOWN, dtype=torch.int64))
        arguments["class_labels"] = label_B.masked_fill(dropped, UNKNOWN)
    if vocabulary.covariates:
        columns = [
            (given.get(f"covariate {name}", nothing) - mean) / std
            for name, (mean, std) in vocabulary.covariates.items()
        ]
        arguments["covariates"] = torch.stack(columns, 1).masked_fill(dropped[:, None], float("nan"))
    return arguments


def dropped(vocabulary: Vocabulary | None, address: Address) -> Draws:
    """Whether a training shows an item without its condition; empty without one, and in validation."""
    if vocabulary is None or address.purpose != "train":
        return {}
    return {"dropped": np.bool_(address.generator("condition").random() < vocabulary.dropped)}


def guided(
    conditional: Denoise, free: Denoise, guidance: Mapping[str, Any] | None, process: Process
) -> Denoise:
    """A denoiser that goes further along what the condition changes of its prediction.

    free + scale (conditional - free), classifier-free guidance (Ho and Salimans, arXiv 2207.12598, eq. 6,
    whose w is scale - 1), at times inside `interval` (Kynkaanniemi et al., arXiv 2404.07724, eq. 5), outside
    it, and without `guidance`, the conditional prediction. Processes predict what is linear in the noise, so
    that it is the same for each of them.
    """
    if guidance is None:
        return conditional
    first, last = (process.told(time) for time in guidance["interval"])

    def denoise(x_BCxyz: Tensor, step_B: Tensor) -> Tensor:
        predicted = conditional(x_BCxyz, step_B)
        if not first <= float(step_B[0]) <= last:
            return predicted
        return torch.lerp(free(x_BCxyz, step_B), predicted, guidance["scale"])

    return denoise
