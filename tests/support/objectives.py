"""Objectives of small autoencoders with terms of a test's choice, and batches for them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxgen.models.first_stage.kl import KLAutoencoder, KLObjective
from voxgen.models.objective import Address, Purpose

L1, KL = {"weight": 1.0, "foreground": 3.0}, {"weight": 0.5}
NETWORK = {
    "channels": [8],
    "attention_levels": [False],
    "latent_channels": 2,
    "res_blocks": 1,
    "norm_groups": 4,
}
SHAPE = (12, 12, 8)


def objective(losses: dict[str, Any], stem: tuple[int, ...] = (1, 1, 1), **more: Any) -> KLObjective:
    """Always with the same weights."""
    torch.manual_seed(0)
    section = {"network": {**NETWORK, "stem": stem}, "losses": losses, **more}
    made = KLAutoencoder(section, SHAPE).objective()
    assert isinstance(made, KLObjective)
    return made


def batch_of(made: KLObjective, items: int, purpose: Purpose = "train") -> dict[str, Tensor]:
    """Volumes, mostly near 0, with the objective's draws."""
    draws = [made.draws(SHAPE, Address(0, purpose, 0, item)) for item in range(items)]
    volumes = np.random.default_rng(0).gamma(0.5, 0.5, (items, 1, *SHAPE)).astype(np.float32)
    named = {name: torch.from_numpy(np.stack([each[name] for each in draws])) for name in draws[0]}
    return {"volume": torch.from_numpy(volumes), **named}
