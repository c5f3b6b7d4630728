"""The section `prior`: the second stage, which draws new latents."""

from typing import Literal, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Count, Kinds, Section
from voxgen.settings.networks import LevelsSettings
from voxgen.settings.training import Training

DDPM_STEPS = 1000
LEAST_STEPS = 5  # of the samplers: N(0, s^2) is then drawn within 3 % of its width for s = 0.5, 1 and 2


class UNetSettings(LevelsSettings):
    """The network of a denoiser, with the layers of MONAI's DiffusionModelUNet.

    Every level but the last halves each axis that has several voxels.
    """

    head_channels: Count = Field(description="channels per attention head")

    @property
    def factor(self) -> int:
        """Voxels of the first level per voxel of the last, along an axis of several voxels."""
        return 1 << (len(self.channels) - 1)

    @model_validator(mode="after")
    def _heads_fit_the_width(self) -> Self:
        for width, attends in zip(self.channels, self.attention_levels, strict=True):
            if attends and width % self.head_channels:
                raise ValueError(f"head_channels {self.head_channels} does not divide the width {width}")
        return self


class DiffusionSettings(Section):
    """A denoiser that takes noise to latents in steps (kind diffusion)."""

    process: Literal["flow", "ddpm"] = Field(description="rectified flow, or DDPM that predicts the noise")
    network: UNetSettings
    training: Training

    @property
    def most_steps(self) -> int | None:
        """Steps that a sampler may take at most; None: any number."""
        return DDPM_STEPS if self.process == "ddpm" else None


class PriorSettings(Kinds):
    """The second stage: new latents."""

    source: str = Field(description="train, or the folder of a trained prior, which brings its scale")
    kind: Literal["diffusion"] = Field(description="which kind is trained; each has a section of its own")
    posterior: Literal["draw", "mean"] = Field(description="train on posterior draws or on posterior means")
    diffusion: DiffusionSettings

    @property
    def chosen(self) -> DiffusionSettings:
        """The section of `kind`."""
        section: DiffusionSettings = getattr(self, self.kind)
        return section
