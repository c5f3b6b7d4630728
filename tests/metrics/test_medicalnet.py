"""MedicalNet's features from a checkpoint in its layout, against its layers written out one by one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from resnet_files import PADDED, PROJECTED, Weights, random_weights, saved, saved_bare
from voxgen.errors import InputError
from voxgen.metrics.medicalnet import load_medicalnet, standardised


def written_out(weights: Weights, x_BCXYZ: Tensor) -> Tensor:
    """MedicalNet's forward pass: strides 2 up to layer 2, dilations 2 and 4 in layers 3 and 4."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var, scale, shift = (
            weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, scale, shift)

    def shortcut(x: Tensor, name: str, channels: int, stride: int) -> Tensor:
        if f"{name}.0.weight" in weights:
            return norm(F.conv3d(x, weights[f"{name}.0.weight"], stride=stride), f"{name}.1")
        x = x[:, :, ::stride, ::stride, ::stride]
        return F.pad(x, (0, 0, 0, 0, 0, 0, 0, channels - x.shape[1]))

    x = F.conv3d(x_BCXYZ, weights["conv1.weight"], stride=2, padding=3)
    x = F.max_pool3d(norm(x, "bn1").relu(), 3, 2, 1)
    for layer, stride, dilation in ((1, 1, 1), (2, 2, 1), (3, 1, 2), (4, 1, 4)):
        block = 0
        while (name := f"layer{layer}.{block}") + ".conv1.weight" in weights:
            step = stride if block == 0 else 1
            y = F.conv3d(x, weights[f"{name}.conv1.weight"], stride=step, padding=dilation, dilation=dilation)
            y = norm(y, f"{name}.bn1").relu()
            y = F.conv3d(y, weights[f"{name}.conv2.weight"], padding=dilation, dilation=dilation)
            y = norm(y, f"{name}.bn2")
            x = (y + shortcut(x, f"{name}.downsample", y.shape[1], step)).relu()
            block += 1
    return x.mean((2, 3, 4))


@pytest.fixture(scope="module")
def weights() -> Weights:
    return random_weights(10, PROJECTED)


@pytest.fixture
def volumes() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).gamma(1, 0.3, (2, 44, 40, 48)).astype(np.float32)
    return x, x > 0.2


@pytest.mark.parametrize(("depth", "shortcuts"), [(10, PROJECTED), (18, PADDED)])
def test_features_are_those_of_the_layers_written_out(
    depth: int, shortcuts: dict[str, str | bool], volumes: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    weights = random_weights(depth, shortcuts)
    network = load_medicalnet(saved(tmp_path / "net.pth", weights))
    features = network.features(*volumes)
    expected = written_out(weights, torch.from_numpy(standardised(*volumes))[:, None]).numpy()
    assert features.shape == (2, 512)
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert np.abs(features[0] - features[1]).max() > 0.01 * np.abs(features).max()


def test_thin_grids_are_interpolated(
    weights: Weights, volumes: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    x, foreground = (v[:, :41, :40, :8] for v in volumes)
    network = load_medicalnet(saved(tmp_path / "net.pth", weights))
    grown = F.interpolate(
        torch.from_numpy(standardised(x, foreground))[:, None], (41, 40, 40), mode="trilinear"
    )
    expected = written_out(weights, grown).numpy()
    np.testing.assert_allclose(
        network.features(x, foreground), expected, rtol=1e-3, atol=1e-4 * expected.max()
    )


def test_a_volume_is_standardised_over_its_foreground() -> None:
    x = np.random.default_rng(1).random((4, 6, 6, 6))
    foreground = x > 0.5
    foreground[1] = False
    x[2][foreground[2]] = 0.7
    scaled = standardised(x, foreground)
    assert scaled[0][foreground[0]].mean() == pytest.approx(0, abs=1e-6)
    assert scaled[0][foreground[0]].std() == pytest.approx(1, abs=1e-6)
    assert (scaled[1].mean(), scaled[1].std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1))
    np.testing.assert_allclose(scaled[2], x[2] - 0.7, atol=1e-6)
    np.testing.assert_allclose(standardised(5 * x + 3, foreground)[3], scaled[3], atol=1e-5)


def without(name: str) -> Callable[[Weights], object]:
    return lambda weights: {"state_dict": {k: v for k, v in weights.items() if k != name}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda weights: {"weights": weights}, r"no state_dict in it, found keys \['weights'\]"),
        (lambda weights: {"layer1.0.conv1.weight": weights["conv1.weight"]}, r"layers of \(1, 0, 0, 0\)"),
        (lambda weights: [1, 2], "no state_dict in it, found list"),
        (
            lambda weights: {"state_dict": {"encoder.weight": torch.zeros(2)}},
            r"layers of \(0, 0, 0, 0\) blocks",
        ),
        (without("bn1.running_mean"), "other weights than its depth has"),
        (without("layer4.0.conv2.weight"), "other weights than its depth has"),
    ],
)
def test_other_files_are_refused(
    content: Callable[[Weights], object], message: str, weights: Weights, tmp_path: Path
) -> None:
    path = tmp_path / "other.pth"
    torch.save(content(weights), path)
    with pytest.raises(InputError, match=message) as refusal:
        load_medicalnet(path)
    assert str(path) in str(refusal.value)
    assert "resnet_10.pth" in str(refusal.value)


def test_files_without_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_medicalnet(tmp_path / "missing.pth")
    for text in (b"", b"no weights", b"hello", b"PK\x03\x04 cut off"):
        (tmp_path / "text.pth").write_bytes(text)
        with pytest.raises(InputError, match="not readable as weights"):
            load_medicalnet(tmp_path / "text.pth")
    with pytest.raises(InputError, match="not readable as weights"):
        load_medicalnet(tmp_path)


def test_a_network_of_pictures_is_refused(tmp_path: Path) -> None:
    path = saved_bare(tmp_path / "resnet50.pth", random_weights(50, dimensions=2))
    with pytest.raises(InputError, match=r"resnet50.pth: a network of 2 dimensions; expected a ch"):
        load_medicalnet(path)
