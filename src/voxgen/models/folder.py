"""Model folders: weights as safetensors beside a config.json that says how to build the model."""

from pathlib import Path
from typing import Any

from voxgen.errors import InputError
from voxgen.io.files import digest, read_json

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


def read_model_config(folder: Path, kind: str) -> dict[str, Any]:
    """The config of a model folder, checked to be of `kind` and to have weights beside it.

    Raises:
        InputError: the folder is no model folder of that kind.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name}; expected the folder of a trained {kind}")
    config: dict[str, Any] = read_json(folder / CONFIG)
    if config.get("kind") != kind:
        raise InputError(f"{folder / CONFIG}: kind is {config.get('kind')!r}, expected {kind!r}")
    return config


def weights_digest(folder: Path) -> str:
    """Digest of a model's weights."""
    return digest(folder / WEIGHTS)


def refuse_mismatch(
    folder: Path, expected: dict[str, Any], found: dict[str, Any], keys: tuple[str, ...]
) -> None:
    """Refuse an artefact whose recorded contract differs from the present one, by the key's name.

    Raises:
        InputError: names the first key that differs, with both values.
    """
    for key in keys:
        if expected.get(key) != found.get(key):
            raise InputError(
                f"{folder}: made for {key} {expected.get(key)!r}, found {found.get(key)!r}; "
                "use an artefact made with these settings, or set them back"
            )
