"""Which sampler goes back along which process, and in how many steps at least. No torch.

What they do is in `voxgen.models.prior.samplers`; docs/diffusion.md says why a number is here, or none.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

from voxgen.errors import InputError

Sampler = Literal["euler", "heun", "ddim", "ddpm", "pndm", "dpm_solver_2m", "sde"]

DDPM_STEPS = 1000
# With as many steps or more N(0, s^2) is drawn within 3 % of its width for s = 0.5, 1 and 2 from its exact
# denoiser. Of DDPM by the schedule; "cosine, epsilon" is that schedule where the noise is predicted.
LEAST_STEPS: dict[str, dict[Sampler, int]] = {
    "flow": {"euler": 49, "heun": 5, "ddim": 49, "ddpm": 110, "dpm_solver_2m": 12, "sde": 40},
    "scaled_linear": {
        "euler": 22,
        "heun": 5,
        "ddim": 52,
        "ddpm": 120,
        "pndm": 24,
        "dpm_solver_2m": 18,
        "sde": 27,
    },
    "linear": {"euler": 16, "heun": 20, "ddim": 52, "ddpm": 120, "pndm": 30, "dpm_solver_2m": 18, "sde": 14},
    "cosine": {"euler": 12, "heun": 10, "ddim": 52, "ddpm": 120, "dpm_solver_2m": 18, "sde": 10},
    "cosine, epsilon": {"ddpm": 120},
}
USUAL: tuple[Sampler, ...] = "heun", "ddpm"  # the first that a process has
ADDS_NOISE = "ddpm", "sde"


def chosen_sampler(diffusion: Mapping[str, Any], sampling: Mapping[str, Any]) -> Sampler:
    """The sampler that a section `sampling` names for the process of a section `prior.diffusion`, both plain.

    Raises:
        InputError: it makes no sense along this process.
    """
    way = way_of(diffusion)
    legal = [name for name in LEAST_STEPS[way] if not (diffusion.get("zero_snr") and name == "pndm")]
    name: Sampler = sampling.get("sampler") or next(usual for usual in USUAL if usual in legal)
    eta = sampling.get("eta")
    if name not in legal:
        fades = "zero_snr" if diffusion.get("zero_snr") else way
        remedy = ", or prior.diffusion.prediction: v or x0" if way == "cosine, epsilon" else ""
        raise InputError(
            f"sampling.sampler: {name}, but it would divide by the weight of the latents at the start, and "
            f"{fades} leaves next to nothing of them; expected one of {', '.join(legal)}{remedy}"
        )
    if eta is not None and name != "ddim":
        raise InputError(
            f"sampling.eta: {eta}, but sampler {name} has none; set it to null, or sampler: ddim"
        )
    if diffusion.get("coupling") and (eta or name in ADDS_NOISE):
        quiet = [other for other in legal if other not in ADDS_NOISE]
        raise InputError(
            f"sampling.sampler: {name}, but noise that is added is independent of the latents, and "
            f"prior.diffusion.coupling ties them; expected one of {', '.join(quiet)}, without eta"
        )
    return name


def refuse_steps(diffusion: Mapping[str, Any], sampling: Mapping[str, Any]) -> None:
    """Let no number of steps pass that the process has not, or that cannot keep the width of latents.

    Raises:
        InputError: says how many would do; or the sampler makes no sense along this process.
    """
    name, steps = chosen_sampler(diffusion, sampling), sampling["steps"]
    least = least_steps(diffusion, name, sampling.get("eta") or 0.0)
    if diffusion["process"] == "ddpm" and steps > DDPM_STEPS:
        raise InputError(f"sampling.steps: {steps}, but the process has {DDPM_STEPS} steps; give fewer")
    if steps < least:
        raise InputError(
            f"sampling.steps: {steps}, but with fewer than {least} of sampler {name} even a perfect denoiser "
            f"gives latents whose standard deviation is wrong by more than 3 %; give {least} or more"
        )


def least_steps(diffusion: Mapping[str, Any], sampler: Sampler, eta: float = 0.0) -> int:
    """The fewest steps that a sampler is to take; those of DDIM grow with eta's square to those of DDPM."""
    least = LEAST_STEPS[way_of(diffusion)]
    return math.ceil(least[sampler] + eta**2 * (least["ddpm"] - least[sampler]))


def way_of(diffusion: Mapping[str, Any]) -> str:
    """What of a section `prior.diffusion`, plain, decides on samplers: a key of `LEAST_STEPS`."""
    if diffusion["process"] == "flow":
        return "flow"
    schedule, prediction = diffusion.get("schedule") or "scaled_linear", diffusion.get("prediction")
    return f"{schedule}, epsilon" if schedule == "cosine" and prediction in (None, "epsilon") else schedule


def refuse_sampler(sampling: Mapping[str, Any]) -> None:
    """Let no section `sampling` pass, plain, that names a sampler: a prior of kind transformer has none.

    Raises:
        InputError: it does.
    """
    for key in ("sampler", "eta"):
        if sampling.get(key) is not None:
            raise InputError(
                f"sampling.{key}: {sampling[key]}, but prior.kind transformer has none; set it to null"
            )
