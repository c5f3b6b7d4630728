"""What a training leaves for others: snapshots of its weights, and a model folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from voxgen.errors import InputError
from voxgen.io.files import clear_half_written, replacing, write_json, write_table
from voxgen.machine.fabric import rank
from voxgen.models.folder import CONFIG, WEIGHTS
from voxgen.training.checkpoints import room

HISTORY = "history.csv"


@dataclass(frozen=True)
class Trained:
    """What a training leaves: averaged weights, the epoch that they are from, one row of figures an epoch."""

    weights: dict[str, Tensor]
    epoch: int
    history: list[dict[str, float]]


def write_model(folder: Path, trained: Trained, config: dict[str, Any]) -> None:
    """Write history.csv, config.json and, last, model.safetensors; by the first process alone.

    Raises:
        InputError: the disk is full.
    """
    if rank():
        return
    clear_half_written(folder)
    with room(folder):
        write_history(folder, trained.history)
        write_json(folder / CONFIG, {**config, "epoch": trained.epoch})
        write_weights(folder / WEIGHTS, trained.weights, trained.epoch)


def write_history(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write history.csv, a row an epoch."""
    write_table(folder / HISTORY, history, list(dict.fromkeys(name for row in history for name in row)))


def write_weights(path: Path, weights: dict[str, Tensor], epoch: int) -> None:
    """Write weights as safetensors, with the epoch that they are from, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(save(weights, {"epoch": str(epoch)}))


def read_weights(path: Path, epoch: int) -> dict[str, Tensor]:
    """Weights of a certain epoch.

    Raises:
        InputError: the file is not there, damaged, or of another epoch.
    """
    try:
        with safe_open(path, "pt") as file:
            found = file.metadata()["epoch"]
            if found == str(epoch):
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        found = str(error)
    raise InputError(
        f"{path}: expected the weights of epoch {epoch}, found {found}; set weights: last, or delete "
        f"{path.parent} to train anew"
    )
