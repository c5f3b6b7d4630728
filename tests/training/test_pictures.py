"""Pictures of a training under way: what they show, and that both trainings leave them in TensorBoard."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from conftest import VOLUMES
from voxgen.figures.tiles import GAP, SMALLEST, tiled
from voxgen.models.first_stage.kl import KLAutoencoder
from voxgen.models.objective import Batch, Objective
from voxgen.training.monitor.pictures import SHOWN, reconstructions
from voxgen.volumes.grid import fixed_grid

NETWORK = {
    "stem": [1, 1, 1],
    "channels": [4],
    "attention_levels": [False],
    "latent_channels": 1,
    "res_blocks": 1,
    "norm_groups": 2,
}
GRID = fixed_grid((8, 4, 4), [(0, 8), (0, 4), (0, 4)], "nm", "density", None).to_json()


class Halving(nn.Module):
    """An autoencoder that gives back half of what it sees."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x

    def decode(self, z: Tensor) -> Tensor:
        return 0.5 * z


class Halved(Objective):
    """What a training of it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Halving()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self.weight.sum()}


def lit(x: int, y: int, value: float = 1.0) -> np.ndarray:
    volume = np.zeros((8, 4, 4), np.float32)
    volume[x, y, 2] = value
    return volume


def bright(tile: np.ndarray) -> set[tuple[int, int]]:
    """The voxels (x, y) of a tile that are brighter than most."""
    edge = SMALLEST // 8
    small = tile[edge // 2 :: edge, edge // 2 :: edge].sum(2).astype(int)
    rows, columns = np.nonzero(small > small.min() + 100)
    return {(int(x), 3 - int(y)) for x, y in zip(columns, rows, strict=True)}


def test_tiles_show_volumes_along_z_with_y_upwards() -> None:
    picture = tiled([[lit(1, 0), lit(6, 3)]], "counts in a voxel")
    width, height = SMALLEST + GAP, SMALLEST // 2 + GAP
    assert picture.shape == (height, 2 * width, 3)
    assert picture.dtype == np.uint8
    assert bright(picture[: SMALLEST // 2, :SMALLEST]) == {(1, 0)}
    assert bright(picture[: SMALLEST // 2, width : width + SMALLEST]) == {(6, 3)}
    assert (picture[-GAP:] == 255).all()


def test_each_row_has_a_scale_of_its_own() -> None:
    strong, weak = lit(1, 0), lit(1, 0, 0.01)
    picture = tiled([[strong], [weak]], "counts in a voxel")
    half = len(picture) // 2
    np.testing.assert_array_equal(picture[:half], picture[half:])


def test_a_row_with_negative_values_tells_them_from_positive_ones() -> None:
    picture = tiled([[lit(1, 0), -lit(6, 3)]], "counts in a voxel").astype(int)
    edge, width = SMALLEST // 8, SMALLEST + GAP
    above = picture[3 * edge + edge // 2, edge + edge // 2]
    below = picture[edge // 2, width + 6 * edge + edge // 2]
    assert above[0] > above[2]  # orange
    assert below[2] > below[0]  # blue


def test_reconstructions_stand_below_their_inputs_and_above_their_differences() -> None:
    x = torch.from_numpy(np.stack([lit(i, 0) for i in range(6)]))[:, None]
    stage = KLAutoencoder({"network": NETWORK, "losses": {}}, (4, 4, 4))
    (picture,) = reconstructions(stage, x, GRID)(Halved()).values()
    height = SMALLEST // 2 + GAP
    assert picture.shape == (3 * height, SHOWN * (SMALLEST + GAP), 3)
    np.testing.assert_array_equal(picture[:height], picture[height : 2 * height])  # each on its own scale
    difference = picture[2 * height : 3 * height, :SMALLEST].astype(int)
    assert (difference[..., 2] > difference[..., 0] + 50).any()  # what is missing is negative


@pytest.mark.parametrize(
    ("training", "name", "tiles"),
    [("autoencoder", "input, reconstruction, difference", VOLUMES["val"]), ("prior", "samples", SHOWN)],
)
def test_both_trainings_leave_pictures_at_their_end(
    results: Path, training: str, name: str, tiles: int
) -> None:
    (folder,) = (results / "state" / training).glob("*/tensorboard")
    shown = EventAccumulator(str(folder))
    shown.Reload()
    (picture,) = shown.Images(name)
    pixels = imread(io.BytesIO(picture.encoded_image_string))
    assert pixels.shape[1] == tiles * (SMALLEST + GAP)
    assert pixels[..., :3].std() > 0.1
