"""The sections `autoencoder` and `diffusion`: networks, losses, trainings."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Count, Fraction, Positive, Section


class Training(Section):
    """One training: its length, optimiser and averaging."""

    epochs: Count = Field(description="passes over the train split; raising it continues the training")
    schedule_epochs: Count = Field(description="epochs after which the learning rate reaches its floor")
    batch: Count = Field(description="items in a step")
    learning_rate: Positive = Field(description="peak learning rate of AdamW")
    schedule: Literal["cosine", "linear", "constant"] = Field(
        description="way of the learning rate from its peak to its floor, after the warm-up"
    )
    floor: Fraction = Field(description="final learning rate as a share of the peak")
    warmup_steps: Annotated[int, Field(ge=0)] = Field(description="steps of linear warm-up")
    weight_decay: Annotated[float, Field(ge=0)] = Field(description="decoupled weight decay")
    clip: Positive = Field(description="largest norm of the gradient")
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(description="decay of the averaged weights")
    patience: Count | None = Field(
        description="epochs without a lower validation loss that end the training; null: it goes to `epochs`"
    )
    weights: Literal["last", "best"] = Field(
        description="averaged weights that are kept: after the last epoch, or of the lowest validation loss"
    )
    fast_dev_run: bool = Field(description="two steps and one batch of validation, to see that all works")


class AutoencoderNetwork(Section):
    """MONAI's AutoencoderKL; every level but the last halves the grid."""

    channels: tuple[Count, ...] = Field(description="width of each level")
    latent_channels: Count = Field(description="channels of the latent")
    res_blocks: Count = Field(description="residual blocks in a level")
    attention_levels: tuple[bool, ...] = Field(description="self-attention, for each level")
    norm_groups: Count = Field(description="groups of the group normalisation")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_levels(self.channels, self.attention_levels, self.norm_groups)
        return self

    @property
    def factor(self) -> int:
        """How many voxels along an axis share a latent."""
        return int(2 ** (len(self.channels) - 1))


class AutoencoderSettings(Section):
    """The first stage: volumes to latents and back."""

    source: str = Field(description="train, or the folder of a trained autoencoder")
    network: AutoencoderNetwork
    patch: tuple[Count, Count, Count] | None = Field(
        description="shape of the random patches that it is trained on [voxels]; null: whole volumes"
    )
    foreground_weight: Positive = Field(
        description="weight of a voxel of intensity 1 in the L1 loss (empty: 1)"
    )
    kl_weight: Annotated[float, Field(ge=0)] = Field(
        description="weight of the KL divergence per latent element"
    )
    training: Training

    @model_validator(mode="after")
    def _patch_is_halved_evenly(self) -> Self:
        for axis, size in zip("xyz", self.patch or (), strict=False):
            if size % self.network.factor:
                raise ValueError(
                    f"patch: {size} voxels along {axis}, expected a multiple of {self.network.factor}, "
                    "by which the network shrinks them"
                )
        return self


class DenoiserNetwork(Section):
    """MONAI's DiffusionModelUNet; every level but the last halves the latent."""

    channels: tuple[Count, ...] = Field(description="width of each level")
    res_blocks: Count = Field(description="residual blocks in a level")
    attention_levels: tuple[bool, ...] = Field(description="self-attention, for each level")
    head_channels: Count = Field(description="channels of an attention head")
    norm_groups: Count = Field(description="groups of the group normalisation")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_levels(self.channels, self.attention_levels, self.norm_groups)
        for width, attends in zip(self.channels, self.attention_levels, strict=True):
            if attends and width % self.head_channels:
                raise ValueError(f"head_channels {self.head_channels} does not divide the width {width}")
        return self

    @property
    def factor(self) -> int:
        """How many latents along an axis share the coarsest feature."""
        return int(2 ** (len(self.channels) - 1))


class DiffusionSettings(Section):
    """The second stage: noise to latents."""

    process: Literal["flow", "ddpm"] = Field(description="rectified flow, or DDPM that predicts the noise")
    posterior: Literal["draw", "mean"] = Field(description="train on posterior draws or on posterior means")
    network: DenoiserNetwork
    training: Training


def _check_levels(channels: tuple[int, ...], attention: tuple[bool, ...], groups: int) -> None:
    if not channels:
        raise ValueError("channels: empty, expected the width of at least one level")
    if len(channels) != len(attention):
        raise ValueError(f"channels has {len(channels)} levels, attention_levels {len(attention)}")
    for width in channels:
        if width % groups:
            raise ValueError(f"norm_groups {groups} does not divide the width {width}")
