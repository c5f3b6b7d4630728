"""The typed settings: one class per section, every key with its meaning, unit and bounds.

There are no defaults here: `config/config.yaml` is their only place. Science sections change results
and make stages stale; the section `machine` says how to compute them and never does.
"""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from voxgen.settings.autoencoder import AutoencoderSettings
from voxgen.settings.base import Count, Section
from voxgen.settings.data import DataSettings
from voxgen.settings.evaluation import EvaluationSettings
from voxgen.settings.gates import Gates
from voxgen.settings.machine import Machine
from voxgen.settings.prior import LEAST_STEPS, PriorSettings


class SamplingSettings(Section):
    """New volumes."""

    samples: Count = Field(description="volumes to draw")
    steps: Count = Field(
        description="steps of the sampler (Heun's method), of two evaluations of the denoiser each"
    )


class Settings(Section):
    """Everything that can be set."""

    seed: Annotated[int, Field(ge=0)] = Field(description="seed of every draw")
    data: DataSettings
    autoencoder: AutoencoderSettings
    prior: PriorSettings
    sampling: SamplingSettings
    evaluation: EvaluationSettings
    gates: Gates
    machine: Machine

    @property
    def science(self) -> dict[str, Any]:
        """All that may change a result, plain: everything but `machine`."""
        return self.model_dump(mode="json", exclude={"machine"})

    @model_validator(mode="after")
    def _steps_suit_the_prior(self) -> Self:
        most, found = self.prior.chosen.most_steps, f"sampling.steps: {self.sampling.steps}"
        if most is not None and self.sampling.steps > most:
            raise ValueError(f"{found}, but the process has {most} steps; give fewer")
        if self.sampling.steps < LEAST_STEPS:
            raise ValueError(
                f"{found}, but with fewer than {LEAST_STEPS} even a perfect denoiser gives latents whose "
                f"standard deviation is wrong by more than 3 %; give {LEAST_STEPS} or more"
            )
        return self

    @model_validator(mode="after")
    def _patch_fits_the_grid(self) -> Self:
        for axis, size, whole in zip("xyz", self.autoencoder.patch or (), self.data.seen_shape, strict=False):
            if size > whole:
                raise ValueError(f"autoencoder.patch: {size} voxels along {axis}, but volumes have {whole}")
        return self

    @model_validator(mode="after")
    def _factors_divide(self) -> Self:
        shape, further = self.data.seen_shape, self.prior.chosen.network.factor
        factors = zip(
            "xyz", shape, self.autoencoder.stem_for(shape), self.autoencoder.factors(shape), strict=True
        )
        for axis, size, fold, factor in factors:
            coarsest, flat = factor * further, {factor} if self.autoencoder.patch else {fold, factor}
            if size == factor or size % coarsest == 0:
                continue
            nearest = min(
                [*flat, max(1, round(size / coarsest)) * coarsest], key=lambda legal: abs(legal - size)
            )
            name = "data.train_shape" if self.data.train_shape else "data.grid.shape"
            legal = f"{', '.join(map(str, sorted(flat)))} or a multiple of {coarsest}"
            raise ValueError(
                f"{name}: {size} voxels along {axis} cannot be folded and halved as the networks do: "
                f"expected {legal} (stem {fold} x autoencoder {factor // fold} x denoiser {further}); "
                f"try {nearest}, or fewer levels in "
                f"autoencoder.{self.autoencoder.kind}.network.channels or "
                f"prior.{self.prior.kind}.network.channels"
            )
        return self
