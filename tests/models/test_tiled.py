"""A first stage by tiles: what it gives where tiles cannot matter, and what it sees where they do."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from voxgen.io.files import read_json, write_json
from voxgen.models.codec import load_autoencoder
from voxgen.models.first_stage.tiled import Tiled
from voxgen.models.interfaces import FirstStage
from voxgen.models.objective import Objective
from voxgen.settings.sections import Settings

PATCH = (8, 12, 6)


class Pooling(FirstStage):
    """Means of blocks and back, blind to all beyond a block; it keeps the shapes that it sees."""

    latent_channels = 1
    factors = 4, 4, 2

    def __init__(self, spreads: bool = True, normalising: bool = False) -> None:
        self.spreads, self.normalising = spreads, normalising
        self.seen: list[tuple[int, ...]] = []

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        self.seen.append(tuple(x.shape[2:]))
        scale = x.std((2, 3, 4), keepdim=True) if self.normalising else 1.0
        mean = F.avg_pool3d(x, self.factors) / scale
        return mean, mean.abs() + 1 if self.spreads else None

    def decode(self, z: Tensor) -> Tensor:
        self.seen.append(tuple(z.shape[2:]))
        return F.interpolate(z, scale_factor=tuple(map(float, self.factors)))

    def features(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape[2:]))
        return x.amax((2, 3, 4))

    def objective(self) -> Objective:
        raise NotImplementedError


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(24, 24, 12), (20, 16, 10), (8, 28, 8)])
def test_tiles_change_nothing_for_a_stage_that_is_blind_to_what_surrounds_a_block(
    shape: tuple[int, int, int],
) -> None:
    """They start at multiples of the factors, or else blocks would be other ones."""
    stage, x = Pooling(), drawn(3, 1, *shape)
    tiled = Tiled(stage, PATCH)
    mean, spread = tiled.encode(x)
    expected, width = Pooling().encode(x)
    assert spread is not None
    assert width is not None
    torch.testing.assert_close(mean, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(spread, width, rtol=0, atol=1e-5)
    assert set(stage.seen) == {PATCH}
    stage.seen.clear()
    torch.testing.assert_close(tiled.decode(mean), Pooling().decode(expected), rtol=0, atol=1e-5)
    assert set(stage.seen) == {(2, 3, 3)}
    assert Tiled(Pooling(spreads=False), PATCH).encode(x)[1] is None


def test_a_volume_of_the_patchs_shape_is_seen_as_it_is() -> None:
    stage, x = Pooling(normalising=True), drawn(3, 1, *PATCH)
    tiled, alone = Tiled(stage, PATCH), Pooling(normalising=True)
    for found, expected in zip(tiled.encode(x), alone.encode(x), strict=True):
        assert found is not None
        assert expected is not None
        assert torch.equal(found, expected)
    assert torch.equal(tiled.features(x), alone.features(x))
    assert torch.equal(tiled.decode(drawn(3, 1, 2, 3, 3)), alone.decode(drawn(3, 1, 2, 3, 3)))
    assert stage.seen == [PATCH, PATCH, (2, 3, 3)]


def test_a_stage_that_normalises_sees_patches_as_in_training() -> None:
    """Two halves of other contrast: each is normalised by what a patch holds, not by the whole volume."""
    x = drawn(2, 1, 64, 12, 6)
    x[:, :, 32:] *= 10
    (mean, _), (whole, _) = (
        Tiled(Pooling(normalising=True), PATCH).encode(x),
        Pooling(normalising=True).encode(x),
    )
    ratio, before = (z[:, :, 10:].std() / z[:, :, :6].std() for z in (mean, whole))
    assert ratio == pytest.approx(1, abs=0.3)
    assert before > 8


def test_features_are_the_mean_over_tiles_side_by_side() -> None:
    stage, x = Pooling(), drawn(2, 1, 16, 12, 6)
    found = Tiled(stage, PATCH).features(x)
    torch.testing.assert_close(found, (x[:, :, :8].amax((2, 3, 4)) + x[:, :, 8:].amax((2, 3, 4))) / 2)
    assert stage.seen == [PATCH, PATCH]


def test_the_batch_does_not_matter() -> None:
    x = drawn(4, 1, 24, 24, 12)
    tiled = Tiled(Pooling(normalising=True), PATCH)
    torch.testing.assert_close(tiled.encode(x)[0][2:3], tiled.encode(x[2:3])[0])


def test_an_autoencoder_of_patches_sees_volumes_by_tiles(
    results: Path, tmp_path: Path, settings: Settings
) -> None:
    folder = shutil.copytree(results / "autoencoder", tmp_path / "copy")
    config: dict[str, Any] = read_json(folder / "config.json")
    config["settings"]["patch"] = [4, 4, 8]
    write_json(folder / "config.json", config)
    patches, whole = (load_autoencoder(each, settings.machine) for each in (folder, results / "autoencoder"))
    x = np.random.default_rng(0).random((3, 8, 8, 8), dtype=np.float32)
    np.testing.assert_array_equal(patches.reconstruct(x[:, :4, :4]), whole.reconstruct(x[:, :4, :4]))
    np.testing.assert_array_equal(patches.features(x[:, :4, :4]), whole.features(x[:, :4, :4]))
    mean, spread = patches.encode(x)
    assert spread is not None
    assert mean.shape == spread.shape == (3, 2, 4, 4, 1)
    assert patches.decode(mean).shape == x.shape
    assert np.abs(mean - whole.encode(x)[0]).max() > 1e-3
