"""`voxgen fetch-weights`: the weights of pretrained networks, from where they are published."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch.hub import download_url_to_file

from voxgen.errors import InputError
from voxgen.io.files import digest, replacing
from voxgen.models.resnets import load_resnet
from voxgen.sources.pretrained import FILES, cache_folder

MEDICALNET = "https://huggingface.co/TencentMedicalNet/MedicalNet-Resnet"
ADDRESSES = {
    "medicalnet_resnet10": f"{MEDICALNET}10/resolve/main/resnet_10_23dataset.pth",
    "medicalnet_resnet50": f"{MEDICALNET}50/resolve/main/resnet_50_23dataset.pth",
    "imagenet_resnet50": "https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
}
SHA256 = {"imagenet_resnet50": "11ad3fa6"}  # how it begins, where the publisher says so


def fetch_weights(networks: Sequence[str], folder: Path | None) -> Iterator[str]:
    """Download each network's file into `folder`, by default the cache folder, and say where it is.

    Raises:
        InputError: there is no such network, no way to its file, no room for it, or no weights in it.
    """
    for network in networks:
        if network not in FILES:
            raise InputError(f"fetch-weights: {network} is not known; known are {', '.join(FILES)}")
    for network in networks:
        path = (folder or cache_folder()) / FILES[network]
        if not path.is_file():
            yield f"{network}: from {ADDRESSES[network]}"
            _fetch(network, path)
        yield f"{network}: {path}, digest {digest(path)}"


def _fetch(network: str, path: Path) -> None:
    address = ADDRESSES[network]
    try:
        with replacing(path) as temporary:
            download_url_to_file(address, str(temporary), SHA256.get(network), progress=sys.stderr.isatty())
            _look_into(temporary, network)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"fetch-weights: {address} did not come ({error}); run this on a machine with network and copy "
            f"{path.name} into {path.absolute().parent}"
        ) from None


def _look_into(path: Path, network: str) -> None:
    try:
        load_resnet(path, f"expected the weights of {network}")
    except InputError as error:
        raise InputError(f"fetch-weights: {ADDRESSES[network]}{str(error).removeprefix(str(path))}") from None
