"""The section `prior`: the second stage, which draws new latents."""

from typing import Literal, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Count, Kinds, Section
from voxgen.settings.training import Training, check_levels

DDPM_STEPS = 1000


class UNetSettings(Section):
    """The layers of MONAI's DiffusionModelUNet; every level but the last halves the latent."""

    channels: tuple[Count, ...] = Field(description="width of each level")
    res_blocks: Count = Field(description="residual blocks per level")
    attention_levels: tuple[bool, ...] = Field(description="self-attention, per level")
    head_channels: Count = Field(description="channels per attention head")
    norm_groups: Count = Field(description="groups of the group normalisation")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_levels(self.channels, self.attention_levels, self.norm_groups)
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
    def factors(self) -> tuple[int, int, int]:
        """Latents per coarsest feature along x, y, z."""
        factor = 2 ** (len(self.network.channels) - 1)
        return factor, factor, factor


class PriorSettings(Kinds):
    """The second stage: new latents."""

    kind: Literal["diffusion"] = Field(description="which kind is trained; each has a section of its own")
    posterior: Literal["draw", "mean"] = Field(description="train on posterior draws or on posterior means")
    diffusion: DiffusionSettings

    @property
    def chosen(self) -> DiffusionSettings:
        """The section of `kind`."""
        section: DiffusionSettings = getattr(self, self.kind)
        return section
