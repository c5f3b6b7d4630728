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
from voxgen.settings.prior import PriorSettings


class SamplingSettings(Section):
    """New volumes."""

    samples: Count = Field(description="volumes to draw")
    steps: Count = Field(description="steps of the sampler (Heun: two evaluations per step; DDIM: one)")


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
    def _prior_has_the_steps(self) -> Self:
        most = self.prior.chosen.most_steps
        if most is not None and self.sampling.steps > most:
            found = f"sampling.steps: {self.sampling.steps}"
            raise ValueError(f"{found}, but the process has {most} steps; give fewer")
        return self

    @model_validator(mode="after")
    def _patch_fits_the_grid(self) -> Self:
        for axis, size, whole in zip("xyz", self.autoencoder.patch or (), self.data.seen_shape, strict=False):
            if size > whole:
                raise ValueError(f"autoencoder.patch: {size} voxels along {axis}, but volumes have {whole}")
        return self

    @model_validator(mode="after")
    def _factors_divide(self) -> Self:
        first, second = self.autoencoder.chosen.network, self.prior.chosen.network
        factors = zip("xyz", self.data.seen_shape, first.factors, second.factors, strict=True)
        for axis, size, factor, further in factors:
            coarsest = factor * further
            if size % coarsest:
                name = "data.train_shape" if self.data.train_shape else "data.grid.shape"
                raise ValueError(
                    f"{name}: {size} voxels along {axis} cannot be halved as often as the networks "
                    f"do: expected a multiple of {coarsest} (autoencoder {factor} x denoiser {further}); "
                    f"try {max(1, round(size / coarsest)) * coarsest}, or fewer levels in "
                    f"autoencoder.{self.autoencoder.kind}.network.channels or "
                    f"prior.{self.prior.kind}.network.channels"
                )
        return self
