"""The prior of kind diffusion: a denoiser, the process that it undoes, and a sampler.

Shapes: B batch, C channels, x y z latent axes.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxgen.errors import InputError
from voxgen.least_steps import chosen_sampler, refuse_steps
from voxgen.models.interfaces import Prior
from voxgen.models.levels import levels_of
from voxgen.models.objective import Address, Batch, Draws, Objective
from voxgen.models.prior.conditioning import dropped, guided, told
from voxgen.models.prior.coupling import optimal_transport
from voxgen.models.prior.inpainting import around_known
from voxgen.models.prior.processes import build_process
from voxgen.models.prior.samplers import MULTISTEP, SAMPLERS, Denoise, Sampler, ddim, times_of
from voxgen.models.prior.times import TIMES
from voxgen.models.prior.unet import UNet
from voxgen.models.vocabulary import Vocabulary
from voxgen.randomness import normal

VALIDATION_TIMES = 8


@final
class Diffusion(Prior):
    """Noise is drawn and taken to latents along a process, by a network like MONAI's DiffusionModelUNet."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        latent_shape: tuple[int, ...],
        vocabulary: Vocabulary | None = None,
    ) -> None:
        self.latent_shape, self.vocabulary = latent_shape, vocabulary
        network = settings["network"]
        self.network = UNet(
            levels_of(network, latent_shape[1:]),
            latent_shape[0],
            network["head_channels"],
            network["norm_groups"],
            classes=len(vocabulary.classes) if vocabulary else 0,
            covariates=len(vocabulary.covariates) if vocabulary else 0,
        )
        self.settings = settings
        self.process = build_process(settings)

    def objective(self) -> Objective:
        return DenoiserObjective(self)

    def refuse(self, sampling: Mapping[str, Any]) -> None:
        refuse_steps(self.settings, sampling)

    def sample(
        self,
        indices: Sequence[int],
        seed: int,
        sampling: Mapping[str, Any],
        given: Mapping[str, Tensor] | None = None,
        purpose: str = "sample",
    ) -> Tensor:
        """An index starts from the same noise, and is given the same in each step, in whichever batch."""
        sampler, times = self._way(sampling)
        start = self._noise(indices, seed, purpose)
        denoise = self._told_denoiser(start, sampling, given or {})
        fresh = partial(self._noise, indices, seed, f"{purpose}-step")
        return sampler(self.process, denoise, start, times, fresh)

    def inpaint(
        self,
        known_BCxyz: Tensor,
        keep_xyz: Tensor,
        indices: Sequence[int],
        seed: int,
        sampling: Mapping[str, Any],
        given: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """By `around_known`, from the noise of the samples of the same indices.

        Raises:
            InputError: the sampler goes by earlier steps, or the prior's latents have noise of their own.
        """
        name = chosen_sampler(self.settings, sampling)
        if name in MULTISTEP:
            raise InputError(
                f"inpaint: sampler {name} goes by earlier steps, but each is gone several times; give "
                "another, such as sampler='heun'"
            )
        if self.settings.get("coupling"):
            raise InputError(
                "inpaint: noise is added, but this prior was trained with noise coupled to its latents; take "
                "one without prior.diffusion.coupling"
            )
        sampler, times = self._way(sampling)
        start = self._noise(indices, seed, "sample")
        denoise = self._told_denoiser(start, sampling, given or {})
        fresh = partial(self._noise, indices, seed, "inpaint")
        return around_known(sampler, self.process, denoise, start, times, known_BCxyz, keep_xyz, fresh)

    def _way(self, sampling: Mapping[str, Any]) -> tuple[Sampler, list[float]]:
        """The sampler that is asked for, and the times that it is to take."""
        name, eta = chosen_sampler(self.settings, sampling), sampling.get("eta")
        sampler = SAMPLERS[name] if eta is None else partial(ddim, eta=eta)
        return sampler, times_of(name, self.process, sampling["steps"])

    def _noise(self, indices: Sequence[int], seed: int, purpose: str, *number: int) -> Tensor:
        noise = np.stack([normal(self.latent_shape, seed, purpose, index, *number) for index in indices])
        return torch.from_numpy(noise).to(next(self.network.parameters()).device)

    def _told_denoiser(
        self, start_BCxyz: Tensor, sampling: Mapping[str, Any], given: Mapping[str, Tensor]
    ) -> Denoise:
        conditional, free = self._denoiser(start_BCxyz, given), self._denoiser(start_BCxyz, {})
        return guided(conditional, free, sampling.get("guidance"), self.process)

    def _denoiser(self, start_BCxyz: Tensor, given: Mapping[str, Tensor]) -> Denoise:
        known = told(self.vocabulary, given, start_BCxyz)

        def denoise(x_BCxyz: Tensor, step_B: Tensor) -> Tensor:
            predicted: Tensor = self.network(x_BCxyz, timesteps=step_B, **known)
            return predicted.float()

        return denoise


class DenoiserObjective(Objective):
    """Mean squared error of what the process asks the denoiser to predict, as it weighs it."""

    def __init__(self, prior: Diffusion) -> None:
        super().__init__()
        self.model = prior.network
        self.process, self.vocabulary = prior.process, prior.vocabulary
        self.tables = ("model.class_embedding",) if self.vocabulary and self.vocabulary.classes else ()
        self.coupled = prior.settings.get("coupling")
        self._draw_time = TIMES[prior.settings.get("times") or "uniform"]

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        corrupted = self.process.corrupt(batch["latent"], batch["noise"], batch["time"])
        noisy_BCxyz, target_BCxyz, step_B = corrupted
        known = told(self.vocabulary, batch, batch["latent"])
        predicted_BCxyz = self.model(noisy_BCxyz, timesteps=step_B, **known)
        error_BCxyz = (predicted_BCxyz.float() - target_BCxyz).square()
        weight_B = self.process.weight(step_B)
        if weight_B is not None:
            error_BCxyz = error_BCxyz * weight_B.view(-1, 1, 1, 1, 1)
        return {"loss": error_BCxyz.mean()}

    def draws(self, shape: tuple[int, ...], address: Address) -> Draws:
        """Noise and a time in [0, 1) for a latent of `shape`; with conditions, whether the item's is dropped.

        In validation times lie on a fixed grid, and nothing is dropped.
        """
        draws = address.generator("latent")
        noise = draws.standard_normal(shape, np.float32)
        if address.purpose == "train":
            time = np.float32(self._draw_time(draws, address))
            return {"noise": noise, "time": time, **dropped(self.vocabulary, address)}
        return {
            "noise": noise,
            "time": np.float32((address.item % VALIDATION_TIMES + 0.5) / VALIDATION_TIMES),
        }

    def partners(self, latents: Sequence[NDArray[np.float32]], draws: Sequence[Draws]) -> NDArray[np.int64]:
        return optimal_transport(np.stack(latents), np.stack([each["noise"] for each in draws]))
