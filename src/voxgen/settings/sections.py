"""The typed settings: one class per section, every key with its meaning, unit and bounds.

There are no defaults here: `config/config.yaml` is their only place. Science sections change results
and make stages stale; the section `machine` says how to compute them and never does.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from voxgen.factors import recommended
from voxgen.least_steps import Sampler
from voxgen.settings.autoencoder import AutoencoderSettings
from voxgen.settings.base import Count, Fraction, Positive, Section, Sparse
from voxgen.settings.conditions import Guidance
from voxgen.settings.data import DataSettings
from voxgen.settings.evaluation import EvaluationSettings
from voxgen.settings.gates import Gates
from voxgen.settings.machine import Machine
from voxgen.settings.prior import PriorSettings


class SamplingSettings(Sparse):
    """New volumes."""

    samples: Count = Field(description="volumes to draw")
    steps: Count = Field(
        description="steps of the sampler; heun's are of two evaluations of the denoiser each"
    )
    rates: bool = Field(
        description="whether the rates that counts are drawn from are kept too (likelihood poisson)"
    )
    condition: str | dict[str, str | int | float] | None = Field(
        description="with prior.condition: a table (.csv) whose row i is for sample i, with columns `label` "
        "and names of covariates; or values by such names, for all samples; null: as train items have it"
    )
    guidance: Guidance | None = Field(
        description="with prior.condition: classifier-free guidance; null: none"
    )
    # Of kind transformer:
    temperature: Positive = Field(
        description="what logits of codes are divided by: below 1 likely codes become likelier (transformer)"
    )
    top_k: Count | None = Field(
        description="codes to draw from, the likeliest at each place; null: from all (transformer)"
    )
    # Of kind diffusion:
    sampler: Sampler | None = Field(description="how noise becomes latents; null: heun, the process allowing")
    eta: Fraction | None = Field(
        description="sampler ddim: share of the noise that is fresh in each step; null: 0"
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
    def _sampling_suits_the_prior(self) -> Self:
        if self.prior.source == "train":  # its folder says what it is
            self.prior.chosen.refuse(self.sampling.model_dump(mode="json"))
        return self

    @model_validator(mode="after")
    def _conditions_suit(self) -> Self:
        if self.data.covariates and not self.data.makes_clouds:
            raise ValueError(
                f"data.covariates: {', '.join(self.data.covariates)}, but those of data.source "
                f"{self.data.source} are columns of its list of scans; set it to []"
            )
        coupling = self.prior.kind == "diffusion" and self.prior.diffusion.coupling
        if self.prior.condition and coupling:
            raise ValueError(
                f"prior.diffusion.coupling: {coupling}, but with prior.condition the noise of a class would "
                "not be normal, while samples start from normal noise; set one of them to null"
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
    def _conditions_are_the_priors(self) -> Self:
        asked, guidance, known = self.sampling.condition, self.sampling.guidance, self.prior.condition
        if known is None:
            if asked is not None or guidance is not None:
                key = "guidance" if asked is None else "condition"
                raise ValueError(
                    f"sampling.{key}: the prior is told nothing of its items; set prior.condition, or this "
                    "to null"
                )
            return self
        if known.label and self.data.label is None:
            raise ValueError("prior.condition.label: true, but data.label is null; name there what holds it")
        for name, value in asked.items() if isinstance(asked, dict) else ():
            if name not in known.names:
                raise ValueError(
                    f"sampling.condition: {name}; the prior is told of {', '.join(known.names)} alone"
                )
            if name in known.covariates and isinstance(value, str):
                raise ValueError(f"sampling.condition.{name}: {value!r}, expected a number")
        if guidance is not None and known.dropped == 0 and self.prior.source == "train":
            raise ValueError(
                "sampling.guidance: needs a prior that was shown items without their condition too; set "
                "prior.condition.dropped to 0.1, say"
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
        shape = self.data.seen_shape
        factors = zip(
            "xyz", shape, self.autoencoder.stem_for(shape), self.autoencoder.factors(shape), strict=True
        )
        for axis, size, fold, factor in factors:
            if size % factor == 0:
                continue
            whole = [] if self.autoencoder.patch else [fold]
            nearest = min(
                [*whole, max(1, round(size / factor)) * factor], key=lambda legal: abs(legal - size)
            )
            name = "data.train_shape" if self.data.train_shape else "data.grid.shape"
            legal = " or ".join([*map(str, whole), f"a multiple of {factor}"])
            raise ValueError(
                f"{name}: {size} voxels along {axis} cannot be folded and shrunk as the autoencoder does: "
                f"expected {legal} (stem {fold} x {factor // fold} between levels); try {nearest}, or "
                f"{self._other_factors(shape)}"
            )
        return self

    @model_validator(mode="after")
    def _transformer_has_codes(self) -> Self:
        if self.autoencoder.source != "train":  # its folder says whether it has codes
            return self
        if self.prior.kind == "transformer" and self.autoencoder.kind != "vq":
            raise ValueError(
                f"prior.kind: transformer draws codes, but autoencoder.kind {self.autoencoder.kind} has "
                "none; set autoencoder.kind: vq, or prior.kind: diffusion"
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
