"""The perceptual term: MONAI's distance on one item, gradients, and the files that it needs."""

from pathlib import Path
from typing import Any

import pytest
import torch
from monai.losses.perceptual import MedicalNetPerceptualSimilarity, TorchvisionModelPerceptualSimilarity
from torch import Tensor, nn

from objectives import KL, L1, batch_of, objective
from resnet_files import PADDED, random_weights, saved, saved_bare
from voxgen.errors import InputError
from voxgen.models.first_stage.perceptual import PerceptualDistance
from voxgen.models.layers import lay_out
from voxgen.models.resnets import load_resnet
from voxgen.settings.machine import Machine
from voxgen.settings.sections import Settings
from voxgen.sources.pretrained import FILES, weights_of
from voxgen.training.engine import Engine, Share


@pytest.fixture(scope="module")
def volumes_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("volumes") / "resnet_10_23dataset.pth", random_weights(10))


@pytest.fixture(scope="module")
def pictures_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    weights = random_weights(50, dimensions=2)
    return saved_bare(tmp_path_factory.mktemp("pictures") / "resnet50-11ad3fa6.pth", weights)


def maps_of(path: Path) -> nn.Module:
    """The network of a file up to its last feature maps, with its norms."""
    network, _ = load_resnet(path)
    names = ("conv1", "bn1", "act", "maxpool", "layer1", "layer2", "layer3", "layer4")
    return nn.Sequential(*map(network.get_submodule, names))


def monais(kind: type[nn.Module], **parts: Any) -> Any:
    """One of MONAI's similarities without its download."""
    similarity = kind.__new__(kind)
    nn.Module.__init__(similarity)
    for name, part in parts.items():
        setattr(similarity, name, part)
    return similarity


class Named(nn.Module):
    """Gives what a network gives under a name."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"last": self.network(x)}


def test_of_one_volume_it_is_monais_with_the_volumes_own_statistics(volumes_file: Path) -> None:
    """MONAI standardises a reconstruction by itself; here the volume's mean and deviation serve for both."""
    torch.manual_seed(0)
    x, r = torch.rand(1, 1, 40, 44, 41), torch.rand(1, 1, 40, 44, 41)
    r = (r - r.mean()) / r.std() * x.std() + x.mean()
    expected = monais(MedicalNetPerceptualSimilarity, model=maps_of(volumes_file), channel_wise=False)(r, x)
    distance = PerceptualDistance("medicalnet_resnet10", str(volumes_file))
    assert distance(r, x).item() == pytest.approx(expected.item(), rel=1e-4)
    assert expected.item() > 1e-3
    assert distance(x, x).item() == 0
    assert distance(r + 0.5, x) > distance(r, x)


def test_of_slices_it_is_monais_mean_over_the_shortest_axis(pictures_file: Path) -> None:
    torch.manual_seed(0)
    x, r = torch.rand(2, 1, 32, 40, 3), torch.rand(2, 1, 32, 40, 3)
    similarity = monais(TorchvisionModelPerceptualSimilarity, model=Named(maps_of(pictures_file)))
    similarity.final_layer = "last"
    expected = [similarity(r[..., z], x[..., z]).mean().item() for z in range(3)]
    distance = PerceptualDistance("imagenet_resnet50", str(pictures_file))
    assert distance(r, x).item() == pytest.approx(sum(expected) / 3, rel=1e-4)
    turned = distance(r.movedim(4, 2), x.movedim(4, 2))
    assert turned.item() == pytest.approx(sum(expected) / 3, rel=1e-4)


def test_items_do_not_depend_on_each_other(volumes_file: Path) -> None:
    distance = PerceptualDistance("medicalnet_resnet10", str(volumes_file))
    x, r = torch.rand(2, 1, 12, 12, 8), torch.rand(2, 1, 12, 12, 8)
    x[1] *= 5
    parts = [distance(r[i : i + 1], x[i : i + 1]).item() for i in range(2)]
    assert distance(r, x).item() == pytest.approx(sum(parts) / 2, rel=1e-4)


def test_an_empty_volume_is_no_division_by_zero(volumes_file: Path) -> None:
    distance = PerceptualDistance("medicalnet_resnet10", str(volumes_file))
    r = torch.rand(1, 1, 8, 8, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(distance(r, torch.zeros(1, 1, 8, 8, 8)), r)
    assert slope.isfinite().all()
    assert slope.abs().max() > 0


def test_the_network_is_frozen_in_training_and_has_no_statistics_to_share(volumes_file: Path) -> None:
    distance = PerceptualDistance("medicalnet_resnet10", str(volumes_file)).train()
    assert not any(weight.requires_grad for weight in distance.parameters())
    assert not any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in distance.modules())
    x = torch.rand(1, 1, 40, 40, 40)
    torch.testing.assert_close(distance.network(x), maps_of(volumes_file)(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("network", ["medicalnet_resnet10", "imagenet_resnet50"])
def test_a_step_of_a_training_with_a_discriminator_moves_all_but_it(
    network: str, volumes_file: Path, pictures_file: Path, settings: Settings
) -> None:
    """Autoencoder and discriminator lie in 3D or in a plane, and the pretrained network in either."""
    weights = str(volumes_file if network == "medicalnet_resnet10" else pictures_file)
    adversary = {"weight": 0.1, "warmup_epochs": 0, "learning_rate": 1e-3, "channels": 4, "layers": 1}
    adversary |= {"scales": 1, "norm": "group"}
    perception = {"weight": 0.5, "network": network, "weights": weights}
    losses = {"l1": L1, "perceptual": perception, "adversarial": adversary, "kl": KL}
    machine: Machine = settings.machine.model_copy(update={"device": "cpu", "precision": "fp32"})
    for stem in ((1, 1, 1), (1, 1, 8)):
        made = objective(losses, stem)
        engine = Engine(made, settings.autoencoder.chosen.training, machine)
        before = {name: value.clone() for name, value in engine.objective.state_dict().items()}
        step = engine.train_step([Share(batch_of(made, 1), 1.0)], {"model": 1e-3, "discriminator": 1e-3})
        assert step.bad is None
        assert step.figures["perceptual"] > 0
        moved = {
            name.partition(".")[0]
            for name, value in engine.objective.state_dict().items()
            if not torch.equal(value, before[name])
        }
        assert moved == {"model", "discriminator"}
        assert engine.state_dict()["trained"].keys() == {"model", "discriminator"}


def test_the_file_is_the_given_one_or_that_of_the_cache(
    volumes_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(volumes_file.parent))
    assert weights_of("medicalnet_resnet10", str(volumes_file)) == str(volumes_file)
    with pytest.raises(InputError, match=r"no file resnet_10_23dataset\.pth in "):
        weights_of("medicalnet_resnet10", None)
    cached = tmp_path / "voxgen" / "resnet_10_23dataset.pth"
    cached.parent.mkdir()
    cached.write_bytes(volumes_file.read_bytes())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights_of("medicalnet_resnet10", None) == str(cached)


@pytest.mark.parametrize("network", FILES)
def test_a_missing_file_is_refused_by_name_folder_and_command(
    network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    message = rf"losses\.perceptual: no file {FILES[network]} in {tmp_path}/voxgen; run `voxgen"
    with pytest.raises(InputError, match=rf"{message} fetch-weights {network}` on a machine with network"):
        objective({"l1": L1, "perceptual": {"weight": 1.0, "network": network, "weights": None}, "kl": KL})
    with pytest.raises(InputError, match=rf"no file mine.pth in {tmp_path}; run `voxgen fetch-weights"):
        weights_of(network, str(tmp_path / "mine.pth"))


def test_other_weights_are_refused(volumes_file: Path, pictures_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a ResNet-10 in 3D; expected the weights of imagenet_resnet50"):
        PerceptualDistance("imagenet_resnet50", str(volumes_file))
    with pytest.raises(InputError, match=r"a ResNet-50 in 2D; expected the weights of medicalnet_resne"):
        PerceptualDistance("medicalnet_resnet50", str(pictures_file))
    padded = saved(tmp_path / "padded.pth", random_weights(10, PADDED))
    with pytest.raises(InputError, match=r"padded.pth: holds a ResNet-10 in 3D \(padded shortcuts\)"):
        PerceptualDistance("medicalnet_resnet10", str(padded))


def test_layouts_are_chosen_part_by_part(volumes_file: Path) -> None:
    distance = PerceptualDistance("medicalnet_resnet10", str(volumes_file))
    lay_out(distance, "cpu")
    first = next(distance.parameters())
    assert first.is_contiguous(memory_format=torch.channels_last_3d)
