"""The section `autoencoder`: the first stage, which takes volumes to latents and back."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Count, Kinds, Positive, Section
from voxgen.settings.networks import LevelsSettings
from voxgen.settings.training import Training


class KLNetwork(LevelsSettings):
    """The network of an autoencoder, with the layers of MONAI's AutoencoderKL."""

    latent_channels: Count = Field(description="channels of the latent")


class L1Loss(Section):
    """Absolute error of the reconstruction."""

    weight: Positive = Field(description="weight of the term")
    foreground: Positive = Field(description="weight of a voxel of intensity 1 (an empty one: 1)")


class KLDivergence(Section):
    """Divergence of the posterior from a standard normal distribution, per latent element."""

    weight: Annotated[float, Field(ge=0)] = Field(description="weight of the term")


class KLLosses(Section):
    """The terms of the loss, by name; it is their weighted sum."""

    l1: L1Loss
    kl: KLDivergence


class KLSettings(Section):
    """An autoencoder whose latents have a posterior near a standard normal distribution (kind kl)."""

    network: KLNetwork
    losses: KLLosses
    training: Training


class AutoencoderSettings(Kinds):
    """The first stage: volumes to latents and back."""

    source: str = Field(description="train, or the folder of a trained autoencoder")
    kind: Literal["kl"] = Field(description="which kind is trained; each has a section of its own")
    patch: tuple[Count, Count, Count] | None = Field(
        description="shape of the random patches that it is trained on [voxels]; null: whole volumes"
    )
    kl: KLSettings

    @property
    def chosen(self) -> KLSettings:
        """The section of `kind`."""
        section: KLSettings = getattr(self, self.kind)
        return section

    @model_validator(mode="after")
    def _patch_is_divided_evenly(self) -> Self:
        for axis, size, factor in zip("xyz", self.patch or (), self.chosen.network.factors, strict=False):
            if size % factor:
                raise ValueError(
                    f"patch: {size} voxels along {axis}, expected a multiple of {factor}, "
                    "by which the network shrinks them"
                )
        return self
