"""Accelerated networks: MONAI's weights, results and gradients, in fewer operations or less memory."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from monai.networks.blocks import Convolution, UpSample
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from voxgen.models.prior.denoiser import DenoiserObjective, build_denoiser

from voxgen.models.first_stage.kl import AutoencoderObjective, build_autoencoder
from voxgen.models.layers import accelerate
from voxgen.models.layers.convolutions import Upsampling
from voxgen.models.layers.norms import GroupNorm
from voxgen.models.prior.processes import build_process

AUTOENCODER = {
    "channels": [8, 16],
    "attention_levels": [False, True],
    "latent_channels": 2,
    "res_blocks": 1,
    "norm_groups": 4,
}
DENOISER = {
    "channels": [8, 16],
    "attention_levels": [False, True],
    "res_blocks": 1,
    "head_channels": 8,
    "norm_groups": 4,
}


def objective(kind: str, edge: int = 4) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A small objective whose weights are all drawn (MONAI starts some at zero), and a batch for it.

    `edge` is that of latents.
    """
    torch.manual_seed(0)
    latent, noise = torch.randn(2, 2, 2, edge, edge, edge)
    if kind == "autoencoder":
        built: nn.Module = AutoencoderObjective(build_autoencoder(AUTOENCODER), 2.0, 1e-3)
        batch: tuple[Tensor, ...] = torch.rand(2, 1, 2 * edge, 2 * edge, 2 * edge), noise
    else:
        built = DenoiserObjective(build_denoiser(DENOISER, 2), build_process("flow"))
        batch = latent, noise, torch.tensor([0.2, 0.7])
    with torch.no_grad():
        for parameter in built.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return built, batch


def accelerated(module: nn.Module, **how: Any) -> nn.Module:
    made = copy.deepcopy(module)
    accelerate(made, "cpu", **how)
    return made


def gradients(module: nn.Module, batch: tuple[Tensor, ...], bf16: bool = False) -> dict[str, Tensor]:
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        loss = module(*batch)["loss"]
    loss.backward()
    found = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    module.zero_grad()
    return {"loss": loss.detach(), **found}


def distance(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / (expected.norm() + 1e-6))


@pytest.fixture
def own_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    """The norms' own backward pass for small volumes too, which torch's serves otherwise."""
    monkeypatch.setattr("voxgen.models.layers.norms.FEW_VOXELS", 0)


KINDS = pytest.mark.parametrize("kind", ["autoencoder", "denoiser"])


@KINDS
def test_it_has_monais_weights(kind: str) -> None:
    plain, _ = objective(kind)
    ours = accelerated(plain)
    shapes = {name: value.shape for name, value in plain.state_dict().items()}
    assert {name: value.shape for name, value in ours.state_dict().items()} == shapes
    ours.load_state_dict(plain.state_dict())
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in ours.state_dict().items())


@KINDS
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("few", [0, 1000])
def test_it_computes_what_monai_does(
    kind: str, recompute: bool, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxgen.models.layers.norms.FEW_VOXELS", few)
    plain, batch = objective(kind)
    expected = gradients(plain, batch)
    found = gradients(accelerated(plain, recompute=recompute), batch)
    assert found.keys() == expected.keys()
    assert distance(found["loss"], expected["loss"]) < 1e-5
    largest = max(value.norm() for value in expected.values())
    for name, value in expected.items():
        assert (found[name] - value).norm() < 1e-4 * value.norm() + 1e-5 * largest, name


def test_volumes_are_monais() -> None:
    plain, (x, _) = objective("autoencoder")
    ours = accelerated(plain)
    with torch.no_grad():
        expected, found = (module.model.reconstruct(x) for module in (plain, ours))
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.usefixtures("own_norms")
@KINDS
def test_bf16_is_as_near_as_monais(kind: str) -> None:
    plain, batch = objective(kind, edge=8)  # with 4 MONAI's own are wrong in bf16
    expected = gradients(plain, batch)
    plain_16, ours_16 = (gradients(module, batch, bf16=True) for module in (plain, accelerated(plain)))

    def error(of: dict[str, Tensor]) -> float:
        squares = sum(float((of[name] - value).square().sum()) for name, value in expected.items())
        return (squares / sum(float(value.square().sum()) for value in expected.values())) ** 0.5

    assert error(ours_16) < 1.5 * error(plain_16)


@pytest.mark.usefixtures("own_norms")
@KINDS
def test_every_run_gives_the_same_bits(kind: str) -> None:
    plain, batch = objective(kind)
    ours = accelerated(plain)
    first, second = (gradients(ours, batch, bf16=True) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.usefixtures("own_norms")
@KINDS
@pytest.mark.parametrize("bf16", [False, True])
def test_recomputed_gradients_are_the_same_bits(kind: str, bf16: bool) -> None:
    plain, batch = objective(kind)
    held, recomputed = (
        gradients(accelerated(plain, recompute=recompute), batch, bf16) for recompute in (False, True)
    )
    assert all(torch.equal(held[name], recomputed[name]) for name in held)


@pytest.mark.usefixtures("own_norms")
@KINDS
def test_what_is_held_for_the_backward_pass(kind: str) -> None:
    """The norms hold less than torch's, and recomputed blocks hold little."""
    plain, batch = objective(kind)
    torchs, ours, recomputed = (
        held(module, batch) for module in (plain, accelerated(plain), accelerated(plain, recompute=True))
    )
    if kind == "autoencoder":
        assert ours < 0.8 * torchs
    assert recomputed < 0.6 * ours


def held(module: nn.Module, batch: tuple[Tensor, ...]) -> int:
    """Bytes that the backward pass needs, without those of the parameters."""
    known = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = module(*batch)["loss"]
    loss.backward()
    return sum(found.values())


def test_a_copy_computes_the_same() -> None:
    plain, batch = objective("denoiser")
    ours = accelerated(plain, recompute=True)
    first, second = gradients(ours, batch), gradients(copy.deepcopy(ours), batch)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.usefixtures("own_norms")
@pytest.mark.parametrize("shape", [(2, 6, 3, 2, 4), (1, 4, 1, 1, 1), (3, 4, 5, 1, 2)])
@pytest.mark.parametrize("way", [GroupNorm.forward, GroupNorm.activated])
def test_gradients_of_the_norm(shape: tuple[int, ...], way: Callable[..., Tensor]) -> None:
    torch.manual_seed(0)
    norm = GroupNorm(2, shape[1], eps=1e-5).double()
    x, weight, bias = (torch.randn(size).double().requires_grad_() for size in (shape, shape[1], shape[1]))

    def normalized(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        parameters = {"weight": weight, "bias": bias}
        return torch.func.functional_call(Way(norm, way), {f"norm.{k}": v for k, v in parameters.items()}, x)

    assert torch.autograd.gradcheck(normalized, (x, weight, bias))
    expected = F.group_norm(x, 2, weight, bias, 1e-5)
    if way is GroupNorm.activated:
        expected = F.silu(expected)
    torch.testing.assert_close(normalized(x, weight, bias), expected)


class Way(nn.Module):
    """One of the ways to call a norm."""

    def __init__(self, norm: GroupNorm, way: Callable[..., Tensor]) -> None:
        super().__init__()
        self.norm, self.way = norm, way

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self.norm, x)


@pytest.mark.usefixtures("own_norms")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_norm_of_halves(dtype: torch.dtype) -> None:
    """Its gradients are rounded, not less exact than that."""
    torch.manual_seed(0)
    norm, plain = GroupNorm(2, 8), nn.GroupNorm(2, 8)
    x, slope = torch.randn(2, 2, 8, 6, 6, 6).to(dtype)
    of = []
    for y, start in ((norm.activated, x.clone()), (lambda x: F.silu(plain(x)), x.float())):
        start.requires_grad_()
        y(start).backward(slope.to(start.dtype))
        of.append(start.grad)
    assert distance(of[0].float(), of[1]) < 4 * torch.finfo(dtype).eps
    assert norm.weight.grad is not None
    assert plain.weight.grad is not None
    assert distance(norm.weight.grad, plain.weight.grad) < 4 * torch.finfo(dtype).eps


@pytest.mark.parametrize(
    "shape", [(2, 2, 2), (2, 5, 4), (5, 1, 3), (3, 4, 1), (6, 6, 2), (4, 2, 5), (4, 4, 4)]
)
@pytest.mark.parametrize("layer", ["same", "half", "double"])
def test_gradients_of_thin_volumes_in_bf16(shape: tuple[int, ...], layer: str) -> None:
    """OneDNN's own are wrong in some of these."""
    torch.manual_seed(0)
    x = torch.randn(2, 16, *shape)
    module: nn.Module = nn.Conv3d(16, 16, 3, stride=2 if layer == "half" else 1, padding=1)
    if layer == "double":
        module = upsampling(16, 16)
    accelerate(module, "cpu")
    of = []
    for bf16 in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y = module(x)
        assert not bf16 or y.dtype == torch.bfloat16
        slope = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y.dtype)
        y.backward(slope)
        of.append([parameter.grad for parameter in module.parameters()])
        module.zero_grad()
    for expected, found in zip(*of, strict=True):
        assert distance(found, expected) < 0.01


def upsampling(inside: int, outside: int) -> UpSample:
    """As MONAI's decoders have it."""
    return UpSample(
        spatial_dims=3,
        in_channels=inside,
        out_channels=inside,
        scale_factor=2.0,
        mode="nontrainable",
        interp_mode="nearest",
        align_corners=None,
        post_conv=Convolution(3, inside, outside, strides=1, kernel_size=3, padding=1, conv_only=True),
    )


def test_upsampling_is_upsampling_and_a_convolution() -> None:
    torch.manual_seed(0)
    plain = upsampling(3, 5).double()
    ours = copy.deepcopy(plain)
    accelerate(ours, "cpu")
    assert type(ours) is Upsampling
    x = torch.randn(2, 3, 4, 3, 2).double()
    slope = torch.randn(2, 5, 8, 6, 4).double()
    for module in (plain, ours):
        module(x).backward(slope)
    torch.testing.assert_close(ours(x), plain(x))
    for found, expected in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)
