"""What a training leaves for others: a model folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from voxgen.io.files import clear_half_written, write_json
from voxgen.machine.fabric import rank
from voxgen.models.folder import CONFIG, WEIGHTS
from voxgen.training.checkpoints import write_history, write_weights
from voxgen.training.lock import room


@dataclass(frozen=True)
class Trained:
    """Averaged weights, the epoch that they are from, and one row of figures per epoch."""

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
