"""The kinds of first stages and of priors: the one place that knows them all."""

from collections.abc import Callable, Mapping
from typing import Any

from voxgen.models.first_stage.kl import KLAutoencoder
from voxgen.models.interfaces import FirstStage, Prior
from voxgen.models.prior.diffusion import Diffusion

FIRST_STAGES: dict[str, Callable[[Mapping[str, Any]], FirstStage]] = {"kl": KLAutoencoder}
PRIORS: dict[str, Callable[[Mapping[str, Any], tuple[int, ...]], Prior]] = {"diffusion": Diffusion}


def build_first_stage(settings: Mapping[str, Any]) -> FirstStage:
    """A first stage with new weights from a section `autoencoder` (see settings), plain."""
    return FIRST_STAGES[settings["kind"]](settings[settings["kind"]])


def build_prior(settings: Mapping[str, Any], latent_shape: tuple[int, ...]) -> Prior:
    """A prior of latents (C, x, y, z) with new weights from a section `prior` (see settings), plain."""
    return PRIORS[settings["kind"]](settings[settings["kind"]], latent_shape)
