"""What a training leaves for others: snapshots of its weights, and a model folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from voxgen.compute import rank
from voxgen.io.files import clear_half_written, replacing, write_json, write_table
from voxgen.io.models import CONFIG, WEIGHTS
from voxgen.training.state import room

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
        write_weights(folder / WEIGHTS, trained.weights)


def write_history(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write history.csv, a row an epoch."""
    write_table(folder / HISTORY, history, list(dict.fromkeys(name for row in history for name in row)))


def write_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Write weights as safetensors, whole or not at all."""
    with replacing(path) as temporary:
        save_file(weights, temporary)
