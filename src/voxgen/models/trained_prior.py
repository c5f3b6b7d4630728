"""A trained prior from its folder.

Shapes: B batch, C channels, x y z latent axes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from voxgen.errors import InputError
from voxgen.machine.fabric import launch
from voxgen.models.folder import WEIGHTS, read_model_config
from voxgen.models.kinds import build_prior
from voxgen.models.vocabulary import Vocabulary
from voxgen.settings.machine import Inference


class TrainedPrior:
    """A trained prior of any kind on arrays, built from its folder alone.

    Attributes:
        vocabulary: what it is told of items; None: nothing.
    """

    def __init__(self, config: dict[str, Any], weights: dict[str, Tensor], fabric: Fabric) -> None:
        self.config = config
        self._fabric = fabric
        conditions = config.get("conditions")
        self.vocabulary = None if conditions is None else Vocabulary.from_json(conditions)
        self._prior = build_prior(config["settings"], tuple(config["latent_shape"]), self.vocabulary)
        self._prior.take_weights(weights, fabric.device)

    def refuse(self, sampling: Mapping[str, Any]) -> None:
        """Let no section `sampling` pass, plain, that does not suit this prior.

        Raises:
            InputError: says what would.
        """
        if sampling.get("guidance") and not (self.vocabulary and self.vocabulary.dropped):
            found = "saw no item without its condition" if self.vocabulary else "is told nothing of its items"
            raise InputError(f"sampling.guidance: the prior {found}; set it to null")
        self._prior.refuse(sampling)

    @torch.inference_mode()
    def sample(
        self,
        indices: Sequence[int],
        seed: int,
        sampling: Mapping[str, Any],
        given: Mapping[str, NDArray[Any]] | None = None,
    ) -> NDArray[np.float32]:
        """Whitened latents (B, C, x, y, z), one per index, which seed, index and what is given decide."""
        with self._fabric.autocast():
            return self._prior.sample(indices, seed, sampling, self._placed(given)).cpu().numpy()

    @torch.inference_mode()
    def inpaint(
        self,
        known_BCxyz: NDArray[np.float32],
        keep_xyz: NDArray[np.bool_],
        indices: Sequence[int],
        seed: int,
        sampling: Mapping[str, Any],
        given: Mapping[str, NDArray[Any]] | None = None,
    ) -> NDArray[np.float32]:
        """The same, but known where `keep_xyz` is true.

        Raises:
            InputError: this kind of prior cannot.
        """
        known, keep = (torch.from_numpy(held).to(self._fabric.device) for held in (known_BCxyz, keep_xyz))
        told = self._placed(given)
        with self._fabric.autocast():
            return self._prior.inpaint(known, keep, indices, seed, sampling, told).cpu().numpy()

    def _placed(self, given: Mapping[str, NDArray[Any]] | None) -> Mapping[str, Tensor]:
        tensors = {name: torch.from_numpy(values) for name, values in (given or {}).items()}
        placed: Mapping[str, Tensor] = self._fabric.to_device(tensors)
        return placed


def load_prior(folder: Path, machine: Inference) -> TrainedPrior:
    """Build the prior that a folder describes and load its weights.

    Raises:
        InputError: the folder holds no trained prior.
    """
    config = read_model_config(folder, "prior")
    return TrainedPrior(config, load_file(folder / WEIGHTS), launch(machine))
