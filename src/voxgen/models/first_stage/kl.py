"""The first stage of kind kl: latents with a posterior near a standard normal distribution.

Shapes: B batch, C channels, X Y Z grid, x y z latent axes, N latents of a volume.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Self, final

import numpy as np
from torch import Tensor, nn

from voxgen.factors import in_all
from voxgen.models.first_stage.equivariance import shrinking_draws, shrunk
from voxgen.models.first_stage.input_noise import noise_draws, noisy
from voxgen.models.first_stage.likelihoods import COUNTS, LIKELIHOODS, Likelihood
from voxgen.models.first_stage.losses import kl_divergence
from voxgen.models.first_stage.networks import NO_STEM, AutoencoderKL
from voxgen.models.first_stage.reconstruction_objective import Rebuilt, ReconstructionObjective, Terms
from voxgen.models.interfaces import FirstStage
from voxgen.models.levels import levels_of
from voxgen.models.objective import Address, Batch, Draws, Objective
from voxgen.volumes.intensity import IDENTITY, Intensity

NARROW = -6.0  # log variance of a new network's posteriors: wide ones tell the decoder nothing at first
DEAD = 0.01  # nats per element: a latent channel that tells less than this is dead
DEVIANCE = {"deviance": {"weight": 1.0}}  # of counts, beside which all other terms are weighted
TIES = ("l1", "mse")  # in whose place it stands


@final
class KLAutoencoder(FirstStage):
    """An autoencoder like MONAI's AutoencoderKL, for volumes of a shape (X, Y, Z) or multiples of it."""

    def __init__(self, settings: Mapping[str, Any], shape: Sequence[int]) -> None:
        network = settings["network"]
        stem = network.get("stem", NO_STEM)  # there was none once
        levels = levels_of(network, [size // fold for size, fold in zip(shape, stem, strict=True)])
        self.latent_channels = network["latent_channels"]
        self.network = AutoencoderKL(levels, self.latent_channels, network["norm_groups"], stem)
        nn.init.constant_(self.network.quant_conv_log_sigma.conv.bias, NARROW)
        self.factors = in_all(shape, stem, [level.factors for level in levels[1:]])
        self._losses, self._input_noise = settings["losses"], settings.get("input_noise")
        self._equivariance = settings.get("equivariance")
        self._whole = tuple(fold if flat else None for fold, flat in zip(stem, levels[0].flat, strict=True))
        self._likelihood = settings.get("likelihood")
        self.draws_counts = self._likelihood == COUNTS
        self._law = IDENTITY
        if self.draws_counts:
            self._losses = DEVIANCE | {
                name: given for name, given in self._losses.items() if name not in TIES
            }

    def under(self, law: Intensity) -> Self:
        other = copy(self)
        other._law = law
        return other

    @property
    def likelihood(self) -> Likelihood:
        """What a decoder's output says of a volume."""
        return LIKELIHOODS[self._likelihood](self._law)

    def encode(self, x_BCXYZ: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean and standard deviation of the posterior."""
        mean, std = self.network.encode(x_BCXYZ)
        return mean, std

    def decode(self, z_BCXYZ: Tensor) -> Tensor:
        return self.likelihood.expected(self.network.decode(z_BCXYZ))

    def objective(self) -> Objective:
        return KLObjective(self)


class KLObjective(ReconstructionObjective):
    """Reconstruction from a draw of the posterior, and the posterior's divergence, as weighted terms."""

    def __init__(self, stage: KLAutoencoder) -> None:
        super().__init__(stage.network, stage._losses, stage._whole)
        self._likelihood = stage.likelihood
        self._latents, self._factors = stage.latent_channels, stage.factors
        self._input_noise, self._equivariance = stage._input_noise, stage._equivariance

    def reconstructed(self, batch: Batch) -> tuple[list[Rebuilt], Terms, Terms]:
        """From a draw of the posterior; in validation also the divergence of each channel."""
        mean, std = self.model.encode(noisy(batch))
        rebuilt = [self._rebuilt(z, x) for z, x in shrunk(mean + std * batch["noise"], batch)]
        kl_C = kl_divergence(mean.float(), std.float())
        channels = {} if self.training else {f"kl_{channel}": value for channel, value in enumerate(kl_C)}
        return rebuilt, {"kl": kl_C.mean()}, channels

    def _rebuilt(self, z_BCxyz: Tensor, x_BCXYZ: Tensor) -> Rebuilt:
        decoded = self.model.decode(z_BCxyz).float()
        terms = self._likelihood.terms(decoded, x_BCXYZ)
        return Rebuilt(self._likelihood.expected(decoded), x_BCXYZ, terms)

    def draws(self, shape: tuple[int, ...], address: Address) -> Draws:
        """For a volume (X, Y, Z): noise of posterior and input, and the latent's size."""
        latent = [size // factor for size, factor in zip(shape, self._factors, strict=True)]
        noise = address.generator("posterior").standard_normal((self._latents, *latent), np.float32)
        return {
            "noise": noise,
            **noise_draws(self._input_noise, shape, address),
            **shrinking_draws(self._equivariance, latent, address),
        }

    def health(self, figures: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
        """The number of dead latent channels, and which they are."""
        channels = {name: value for name, value in figures.items() if name.startswith("kl_")}
        dead = {name: value for name, value in channels.items() if value < DEAD}
        warnings = [
            f"latent channel {name.removeprefix('kl_')} is dead: KL divergence {value:.2g} nats per element; "
            "lower the weight of the loss kl or latent_channels if it stays so"
            for name, value in dead.items()
        ]
        return {"dead_channels": len(dead)}, warnings
