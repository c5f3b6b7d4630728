"""What every first stage and every prior offers, whatever its kind.

Shapes: B batch, C channels, X Y Z grid, x y z latent axes, K codes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Self

import torch
from torch import Tensor, nn

from voxgen.errors import InputError
from voxgen.models.layers import lay_out
from voxgen.models.objective import Objective
from voxgen.models.vocabulary import Vocabulary
from voxgen.models.whitening import Whitening
from voxgen.volumes.intensity import Intensity


class Model(ABC):
    """Something that is trained: `network` is what a model folder keeps the weights of."""

    network: Any

    @abstractmethod
    def objective(self) -> Objective:
        """What the network is trained on; it is the objective's `model`."""

    def take_weights(self, weights: Mapping[str, Tensor], device: torch.device) -> None:
        """Make the network a trained one: with these weights, laid out for a device, frozen."""
        self.network.load_state_dict(weights)
        lay_out(self.network, device)
        self.network.to(device).eval().requires_grad_(False)

    def with_network(self, network: nn.Module) -> Self:
        """The same with another network in its place, of averaged weights, say."""
        other = copy(self)
        other.network = network
        return other


class FirstStage(Model):
    """Takes volumes to latents and back.

    Its objective takes batches with "volume" (B, 1, X, Y, Z) in the network's range.

    Attributes:
        latent_channels: channels C of a latent.
        factors: voxels per latent along x, y, z.
        draws_counts: whether volumes are counts that are drawn, and what is decoded is their rate.
    """

    latent_channels: int
    factors: tuple[int, int, int]
    draws_counts = False

    def under(self, law: Intensity) -> Self:
        """The same for volumes that this law takes to the network's range, where that matters to it."""
        return self

    @abstractmethod
    def encode(self, x_BCXYZ: Tensor) -> tuple[Tensor, Tensor | None]:
        """Latents (B, C, x, y, z) of volumes in the network's range, and their spread where they have one."""

    @abstractmethod
    def decode(self, z_BCxyz: Tensor) -> Tensor:
        """Volumes (B, 1, X, Y, Z) in the network's range from latents."""

    def features(self, x_BCXYZ: Tensor) -> Tensor:
        """What the encoder sees in volumes, as (B, features): what is there, not where.

        Mean and standard deviation over the latent grid of the encoder's last hidden channels.
        """
        h_BCN = self.network.encoder.hidden(x_BCXYZ).flatten(2).float()
        return torch.cat([h_BCN.mean(2), h_BCN.std(2, correction=0)], 1)


class Prior(Model):
    """Draws whitened latents.

    Its objective takes batches with "latent" (B, C, x, y, z), whitened.

    Attributes:
        latent_shape: (C, x, y, z).
        vocabulary: what it is told of items; None: nothing.
    """

    latent_shape: tuple[int, ...]
    vocabulary: Vocabulary | None = None

    def over(self, whitening: Whitening, vectors_KC: Tensor | None) -> Self:
        """The same, to be trained on the latents of a first stage, where it matters to it which these are.

        They are whitened so, and rounded to these vectors where it has codes (`codebook.read_vectors`).
        """
        return self

    @abstractmethod
    def sample(
        self,
        indices: Sequence[int],
        seed: int,
        sampling: Mapping[str, Any],
        given: Mapping[str, Tensor] | None = None,
        purpose: str = "sample",
    ) -> Tensor:
        """Whitened latents (B, C, x, y, z), one per index, which seed, purpose and index decide.

        `sampling` is a section of that name (see settings), plain, or what of it the kind needs. `given` is
        what the prior is told of each, as in a batch: "label" (B,), a number of a class, and "covariate
        NAME" (B,); what is missing is unknown to it.

        Raises:
            InputError: a prior of this kind cannot be sampled so.
        """

    def refuse(self, sampling: Mapping[str, Any]) -> None:
        """Let no section `sampling` pass, plain, of which nothing good would come.

        Raises:
            InputError: says what would do.
        """

    def inpaint(
        self,
        known_BCxyz: Tensor,
        keep_xyz: Tensor,
        indices: Sequence[int],
        seed: int,
        sampling: Mapping[str, Any],
        given: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """The same, but where `keep_xyz` (booleans) is true they are the known ones (B, C, x, y, z).

        Raises:
            InputError: this kind of prior cannot.
        """
        raise InputError(
            f"inpaint: a prior of kind {type(self).__name__.lower()} draws whole latents; take one of kind "
            "diffusion"
        )
