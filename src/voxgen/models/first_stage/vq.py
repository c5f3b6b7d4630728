"""The first stage of kind vq: latents that are rounded to the vectors of a codebook before they are decoded.

Shapes: B batch, C channels, X Y Z grid, x y z latent axes, N latents of a volume, K codes.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from voxgen.factors import HALVED, in_all
from voxgen.models.first_stage.codebook import perplexity
from voxgen.models.first_stage.reconstruction_objective import Rebuilt, ReconstructionObjective, Terms
from voxgen.models.first_stage.vq_network import VQVAE
from voxgen.models.interfaces import FirstStage
from voxgen.models.objective import Address, Batch, Draws, Objective

RARE, STEEP = 1e-3, 8.0  # of draws that say whose latent a code starts again at
FEW = 0.5  # share of the codes: a codebook of which less is used is too large


@final
class VQAutoencoder(FirstStage):
    """An autoencoder like MONAI's VQVAE, for volumes of a shape (X, Y, Z) or multiples of it.

    Its latents are those before rounding, and decoding rounds them. So a prior of continuous latents learns
    a density, not 256 points of one, and what it draws need not lie on a code to be decoded as one.
    """

    def __init__(self, settings: Mapping[str, Any], shape: Sequence[int]) -> None:
        network = settings["network"]
        x, y, z = (size == fold for size, fold in zip(shape, network["stem"], strict=True))
        flat = x, y, z
        self.latent_channels = network["latent_channels"]
        self.network = VQVAE(network, flat, **settings["codebook"])
        self.factors = in_all(shape, network["stem"], [HALVED] * len(network["channels"]))
        self._losses = settings["losses"]
        self._whole = tuple(fold if one else None for one, fold in zip(flat, network["stem"], strict=True))

    def encode(self, x_BCXYZ: Tensor) -> tuple[Tensor, Tensor | None]:
        """Latents before they are rounded; they have no spread."""
        return self.network.encoder(x_BCXYZ), None

    def decode(self, z_BCxyz: Tensor) -> Tensor:
        """Volumes of the codes nearest to latents."""
        codebook = self.network.codebook
        volumes: Tensor = self.network.decoder(codebook.vectors(codebook.nearest(z_BCxyz)))
        return volumes

    def codes(self, x_BCXYZ: Tensor) -> Tensor:
        """The number (B, x, y, z) of the code of each latent of volumes."""
        codes: Tensor = self.network.codebook.nearest(self.network.encoder(x_BCXYZ))
        return codes

    def objective(self) -> Objective:
        return VQObjective(self)


class VQObjective(ReconstructionObjective):
    """Reconstruction from codes, and the distance of latents from them, as weighted terms.

    Gradients pass the rounding as if it were none. The codes follow the latents in `learn`.
    """

    def __init__(self, stage: VQAutoencoder) -> None:
        super().__init__(stage.network, stage._losses, stage._whole)
        self._factors = stage.factors

    def reconstructed(self, batch: Batch) -> tuple[list[Rebuilt], Terms, Terms]:
        """From the codes of the latents; also what `learn` is to see."""
        codebook = self.model.codebook
        z_BCxyz = self.model.encoder(batch["volume"]).float()
        codes_Bxyz = codebook.nearest(z_BCxyz)
        vectors_BCxyz = codebook.vectors(codes_Bxyz)
        passed_BCxyz = z_BCxyz + (vectors_BCxyz - z_BCxyz).detach()
        commitment = (z_BCxyz - vectors_BCxyz).square().mean()
        use_K, sum_KC = codebook.seen(z_BCxyz, codes_Bxyz)
        seen = {"use": use_K}
        if self.training:
            seen |= {"vectors": sum_KC, "candidates": _candidates(z_BCxyz.detach(), batch)}
        rebuilt = Rebuilt(self.model.decoder(passed_BCxyz).float(), batch["volume"])
        return [rebuilt], {"commitment": commitment}, seen

    def draws(self, shape: tuple[int, ...], address: Address) -> Draws:
        """For each code a latent of a volume (X, Y, Z) that it may start again at, and how likely it does."""
        if address.purpose == "validation":
            return {}
        latents = math.prod(size // factor for size, factor in zip(shape, self._factors, strict=True))
        codes, draws = len(self.model.codebook.ema_cluster_size), address.generator("restart")
        place = draws.integers(latents, size=codes)
        chance = np.maximum(draws.random(codes, np.float32), np.float32(RARE))
        return {"restart": place, "restart_weight": chance**-STEEP}

    def learn(self, seen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Let the codes follow a step's latents, and those that are dead start again."""
        weight_K1, weighted_KC = seen["candidates"][:, :1], seen["candidates"][:, 1:]
        restarts = self.model.codebook.follow(seen["use"], seen["vectors"], weighted_KC / weight_K1)
        return {**_told_of(seen["use"]), "restarts": restarts}

    def health(self, figures: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
        """Perplexity and use of the codes over the validation split, and whether few of them are used."""
        told = {name: value.item() for name, value in _told_of(torch.as_tensor(figures["use"])).items()}
        if told["used"] >= FEW:
            return told, []
        return told, [
            f"{told['used']:.0%} of the codes are used; if it stays so, lower autoencoder.vq.network.codes"
        ]


def _candidates(z_BCxyz: Tensor, batch: Batch) -> Tensor:
    """Weights and weighted latents (K, 1 + C) that each code may start again at; means over the batch.

    Their quotient is a mean of one latent per volume, whose weights u^-8, u uniform, are so uneven that it
    mostly is about one of them. A mean, unlike a choice, is the same in whichever parts a batch is computed.
    """
    z_BNC, place_BK, weight_BK = z_BCxyz.flatten(2).mT, batch["restart"], batch["restart_weight"]
    z_BKC = z_BNC.gather(1, place_BK[..., None].expand(-1, -1, z_BNC.shape[2]))
    return (weight_BK[..., None] * torch.cat([torch.ones_like(z_BKC[..., :1]), z_BKC], 2)).mean(0)


def _told_of(use_K: Tensor) -> dict[str, Tensor]:
    return {"perplexity": perplexity(use_K), "used": (use_K > 0).float().mean()}
