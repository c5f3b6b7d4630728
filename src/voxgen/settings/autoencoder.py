"""The section `autoencoder`: the first stage, which takes volumes to latents and back."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Count, Kinds, Positive, Section
from voxgen.settings.networks import LevelsSettings
from voxgen.settings.training import Training

THIN = 8  # voxels of an axis that `stem: auto` folds whole, at most


class KLNetwork(LevelsSettings):
    """The network of an autoencoder, with the layers of MONAI's AutoencoderKL."""

    stem: Literal["auto"] | tuple[Count, Count, Count] = Field(
        description="voxels along x, y, z that are folded into channels before the first level; an axis that "
        "has one voxel then is neither convolved along nor halved; auto: 2, and all of a thin axis (at most "
        "8 voxels and a quarter of the longest)"
    )
    latent_channels: Count = Field(description="channels of the latent")

    def stem_for(self, shape: Sequence[int]) -> Sequence[int]:
        """The stem of volumes (X, Y, Z)."""
        thin = min(THIN, max(shape) // 4)
        return self.stem if self.stem != "auto" else [size if size <= thin else 2 for size in shape]


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

    def stem_for(self, shape: Sequence[int]) -> Sequence[int]:
        """Voxels along x, y, z that become channels of one, of volumes (X, Y, Z)."""
        return self.chosen.network.stem_for(self.patch or shape)

    def made_for(self, shape: Sequence[int]) -> Self:
        """The same with the stem that `auto` means for volumes (X, Y, Z)."""
        network = self.chosen.network.model_copy(update={"stem": tuple(self.stem_for(shape))})
        return self.model_copy(update={self.kind: self.chosen.model_copy(update={"network": network})})

    def factors(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """Voxels per voxel of the latent along x, y, z, of volumes (X, Y, Z)."""
        network, trained_on = self.chosen.network, self.patch or shape
        along = zip(trained_on, self.stem_for(shape), strict=True)
        x, y, z = (fold if size == fold else fold * network.factor for size, fold in along)
        return x, y, z

    @model_validator(mode="after")
    def _patch_is_divided_evenly(self) -> Self:
        if self.patch is None:
            return self
        for axis, size, fold in zip("xyz", self.patch, self.stem_for(self.patch), strict=True):
            factor = fold * self.chosen.network.factor
            if size != fold and size % factor:
                raise ValueError(
                    f"patch: {size} voxels along {axis}, expected {fold} or a multiple of {factor}, "
                    "by which the network shrinks them"
                )
        return self
