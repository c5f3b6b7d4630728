"""The typed settings: one class per section, every key with its meaning, unit and bounds.

There are no defaults here: `config/config.yaml` is their only place. Science sections change results
and make stages stale; the section `machine` says how to compute them and never does.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from voxgen.factors import recommended
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
    rates: bool = Field(
        description="whether the rates that counts are drawn from are kept too (likelihood poisson)"
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
    def _likelihood_suits_the_volumes(self) -> Self:
        if self.autoencoder.source != "train":  # its folder says what it decodes
            return self
        name = "autoencoder.kl.likelihood"
        if not self.autoencoder.draws_counts:
            if self.sampling.rates:
                raise ValueError(
                    "sampling.rates: true, but no counts are drawn; give autoencoder.kind: kl and "
                    f"{name}: poisson, or set it to false"
                )
            return self
        if not self.data.makes_clouds:
            raise ValueError(
                f"{name}: poisson, but volumes of data.source {self.data.source} are no counts of points; "
                "set it to null"
            )
        if self.data.grid.method != "density":
            kind = "smoothed counts" if self.data.grid.method == "gaussian" else "0 and 1"
            raise ValueError(
                f"{name}: poisson, but data.grid.method {self.data.grid.method} stores {kind}, expected "
                "whole counts; set data.grid.method: density"
            )
        return self

    @model_validator(mode="after")
    def _prior_has_its_autoencoder(self) -> Self:
        if self.prior.source != "train" and self.autoencoder.source == "train":
            raise ValueError(
                f"prior.source: {self.prior.source}, but the autoencoder is to be trained, and its latents "
                "would not be those of this prior; name the prior's autoencoder in autoencoder.source"
            )
        return self

    @model_validator(mode="after")
    def _patch_fits_the_grid(self) -> Self:
        for axis, size, whole in zip("xyz", self.autoencoder.patch or (), self.data.seen_shape, strict=False):
            if size > whole:
                raise ValueError(f"autoencoder.patch: {size} voxels along {axis}, but volumes have {whole}")
        return self

    @model_validator(mode="after")
    def _volumes_carry_a_discriminator(self) -> Self:
        self.autoencoder.refuse_discriminator(self.data.seen_shape)
        return self

    @model_validator(mode="after")
    def _factors_divide(self) -> Self:
        if self.prior.source != "train":
            return self  # the networks are not those of these settings
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
                f"{name}: {size} voxels along {axis} cannot be folded and shrunk as the networks do: "
                f"expected {legal} (stem {fold} x autoencoder {factor // fold} x denoiser {further}); "
                f"try {nearest}, or fewer levels in prior.{self.prior.kind}.network.channels, or "
                f"{self._other_factors(shape)}"
            )
        return self

    def _other_factors(self, shape: Sequence[int]) -> str:
        """What else would do for volumes (X, Y, Z), as the end of a refusal."""
        where, network = f"autoencoder.{self.autoencoder.kind}.network", self.autoencoder.chosen.network
        if "factors" not in type(network).model_fields:  # each of its levels halves
            return f"another stem, or fewer channels, in {where}"
        levels, further = len(network.steps) + 1, self.prior.chosen.network.factor
        found = recommended(shape, levels, further, self.autoencoder.patch)
        if found is None:
            return f"other factors in {where} (none make latents of 8 to 32 voxels along each axis)"
        return f"{{{found}}} in {where}, for latents of 8 to 32 voxels along each axis that is not thin"
