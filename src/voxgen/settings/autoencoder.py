"""The section `autoencoder`: the first stage, which takes volumes to latents and back."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from voxgen.factors import Factors, in_all
from voxgen.settings.base import Count, Kinds, Section, Sparse
from voxgen.settings.losses import KLLosses
from voxgen.settings.networks import VolumeNetwork
from voxgen.settings.training import Training
from voxgen.settings.vq import VQSettings


class KLNetwork(VolumeNetwork):
    """The network of an autoencoder, with the layers of MONAI's AutoencoderKL."""

    latent_channels: Count = Field(description="channels of the latent")


class InputNoise(Section):
    """What is done to the inputs of a training; targets and validation stay as they are."""

    gaussian: Annotated[float, Field(ge=0)] = Field(
        description="standard deviation of normal noise that is added, in the network's range; 0: none"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="share of the voxels that are set to 0 after that; 0: none"
    )

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not self.gaussian and not self.dropout:
            raise ValueError("gaussian: 0, as is dropout: no noise at all; give null instead")
        return self


class Equivariance(Section):
    """Latents that shrink as their volume does (EQ-VAE), in the training alone."""

    share: Annotated[float, Field(gt=0, le=1)] = Field(description="share of the items that this is done to")
    smallest: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="smallest size that latents are shrunk to, as a share of theirs"
    )


class KLSettings(Sparse):
    """An autoencoder whose latents have a posterior near a standard normal distribution (kind kl)."""

    network: KLNetwork
    likelihood: Literal["poisson"] | None = Field(
        description="null: volumes are decoded; poisson: the log of the rate of their counts, which then "
        "cost their Poisson deviance (weight 1, in place of l1 and mse) and are drawn in samples"
    )
    losses: KLLosses
    input_noise: InputNoise | None = Field(
        description="noise on the inputs of the training, which it learns to take out; null: none"
    )
    equivariance: Equivariance | None = Field(
        description="whether latents are shrunk, to be decoded to the volume shrunk, which makes them easier "
        "to generate; null: no"
    )
    training: Training

    @model_validator(mode="after")
    def _counts_stay_whole(self) -> Self:
        if self.likelihood and self.equivariance:
            raise ValueError(
                "equivariance: likelihood poisson is of whole counts, which shrunk volumes do not have; "
                "give null"
            )
        return self


class AutoencoderSettings(Kinds):
    """The first stage: volumes to latents and back."""

    source: str = Field(description="train, or the folder of a trained autoencoder")
    kind: Literal["kl", "vq"] = Field(description="which kind is trained; each has a section of its own")
    patch: tuple[Count, Count, Count] | None = Field(
        description="shape of the random patches that it is trained on [voxels]; null: whole volumes"
    )
    kl: KLSettings
    vq: VQSettings

    @property
    def chosen(self) -> KLSettings | VQSettings:
        """The section of `kind`."""
        section: KLSettings | VQSettings = getattr(self, self.kind)
        return section

    @property
    def draws_counts(self) -> bool:
        """Whether what is trained decodes rates, from which counts are drawn."""
        return getattr(self.chosen, "likelihood", None) == "poisson"

    def stem_for(self, shape: Sequence[int]) -> Sequence[int]:
        """Voxels along x, y, z that become channels of one, of volumes (X, Y, Z)."""
        return self.chosen.network.stem_for(self.patch or shape)

    def made_for(self, shape: Sequence[int]) -> Self:
        """The same with the stem that `auto` means for volumes (X, Y, Z)."""
        network = self.chosen.network.model_copy(update={"stem": tuple(self.stem_for(shape))})
        return self.model_copy(update={self.kind: self.chosen.model_copy(update={"network": network})})

    def factors(self, shape: Sequence[int]) -> Factors:
        """Voxels per voxel of the latent along x, y, z, of volumes (X, Y, Z)."""
        return in_all(self.patch or shape, self.stem_for(shape), self.chosen.network.steps)

    def refuse_discriminator(self, shape: Sequence[int]) -> None:
        """Refuse a discriminator that never begins, or that volumes (X, Y, Z) or patches are too small for.

        Raises:
            ValueError: says so.
        """
        if (adversary := self.chosen.losses.adversarial) is None:
            return
        name, epochs = f"autoencoder.{self.kind}.losses.adversarial", self.chosen.training.epochs
        if adversary.warmup_epochs >= epochs:
            raise ValueError(
                f"{name}.warmup_epochs: {adversary.warmup_epochs}, but the training ends after {epochs} "
                "epochs: the discriminator would never begin; give fewer, or more training.epochs"
            )
        follows = getattr(self.chosen, "equivariance", None)
        share = follows.smallest if follows else 1.0
        along = zip("xyz", self.patch or shape, self.stem_for(shape), self.factors(shape), strict=True)
        sizes = {
            axis: max(1, round(share * (size // factor))) * factor
            for axis, size, fold, factor in along
            if size != fold
        }
        adversary.refuse(sizes, name, "(shrunk by kl.equivariance) " if follows else "")

    @model_validator(mode="after")
    def _patch_is_divided_evenly(self) -> Self:
        if self.patch is None:
            return self
        stem = self.stem_for(self.patch)
        along = zip("xyz", self.patch, stem, self.factors(self.patch), strict=True)
        for axis, size, fold, factor in along:
            if size % factor:
                raise ValueError(
                    f"patch: {size} voxels along {axis}, expected {fold} or a multiple of {factor}, "
                    "by which the network shrinks them"
                )
        return self
