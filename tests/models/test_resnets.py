"""ResNets with pretrained weights: known by the keys of a checkpoint, in 3D and in 2D."""

from pathlib import Path

import pytest
import torch
from monai.networks.nets import resnet
from torch.nn import functional as F  # noqa: N812

from resnet_files import PADDED, PROJECTED, Weights, random_weights, saved, saved_bare
from voxgen.models.resnets import Architecture, load_resnet


@pytest.mark.parametrize("depth", [34, 50])
def test_deeper_networks_are_known_by_their_keys(depth: int) -> None:
    shortcuts = PADDED if depth == 34 else PROJECTED
    with torch.device("meta"):
        network = getattr(resnet, f"resnet{depth}")(n_input_channels=1, feed_forward=False, **shortcuts)
        architecture = Architecture.of(network.state_dict())
        built = architecture.build()
    assert architecture == Architecture(depth, depth == 50, False)
    assert {k: v.shape for k, v in built.state_dict().items()} == {
        k: v.shape for k, v in network.state_dict().items()
    }
    with torch.device("meta"):
        assert built(torch.zeros(1, 1, 40, 40, 40)).shape == (1, 2048 if depth == 50 else 512)


def pictures_written_out(weights: Weights, x_BCXY: torch.Tensor) -> torch.Tensor:
    """A ResNet-50 of torchvision: strides of 2 in the middle convolution of a layer's first block."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        parts = (weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts)

    x = norm(F.conv2d(x_BCXY, weights["conv1.weight"], stride=2, padding=3), "bn1").relu()
    x = F.max_pool2d(x, 3, 2, 1)
    for layer in (1, 2, 3, 4):
        block = 0
        while (name := f"layer{layer}.{block}") + ".conv1.weight" in weights:
            stride = 2 if block == 0 and layer > 1 else 1
            y = norm(F.conv2d(x, weights[f"{name}.conv1.weight"]), f"{name}.bn1").relu()
            y = F.conv2d(y, weights[f"{name}.conv2.weight"], stride=stride, padding=1)
            y = norm(F.conv2d(norm(y, f"{name}.bn2").relu(), weights[f"{name}.conv3.weight"]), f"{name}.bn3")
            if block == 0:
                x = F.conv2d(x, weights[f"{name}.downsample.0.weight"], stride=stride)
                x = norm(x, f"{name}.downsample.1")
            x = (y + x).relu()
            block += 1
    return x.mean((2, 3))


def test_a_network_of_pictures_is_torchvisions(tmp_path: Path) -> None:
    weights = random_weights(50, dimensions=2)
    network, found = load_resnet(saved_bare(tmp_path / "resnet50.pth", weights))
    assert found == Architecture(50, projected=True, biased=False, dimensions=2)
    x = torch.rand(2, 3, 48, 40)
    expected = pictures_written_out(weights, x)
    torch.testing.assert_close(network(x), expected, rtol=1e-3, atol=1e-4 * expected.max().item())


def test_a_network_is_frozen_and_without_its_head(tmp_path: Path) -> None:
    network, _ = load_resnet(saved(tmp_path / "net.pth", random_weights(10)))
    assert not network.training
    assert not any(weight.requires_grad for weight in network.parameters())
    assert network(torch.rand(1, 1, 40, 40, 40)).shape == (1, 512)
