"""Stage plot_history: the loss curves of one training."""

from pathlib import Path

from voxgen.figures.training_curves import save_history
from voxgen.io.files import read_table


def plot_history(history: Path, training: str, out: Path) -> None:
    """Draw training and validation loss of a history.csv into the PNG `out`."""
    save_history(out, read_table(history), f"Training of the {training}")
