"""The networks: MONAI's parameters, outputs and gradients; every voxel is read and written."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from snakemake.utils import update_config
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from monais import monai_autoencoder, monai_denoiser
from voxgen.factors import in_all, steps_between
from voxgen.models.first_stage.networks import AutoencoderKL, Decoder, Downsampling, Encoder
from voxgen.models.layers import lay_out
from voxgen.models.layers.convolutions import Convolution, Upsampling
from voxgen.models.layers.folding import Folding, Unfolding
from voxgen.models.layers.norms import GroupNorm
from voxgen.models.levels import levels_of
from voxgen.models.prior.unet import UNet

Steps = Sequence[int | Sequence[int]]
BETWEEN = Downsampling, Upsampling, Folding, Unfolding  # levels

CONFIGS = Path(__file__).parents[2] / "config"


def of_config(*names: str) -> dict[str, dict[str, Any]]:
    """The sections `network` of the defaults with overlays."""
    config: dict[str, Any] = {}
    for name in ("config.yaml", *names):
        update_config(config, yaml.safe_load((CONFIGS / name).read_text()))
    return {
        "autoencoder": config["autoencoder"]["kl"]["network"],
        "denoiser": config["prior"]["diffusion"]["network"],
    }


def deep(*attention_levels: bool) -> dict[str, dict[str, Any]]:
    """Networks of two residual blocks at a level, and widths that change in both directions."""
    shared = {
        "channels": [8, 16, 12][: len(attention_levels)],
        "attention_levels": list(attention_levels),
        "res_blocks": 2,
        "norm_groups": 4,
    }
    return {"autoencoder": shared | {"latent_channels": 3}, "denoiser": shared | {"head_channels": 4}}


SECTIONS = {
    "config": of_config(),
    "adrenal-cpu": of_config("adrenal-cpu.yaml"),
    "smoke": of_config("smoke.yaml"),
    "attention at the last level": deep(False, False, True),
    "attention at the last levels": deep(False, True, True),
    "attention but at the last level": deep(True, False),
    "one level": deep(True),
}
EACH = pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)
KINDS = pytest.mark.parametrize("kind", ["autoencoder", "denoiser"])


def pair(kind: str, section: dict[str, dict[str, Any]]) -> tuple[nn.Module, nn.Module]:
    """Our network and MONAI's, of new weights from the same seed."""
    network, latent_channels = section[kind], section["autoencoder"]["latent_channels"]
    levels, norm_groups = levels_of(network, (8, 8, 8)), network["norm_groups"]
    torch.manual_seed(3)
    ours: nn.Module
    if kind == "autoencoder":
        ours = AutoencoderKL(levels, latent_channels, norm_groups)
        torch.manual_seed(3)
        return ours, monai_autoencoder(network)
    ours = UNet(levels, latent_channels, network["head_channels"], norm_groups)
    torch.manual_seed(3)
    return ours, monai_denoiser(network, latent_channels)


def drawn(kind: str, section: dict[str, dict[str, Any]]) -> tuple[nn.Module, nn.Module]:
    """Our network and MONAI's, of the same weights, none of which is zero as some are at first."""
    ours, monais = pair(kind, section)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in monais.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    ours.load_state_dict(monais.state_dict())
    lay_out(ours, "cpu")
    return ours, monais


def outputs(module: nn.Module, section: dict[str, dict[str, Any]]) -> tuple[Tensor, ...]:
    """All that a network says: mean, deviation and volumes, or the prediction."""
    draws = torch.Generator().manual_seed(1)
    latent_channels = section["autoencoder"]["latent_channels"]
    if hasattr(module, "encode"):
        mean, deviation = module.encode(torch.rand(2, 1, 16, 8, 8, generator=draws))
        noise = torch.randn(mean.shape, generator=draws)
        return mean, deviation, module.decode(mean + deviation * noise)
    latents = torch.randn(2, latent_channels, 8, 4, 4, generator=draws)
    return (module(latents, timesteps=torch.tensor([0.0, 731.5])),)


@EACH
@KINDS
def test_weights_are_monais_and_start_as_they_do(kind: str, section: dict[str, dict[str, Any]]) -> None:
    ours, monais = pair(kind, section)
    found, expected = ours.state_dict(), monais.state_dict()
    assert list(found) == list(expected)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in monais.named_parameters()]
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        assert torch.equal(found[name], value), name


@EACH
@KINDS
def test_weights_load_both_ways(kind: str, section: dict[str, dict[str, Any]]) -> None:
    ours, monais = pair(kind, section)
    for source, target in ((ours, monais), (monais, ours)):
        with torch.no_grad():
            for parameter in source.parameters():
                parameter.normal_()
        target.load_state_dict(source.state_dict(), strict=True)
        loaded = target.state_dict()
        assert all(torch.equal(value, loaded[name]) for name, value in source.state_dict().items())


@EACH
@KINDS
def test_outputs_are_monais(kind: str, section: dict[str, dict[str, Any]]) -> None:
    with torch.no_grad():
        found, expected = (outputs(module, section) for module in drawn(kind, section))
    for ours, monais in zip(found, expected, strict=True):
        assert ours.shape == monais.shape
        largest = float(monais.abs().max())
        assert 1e-3 < largest < 1e3
        torch.testing.assert_close(ours, monais, rtol=1e-5, atol=1e-5 * largest)


@EACH
@KINDS
def test_gradients_are_monais(kind: str, section: dict[str, dict[str, Any]]) -> None:
    of = []
    for module in drawn(kind, section):
        slopes = torch.Generator().manual_seed(2)
        of.append(module)
        sum((y * torch.randn(y.shape, generator=slopes)).sum() for y in outputs(module, section)).backward()
    found, expected = ({name: p.grad for name, p in module.named_parameters()} for module in of)
    assert found.keys() == expected.keys()
    largest = max(float(value.norm()) for value in expected.values() if value is not None)
    for name, value in expected.items():
        ours = found[name]
        assert value is not None, name
        assert ours is not None, name
        assert float((ours - value).norm()) < 1e-4 * float(value.norm()) + 1e-6 * largest, name
        if ".attn." in name and not name.endswith("to_k.bias"):  # that one cancels in the softmax
            assert float((ours - value).norm()) < 1e-4 * float(value.norm()), name
    attends = any(section[kind]["attention_levels"]) or kind == "denoiser"
    assert any(".attn.to_q." in name for name in found) == attends


@pytest.fixture
def no_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Voxels meet through convolutions alone."""

    def left(_: GroupNorm, x: Tensor, activated: bool) -> Tensor:
        return F.silu(x) if activated else x

    monkeypatch.setattr(GroupNorm, "_normalized", left)


def autoencoder(
    levels: int,
    attends: bool = False,
    shape: Sequence[int] = (8, 8, 8),
    stem: Sequence[int] = (1, 1, 1),
    factors: Steps | None = None,
) -> AutoencoderKL:
    torch.manual_seed(0)
    section: dict[str, Any] = {"channels": [4] * levels, "attention_levels": [attends] * levels}
    section |= {"res_blocks": 1, "factors": factors}
    seen = [size // fold for size, fold in zip(shape, stem, strict=True)]
    built = AutoencoderKL(levels_of(section, seen), 2, 2, stem)
    lay_out(built, "cpu")
    return built


def latent_of(shape: Sequence[int], stem: Sequence[int], levels: int) -> tuple[int, ...]:
    """The latent of volumes: an axis that the stem folds into one voxel is halved no more."""
    seen = [size // fold for size, fold in zip(shape, stem, strict=True)]
    return tuple(1 if size == 1 else size // 2 ** (levels - 1) for size in seen)


SHAPES = pytest.mark.parametrize(
    ("shape", "stem"),
    [
        ((8, 8, 8), (1, 1, 1)),
        ((4, 8, 12), (1, 1, 1)),
        ((16, 4, 4), (1, 1, 1)),
        ((8, 8, 1), (1, 1, 1)),
        ((8, 16, 4), (2, 2, 4)),
        ((3, 8, 8), (3, 1, 2)),
        ((2, 8, 3), (2, 2, 3)),
        ((16, 8, 8), (2, 2, 2)),
    ],
)
LEVELS = pytest.mark.parametrize("levels", [1, 2, 3])
STEPS = pytest.mark.parametrize(
    ("shape", "factors"),
    [
        ((8, 8, 8), [2, 2]),
        ((6, 9, 12), [3]),
        ((8, 12, 16), [4]),
        ((8, 16, 24), [8]),
        ((16, 16, 32), [16]),
        ((8, 8, 16), [4, 2]),
        ((32, 16, 16), [8, 2]),
        ((8, 16, 4), [[4, 4, 2], [2, 2, 1]]),
        ((6, 16, 10), [[3, 8, 5], [1, 2, 2]]),
        ((12, 14, 6), [[6, 7, 1]]),
        ((8, 8, 1), [4, 2]),
        ((1, 9, 1), [[2, 3, 16], 3]),
        ((8, 8, 8), [[2, 2, 8], [2, 2, 1]]),
        ((4, 3, 2), [1]),
    ],
)


@pytest.mark.usefixtures("no_norms")
@SHAPES
@LEVELS
def test_every_input_voxel_has_a_gradient(levels: int, shape: tuple[int, ...], stem: tuple[int, ...]) -> None:
    x = torch.randn(1, 1, *shape, requires_grad=True)
    mean, _ = autoencoder(levels, False, shape, stem).encode(x)
    assert mean.shape == (1, 2, *latent_of(shape, stem, levels))
    (gradient,) = torch.autograd.grad((mean * torch.randn_like(mean)).sum(), x)
    assert gradient.abs().min() > 0


@pytest.mark.usefixtures("no_norms")
@SHAPES
@LEVELS
def test_every_output_voxel_depends_on_the_latent(
    levels: int, shape: tuple[int, ...], stem: tuple[int, ...]
) -> None:
    decode = autoencoder(levels, False, shape, stem).decode
    one, other = torch.randn(2, 1, 2, *latent_of(shape, stem, levels))
    with torch.no_grad():
        difference = decode(one) - decode(other)
    assert difference.shape == (1, 1, *shape)
    assert difference.abs().min() > 0


@STEPS
@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.usefixtures("no_norms")
def test_whatever_the_factors_every_voxel_is_read_and_written(
    shape: tuple[int, ...], factors: Steps, alone: bool
) -> None:
    """By the layers between the levels alone too, without those that reach further."""
    built = autoencoder(len(factors) + 1, False, shape, factors=factors)
    down, up = (nn.Sequential(*_between(part)) if alone else part for part in (built.encoder, built.decoder))
    steps = steps_between(len(factors) + 1, factors)
    latent = [size // factor for size, factor in zip(shape, in_all(shape, (1, 1, 1), steps), strict=True)]
    x = torch.randn(1, 4 if alone else 1, *shape, requires_grad=True)
    z = down(x)
    assert list(z.shape[2:]) == latent
    (gradient,) = torch.autograd.grad((z * torch.randn_like(z)).sum(), x)
    assert gradient.abs().min() > 0
    with torch.no_grad():
        one, other = (up(torch.randn_like(z)) for _ in range(2))
    assert one.shape[2:] == shape
    assert (one - other).abs().min() > 0


def _between(part: Encoder | Decoder) -> list[nn.Module]:
    """What lies between the levels of a network."""
    return [block for block in part.blocks if isinstance(block, BETWEEN)]


@STEPS
def test_along_one_voxel_kernels_are_1(shape: tuple[int, ...], factors: Steps) -> None:
    built = autoencoder(len(factors) + 1, False, shape, factors=factors)
    seen = []

    def see(module: Convolution, inputs: tuple[Tensor], _: Tensor) -> None:
        seen.append((module.conv.kernel_size, inputs[0].shape[2:]))

    for module in built.modules():
        if isinstance(module, Convolution):
            module.register_forward_hook(see)
    built.decode(built.encode(torch.zeros(1, 1, *shape))[0])
    assert seen
    assert all(kernel == 1 for kernels, sizes in seen for kernel in _at_one(kernels, sizes))


def _at_one(kernels: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """The kernel along axes of one voxel."""
    return [kernel for kernel, size in zip(kernels, sizes, strict=True) if size == 1]


@pytest.mark.parametrize("factors", [[2, 2], [[2, 2, 2], 2]])
def test_factors_of_2_are_monais(factors: Steps) -> None:
    section = deep(False, True, True)["autoencoder"]
    assert levels_of(section | {"factors": factors}, (8, 16, 8)) == levels_of(section, (8, 16, 8))


@pytest.mark.parametrize(("factors", "widths"), [([2], [(4, 4), (6, 6)]), ([4], [(4 * 64, 6), (6, 4 * 64)])])
def test_by_more_than_2_the_width_changes_on_the_way(factors: Steps, widths: list[tuple[int, int]]) -> None:
    section = {"channels": [4, 6], "attention_levels": [False] * 2, "res_blocks": 1, "factors": factors}
    built = AutoencoderKL(levels_of(section, (8, 8, 8)), 2, 2)
    layers = [layer for way in (built.encoder, built.decoder) for layer in _between(way)]
    found = [part for layer in layers for part in layer.modules() if isinstance(part, nn.Conv3d)]
    assert [(part.in_channels, part.out_channels) for part in found] == widths


@pytest.mark.usefixtures("no_norms")
@pytest.mark.parametrize("shape", [(8, 8, 8), (4, 8, 12), (16, 4, 4), (8, 4, 1), (1, 8, 4), (1, 8, 1)])
def test_the_denoiser_reads_and_writes_every_voxel(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    section = {"channels": [4, 4, 4], "attention_levels": [False] * 3, "res_blocks": 1}
    built = UNet(levels_of(section, shape), 2, 4, 2)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    x = torch.randn(1, 2, *shape, requires_grad=True)
    y = built(x, timesteps=torch.tensor([500.0]))
    assert y.shape == x.shape
    (gradient,) = torch.autograd.grad((y * torch.randn_like(y)).sum(), x)
    assert gradient.abs().min() > 0
    with torch.no_grad():
        assert (built(torch.randn_like(x), timesteps=torch.tensor([500.0])) - y).abs().min() > 0


@pytest.fixture
def new_memory_is_nan() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("new_memory_is_nan")
@pytest.mark.parametrize("few", [0, 1000])
@pytest.mark.parametrize("bf16", [False, True])
@LEVELS
def test_nothing_is_left_as_memory_was(
    levels: int, bf16: bool, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither output voxels nor gradients."""
    monkeypatch.setattr("voxgen.models.layers.norms.FEW_VOXELS", few)
    module = autoencoder(levels, attends=True)
    x = torch.rand(2, 1, 8, 4, 12, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        mean, deviation = module.encode(x)
        y = module.decode(mean + deviation)
    y.float().square().sum().backward()
    made = mean, deviation, y, x.grad, *(parameter.grad for parameter in module.parameters())
    assert all(tensor is not None and tensor.isfinite().all() for tensor in made)


def test_no_class_is_swapped(root: Path) -> None:
    """An object keeps the class that it was made of."""
    files = sorted((root / "src").rglob("*.py"))
    assert files
    assert [path for path in files if "__class__" in path.read_text()] == []
