"""The first stage of kind kl: latents with a posterior near a standard normal distribution.

Shapes: B batch, C channels, X Y Z grid, x y z latent axes, N latents of a volume.
"""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from voxgen.models.first_stage.losses import kl_divergence, summed, weighted_l1
from voxgen.models.first_stage.networks import NO_STEM, AutoencoderKL
from voxgen.models.interfaces import FirstStage
from voxgen.models.levels import levels_of
from voxgen.models.objective import Address, Batch, Draws, Objective

NARROW = -6.0  # log variance of a new network's posteriors: wide ones tell the decoder nothing at first
DEAD = 0.01  # nats per element: a latent channel that tells less than this is dead


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
        halved = 2 ** (len(levels) - 1)
        along = zip(stem, levels[0].flat, strict=True)
        x, y, z = (fold * (1 if flat else halved) for fold, flat in along)
        self.factors = x, y, z
        self._losses = settings["losses"]

    def encode(self, x_BCXYZ: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean and standard deviation of the posterior."""
        mean, std = self.network.encode(x_BCXYZ)
        return mean, std

    def decode(self, z_BCXYZ: Tensor) -> Tensor:
        volumes: Tensor = self.network.decode(z_BCXYZ)
        return volumes

    def features(self, x_BCXYZ: Tensor) -> Tensor:
        """Mean and standard deviation over the latent grid of the encoder's last hidden channels."""
        h_BCN = self.network.encoder.hidden(x_BCXYZ).flatten(2).float()
        return torch.cat([h_BCN.mean(2), h_BCN.std(2, correction=0)], 1)

    def objective(self) -> Objective:
        return KLObjective(self)


class KLObjective(Objective):
    """Reconstruction from a draw of the posterior, and the posterior's divergence, as weighted terms."""

    def __init__(self, stage: KLAutoencoder) -> None:
        super().__init__()
        self.model = stage.network
        self._losses = stage._losses
        self._latents, self._factors = stage.latent_channels, stage.factors

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        x_BCXYZ = batch["volume"]
        mean, std = self.model.encode(x_BCXYZ)
        reconstruction = self.model.decode(mean + std * batch["noise"]).float()
        kl_C = kl_divergence(mean.float(), std.float())
        l1 = weighted_l1(reconstruction, x_BCXYZ, self._losses["l1"]["foreground"])
        figures = summed({"l1": l1, "kl": kl_C.mean()}, self._losses)
        if not self.training:
            figures |= {f"kl_{channel}": value for channel, value in enumerate(kl_C)}
        return figures

    def draws(self, shape: tuple[int, ...], address: Address) -> Draws:
        """Noise of the posterior's draw for a volume (X, Y, Z)."""
        latent = self._latents, *(size // factor for size, factor in zip(shape, self._factors, strict=True))
        return {"noise": address.generator("posterior").standard_normal(latent, np.float32)}

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
