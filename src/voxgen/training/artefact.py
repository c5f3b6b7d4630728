"""What a training leaves for others: a model folder."""

from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from voxgen.io.files import replacing, write_json, write_table
from voxgen.io.models import CONFIG, WEIGHTS
from voxgen.training.loop import Trained


def write_model(folder: Path, trained: Trained, config: dict[str, Any]) -> None:
    """Write history.csv, config.json and, last, model.safetensors (averaged weights)."""
    write_table(folder / "history.csv", trained.history, list(trained.history[0]))
    write_json(folder / CONFIG, config)
    with replacing(folder / WEIGHTS) as temporary:
        save_file(trained.weights, temporary)
