"""The section `autoencoder.vq`: a first stage whose latents are rounded to the vectors of a codebook."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from voxgen.factors import HALVED, Factors
from voxgen.settings.base import Count, Section, Share
from voxgen.settings.losses import Losses
from voxgen.settings.networks import StemSettings
from voxgen.settings.training import Training


class VQNetwork(StemSettings):
    """The network, with the layers of MONAI's VQVAE."""

    channels: tuple[Count, ...] = Field(
        description="width of each level; every level halves each axis that has several voxels"
    )
    res_blocks: Count = Field(description="residual units per level")
    res_channels: tuple[Count, ...] = Field(description="width inside the residual units of each level")
    codes: Count = Field(description="vectors of the codebook")
    latent_channels: Count = Field(description="channels of the latent, and numbers of a code's vector")

    @property
    def steps(self) -> tuple[Factors, ...]:
        """The factors along x, y, z of each level."""
        return (HALVED,) * len(self.channels)

    @model_validator(mode="after")
    def _levels_fit_each_other(self) -> Self:
        if not self.channels:
            raise ValueError("channels: empty, expected the width of at least one level")
        if len(self.channels) != len(self.res_channels):
            raise ValueError(
                f"channels has {len(self.channels)} levels, res_channels {len(self.res_channels)}"
            )
        return self


class CodebookSettings(Section):
    """How the codes follow the latents that are rounded to them."""

    decay: Share = Field(description="decay per step of the moving averages that the codes follow")
    restart: Share = Field(
        description="share of the mean use below which a code starts again at a latent of the batch"
    )


class Commitment(Section):
    """Squared distance of a latent's numbers from those of its code."""

    weight: Annotated[float, Field(ge=0)] = Field(description="weight of the term")


class VQLosses(Losses):
    """The terms of the loss of kind vq, by name; it is their weighted sum."""

    commitment: Commitment


class VQSettings(Section):
    """An autoencoder whose latents are rounded to codes (kind vq)."""

    network: VQNetwork
    codebook: CodebookSettings
    losses: VQLosses
    training: Training
