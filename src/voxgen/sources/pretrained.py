"""Weights of pretrained networks, which a loss may use: the files, and where they are kept. No torch."""

import os
from pathlib import Path

from voxgen.errors import InputError
from voxgen.settings.autoencoder import AutoencoderSettings
from voxgen.sources.raw_files import weights_files

FILES = {
    "medicalnet_resnet10": "resnet_10_23dataset.pth",
    "medicalnet_resnet50": "resnet_50_23dataset.pth",
    "imagenet_resnet50": "resnet50-11ad3fa6.pth",
}
KEY = "autoencoder, losses.perceptual"


def cache_folder() -> Path:
    """Where `voxgen fetch-weights` puts files: voxgen in $XDG_CACHE_HOME, or else in ~/.cache."""
    home = os.path.expanduser("~/.cache")  # noqa: PTH111 (there may be no home at all)
    return Path(os.environ.get("XDG_CACHE_HOME") or home) / "voxgen"


def weights_of(network: str, given: str | None) -> str:
    """The file of a network's weights: `given`, or else that in the cache folder.

    Raises:
        InputError: it is not there; names file, folder and command.
    """
    path = cache_folder() / FILES[network] if given is None else Path(given)
    if not path.is_file():
        raise InputError(
            f"{KEY}: no file {path.name} in {path.absolute().parent}; run `voxgen fetch-weights {network}` "
            f"on a machine with network and put {FILES[network]} there, or name the file as `weights`"
        )
    return weights_files(str(path), KEY)[0]


def perceptual_weights(autoencoder: AutoencoderSettings) -> list[str]:
    """The files of weights that the training of an autoencoder needs: one, or none.

    Raises:
        InputError: it is not there.
    """
    perception = autoencoder.chosen.losses.perceptual
    if perception is None or autoencoder.source != "train":
        return []
    return [weights_of(perception.network, perception.weights)]
