"""The kinds of first stages and of priors: the one place that knows them all."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from voxgen.models.first_stage.kl import KLAutoencoder
from voxgen.models.first_stage.vq import VQAutoencoder
from voxgen.models.interfaces import FirstStage, Prior
from voxgen.models.prior.diffusion import Diffusion
from voxgen.models.prior.transformer import Transformer
from voxgen.models.vocabulary import Vocabulary

FIRST_STAGES: dict[str, Callable[[Mapping[str, Any], Sequence[int]], FirstStage]] = {
    "kl": KLAutoencoder,
    "vq": VQAutoencoder,
}
PRIORS: dict[str, Callable[[Mapping[str, Any], tuple[int, ...], Vocabulary | None], Prior]] = {
    "diffusion": Diffusion,
    "transformer": Transformer,
}


def build_first_stage(settings: Mapping[str, Any], shape: Sequence[int]) -> FirstStage:
    """A first stage of volumes (X, Y, Z) with new weights from a section `autoencoder` (see settings), plain.

    It is built for what it is trained on: a patch, or such a volume.
    """
    return FIRST_STAGES[settings["kind"]](settings[settings["kind"]], settings["patch"] or shape)


def build_prior(
    settings: Mapping[str, Any], latent_shape: tuple[int, ...], vocabulary: Vocabulary | None = None
) -> Prior:
    """A prior of latents (C, x, y, z) with new weights from a section `prior` (see settings), plain.

    It is conditioned on what `vocabulary` holds.
    """
    return PRIORS[settings["kind"]](settings[settings["kind"]], latent_shape, vocabulary)
