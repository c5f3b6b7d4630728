"""The sections `losses` of first stages: the terms, by name, whose weighted sum is minimised."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Count, Positive, Section, Sparse

LEAST_PATCHES = 3  # voxels of an axis after all halvings: a discriminator's last two kernels take one each

Network = Literal["medicalnet_resnet10", "medicalnet_resnet50", "imagenet_resnet50"]


class AbsoluteError(Section):
    """Absolute error of the reconstruction."""

    weight: Positive = Field(description="weight of the term")
    foreground: Positive = Field(description="weight of a voxel of intensity 1 (an empty one: 1)")


class SquaredError(Section):
    """Squared error of the reconstruction."""

    weight: Positive = Field(description="weight of the term")
    foreground: Positive = Field(description="weight of a voxel of intensity 1 (an empty one: 1)")


class Overlap(Section):
    """1 - Dice of what lies above a threshold, by a soft step."""

    weight: Positive = Field(description="weight of the term")
    threshold: float = Field(description="intensity in the network's range of which a half counts as inside")
    softness: Positive = Field(
        description="width of the step around the threshold: threshold + softness counts as 0.73, "
        "+ 3 softness as 0.95"
    )


class CentrelineOverlap(Overlap):
    """1 - clDice: how much of each skeleton lies inside the other volume."""

    iterations: Count = Field(
        description="voxels that are peeled off to find skeletons: as many as structures are wide in radius"
    )


class Perception(Section):
    """Distance between features that a pretrained network sees in volume and reconstruction."""

    weight: Positive = Field(description="weight of the term")
    network: Network = Field(
        description="MedicalNet's ResNets see volumes, ImageNet's sees slices across the shortest axis"
    )
    weights: str | None = Field(
        description="file of its weights; null: that of `voxgen fetch-weights` in the cache folder"
    )


class Adversary(Section):
    """A discriminator that learns to tell reconstructions from volumes, patch by patch."""

    weight: Positive = Field(description="weight of the term in the autoencoder's loss")
    warmup_epochs: Annotated[int, Field(ge=0)] = Field(description="epochs before it begins")
    learning_rate: Positive = Field(description="peak learning rate of the discriminator")
    channels: Count = Field(description="width of its first layer; each further one has twice as many")
    layers: Count = Field(description="times that it halves a volume: patches grow with it")
    scales: Count = Field(description="discriminators; number n has n times as many layers")
    norm: Literal["instance", "group"] = Field(
        description="normalisation; group: as many groups as `channels`"
    )

    def refuse(self, sizes: Mapping[str, int], name: str, why: str = "") -> None:
        """Refuse volumes too small for it: `sizes` are voxels by axis, without axes that are channels to it.

        `why` says what made them small, in brackets.

        Raises:
            ValueError: names the setting (below `name`), the axis, and what it carries.
        """
        if not sizes:
            raise ValueError(f"{name}: no axis is left to a discriminator where all are folded; give null")
        axis = min(sizes, key=lambda each: sizes[each])
        most = (sizes[axis] // LEAST_PATCHES).bit_length() - 1
        if self.layers * self.scales > most:
            carries = f"carry {most} layers x scales at most" if most > 0 else "carry no discriminator"
            raise ValueError(
                f"{name}.layers: {self.layers} x {self.scales} scales, but {sizes[axis]} voxels along {axis} "
                f"{why}{carries}; give fewer, or fold the axis whole (network.stem), as channels of the "
                "others"
            )


class Divergence(Section):
    """Divergence of the posterior from a standard normal distribution, per latent element."""

    weight: Annotated[float, Field(ge=0)] = Field(description="weight of the term")


class Losses(Sparse):
    """The terms that every first stage may have; null: not used."""

    l1: AbsoluteError | None = Field(description="absolute error: weight, foreground")
    mse: SquaredError | None = Field(description="squared error: weight, foreground")
    dice: Overlap | None = Field(description="1 - Dice: weight, threshold, softness")
    cl_dice: CentrelineOverlap | None = Field(
        description="1 - clDice, for thin structures: weight, threshold, softness, iterations"
    )
    perceptual: Perception | None = Field(
        description="distance of a pretrained network's features: weight, network, weights"
    )
    adversarial: Adversary | None = Field(
        description="a discriminator's objection: weight, warmup_epochs, learning_rate, channels, layers, "
        "scales, norm"
    )

    @model_validator(mode="after")
    def _something_ties_the_reconstruction(self) -> Self:
        if self.l1 is None and self.mse is None and self.dice is None:
            raise ValueError(
                "l1: null, as are mse and dice: nothing ties a reconstruction to its volume; give one of them"
            )
        return self


class KLLosses(Losses):
    """The terms of the loss of kind kl, by name; it is their weighted sum."""

    kl: Divergence
