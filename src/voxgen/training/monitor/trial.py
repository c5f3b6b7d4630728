"""One forward and backward step of a tiny autoencoder: whether a device does what a training asks of it."""

import time
from pathlib import Path
from typing import Any

import torch

from voxgen.machine.environment import store_environment
from voxgen.machine.fabric import fastest
from voxgen.models.kinds import build_first_stage

SETTINGS = {
    "kind": "kl",
    "patch": None,
    "kl": {
        "network": {
            "stem": [1, 1, 1],
            "channels": [8, 8],
            "res_blocks": 1,
            "attention_levels": [False, True],
            "latent_channels": 2,
            "norm_groups": 4,
        },
        "losses": {"l1": {"weight": 1.0, "foreground": 10.0}, "kl": {"weight": 1.0e-4}},
    },
}
EDGE = 8


def store_environment_with_step(path: Path, device: torch.device | None = None) -> None:
    """Write what `environment` finds to `path`, and under "step" what `trial` does; nothing is raised."""
    store_environment(path, step=trial(device))


def trial(device: torch.device | None = None) -> dict[str, Any]:
    """A step in fp32, and in bf16 where the device has it; random numbers go on as if there were none.

    `device` is by default the one that `machine.device: auto` takes. Each of "fp32" and "bf16" holds
    "seconds" of the second of two steps (the first one warms up), whether loss and gradient are "finite",
    and the "error" that ended it.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cuda = device.type == "cuda"
    kinds = {"fp32": torch.float32} | ({"bf16": torch.bfloat16} if fastest(device.type) == "bf16" else {})
    with torch.random.fork_rng(devices=[device] if cuda else []):
        steps = {name: _attempt(device, kind) for name, kind in kinds.items()}
    return {"device": device.type, **steps}


def _attempt(device: torch.device, kind: torch.dtype) -> dict[str, Any]:
    try:
        seconds, finite = _steps(device, kind)
    except Exception as error:  # whatever a broken driver or build raises is what is to be told
        return {"seconds": None, "finite": None, "error": f"{type(error).__name__}: {error}"[:500]}
    return {"seconds": round(seconds, 4), "finite": finite, "error": None}


def _steps(device: torch.device, kind: torch.dtype) -> tuple[float, bool]:
    """Seconds of the second of two steps, and whether its loss and all gradients are finite."""
    objective = build_first_stage(SETTINGS, (EDGE, EDGE, EDGE)).objective().to(device)
    volume = torch.rand(1, 1, EDGE, EDGE, EDGE, device=device)
    noise = torch.randn(1, 2, EDGE // 2, EDGE // 2, EDGE // 2, device=device)
    batch = {"volume": volume, "noise": noise}
    for _ in range(2):
        objective.zero_grad()
        start = time.perf_counter()
        with torch.autocast(device.type, kind, enabled=kind != torch.float32):
            loss = objective(batch)["loss"]
        loss.backward()
        gradients = [weight.grad for weight in objective.parameters() if weight.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients).item()
        seconds = time.perf_counter() - start
    return seconds, bool(torch.isfinite(loss)) and 0 < norm < float("inf")
