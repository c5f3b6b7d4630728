"""Figures: geometry of projections and scale bars, files that are written, and no torch behind them."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from voxgen.figures import (
    Reconstructed,
    in_words,
    max_projection,
    round_length,
    save_history,
    save_preview,
    save_reconstructions,
)


def volumes(n: int, shape: tuple[int, int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.poisson(0.2, shape).astype(np.float32) for _ in range(n)]


def test_projections_keep_their_axes() -> None:
    volume = np.zeros((2, 3, 4))
    volume[1, 2, 3] = 5
    shapes = {axis: max_projection(volume, axis).shape for axis in ("x", "y", "z")}
    assert shapes == {"z": (3, 2), "y": (4, 2), "x": (4, 3)}
    assert max_projection(volume, "z")[2, 1] == 5
    assert max_projection(volume, "y")[3, 1] == 5
    assert max_projection(volume, "x")[3, 2] == 5


@pytest.mark.parametrize(
    ("length", "unit", "words"),
    [
        (5000, "nm", "5 µm"),
        (740, "nm", "500 nm"),
        (2.1, "um", "2 µm"),
        (0.5, "unitless", "0.5"),
        (30, "mm", "20 mm"),
    ],
)
def test_scale_bars_are_round_and_have_units(length: float, unit: str, words: str) -> None:
    assert in_words(round_length(length), unit) == words


@pytest.mark.parametrize("shape", [(16, 16, 4), (8, 8, 8), (12, 6, 1)])
def test_preview_is_a_picture_and_repeatable(shape: tuple[int, int, int], tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_preview(tmp_path / name, volumes(3, shape), volumes(2, shape), (100, 100, 150), "nm")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert imread(tmp_path / "a.png").std() > 0.1


def test_preview_of_empty_volumes(tmp_path: Path) -> None:
    empty = [np.zeros((8, 8, 8), np.float32)]
    save_preview(tmp_path / "empty.png", empty, empty, (1, 1, 1), "unitless")
    assert (tmp_path / "empty.png").exists()


def test_reconstructions_of_one_or_three(tmp_path: Path) -> None:
    for n in (1, 3):
        cases = [Reconstructed(f"case {i}", v, 0.8 * v) for i, v in enumerate(volumes(n, (8, 8, 8)))]
        save_reconstructions(tmp_path / f"{n}.png", cases, (1, 1, 1), "um")
        assert imread(tmp_path / f"{n}.png").std() > 0.1


def test_history_with_gaps_one_epoch_and_negative_losses(tmp_path: Path) -> None:
    row = {
        "epoch": "1",
        "step": "4",
        "learning_rate": "0.001",
        "train_loss": "0.5",
        "val_loss": "",
        "more": "1",
    }
    histories = {
        "one": [row],
        "two": [row, row | {"epoch": "2", "train_loss": "-0.1", "val_loss": "0.2"}],
        "none": [],
    }
    for name, rows in histories.items():
        save_history(tmp_path / f"{name}.png", rows, "Autoencoder")
        assert (tmp_path / f"{name}.png").exists()
