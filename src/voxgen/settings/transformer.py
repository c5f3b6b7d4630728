"""The section `prior.transformer`: a second stage that draws codes one after the other."""

from typing import Any, Self

from pydantic import Field, model_validator

from voxgen.least_steps import refuse_sampler
from voxgen.settings.base import Count, Section
from voxgen.settings.training import Training


class CausalNetworkSettings(Section):
    """The network, with the layers of MONAI's DecoderOnlyTransformer."""

    channels: Count = Field(description="width, and numbers of the vector of each code and position")
    layers: Count = Field(description="blocks of attention and perceptron")
    head_channels: Count = Field(description="channels per attention head")

    @property
    def factor(self) -> int:
        """Voxels of a latent per token, along each axis."""
        return 1

    @model_validator(mode="after")
    def _heads_fit_the_width(self) -> Self:
        if self.channels % self.head_channels:
            raise ValueError(f"head_channels {self.head_channels} does not divide the width {self.channels}")
        return self


class TransformerSettings(Section):
    """Codes of a first stage of kind vq, each drawn by those before it (kind transformer)."""

    network: CausalNetworkSettings
    training: Training

    def refuse(self, sampling: dict[str, Any]) -> None:
        """Let no section `sampling` pass, plain, that does not suit.

        Raises:
            InputError: it names a sampler, of which codes that follow each other have none.
        """
        refuse_sampler(sampling)
