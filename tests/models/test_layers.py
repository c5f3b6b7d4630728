"""Layers of networks: MONAI's results and gradients, in fewer operations or less memory."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from monai.networks.blocks import Convolution as MonaiConvolution
from monai.networks.blocks import UpSample
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from monais import monai_autoencoder, monai_denoiser
from voxgen.factors import Factors
from voxgen.models.first_stage.kl import KLAutoencoder
from voxgen.models.first_stage.networks import Downsampling
from voxgen.models.layers import compile_blocks, lay_out, recompute_blocks
from voxgen.models.layers.blocks import (
    AttentionBlock,
    Block,
    ResidualBlock,
    SelfAttention,
    TimedResidualBlock,
)
from voxgen.models.layers.convolutions import Convolution, TransposedConvolution, Upsampling
from voxgen.models.layers.folding import Folding, Unfolding, folded, unfolded
from voxgen.models.layers.norms import GroupNorm
from voxgen.models.levels import NOT_FLAT, Flat, Level
from voxgen.models.objective import Batch, Objective
from voxgen.models.prior.diffusion import Diffusion
from voxgen.models.prior.unet import Downsampling as Halving

AUTOENCODER: dict[str, Any] = {
    "network": {
        "stem": [1, 1, 1],
        "channels": [8, 16],
        "attention_levels": [False, True],
        "latent_channels": 2,
        "res_blocks": 1,
        "norm_groups": 4,
    },
    "losses": {"l1": {"weight": 1.0, "foreground": 2.0}, "kl": {"weight": 1e-3}},
}
DENOISER: dict[str, Any] = {
    "process": "flow",
    "network": {
        "channels": [8, 16],
        "attention_levels": [False, True],
        "res_blocks": 1,
        "head_channels": 8,
        "norm_groups": 4,
    },
}


def objective(kind: str, edge: int = 4) -> tuple[Objective, Batch]:
    """A small objective of MONAI's network whose weights are all drawn (some start at zero), and a batch.

    `edge` is that of latents.
    """
    torch.manual_seed(0)
    latent, noise = torch.randn(2, 2, 2, edge, edge, edge)
    if kind == "autoencoder":
        built = KLAutoencoder(AUTOENCODER, (8, 8, 8)).objective()
        built.model = monai_autoencoder(AUTOENCODER["network"])
        batch = {"volume": torch.rand(2, 1, 2 * edge, 2 * edge, 2 * edge), "noise": noise}
    else:
        built = Diffusion(DENOISER, (2, edge, edge, edge)).objective()
        built.model = monai_denoiser(DENOISER["network"], 2)
        batch = {"latent": latent, "noise": noise, "time": torch.tensor([0.2, 0.7])}
    with torch.no_grad():
        for parameter in built.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return built, batch


def own(monais: Objective, recompute: bool = False) -> Objective:
    """The objective with our network and the same weights, as trainings have it on a CPU."""
    made = copy.deepcopy(monais)
    autoencodes = hasattr(monais.model, "encode")
    stage = KLAutoencoder(AUTOENCODER, (8, 8, 8)) if autoencodes else Diffusion(DENOISER, (2, 4, 4, 4))
    made.model = stage.network
    made.load_state_dict(monais.state_dict())
    lay_out(made, "cpu")
    recompute_blocks(made, recompute)
    return made


def gradients(module: Objective, batch: Batch, bf16: bool = False) -> dict[str, Tensor]:
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        loss = module(batch)["loss"]
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
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("few", [0, 1000])
def test_it_computes_what_monai_does(
    kind: str, recompute: bool, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxgen.models.layers.norms.FEW_VOXELS", few)
    plain, batch = objective(kind)
    expected = gradients(plain, batch)
    found = gradients(own(plain, recompute=recompute), batch)
    assert found.keys() == expected.keys()
    assert distance(found["loss"], expected["loss"]) < 1e-5
    largest = max(value.norm() for value in expected.values())
    for name, value in expected.items():
        assert (found[name] - value).norm() < 1e-4 * value.norm() + 1e-5 * largest, name


def test_volumes_are_monais() -> None:
    plain, batch = objective("autoencoder")
    ours = own(plain)
    with torch.no_grad():
        expected, found = (
            module.model.decode(module.model.encode(batch["volume"])[0]) for module in (plain, ours)
        )
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.usefixtures("own_norms")
@KINDS
def test_bf16_is_as_near_as_monais(kind: str) -> None:
    plain, batch = objective(kind, edge=8)  # with 4 MONAI's own are wrong in bf16
    expected = gradients(plain, batch)
    plain_16, ours_16 = (gradients(module, batch, bf16=True) for module in (plain, own(plain)))

    def error(of: dict[str, Tensor]) -> float:
        squares = sum(float((of[name] - value).square().sum()) for name, value in expected.items())
        return (squares / sum(float(value.square().sum()) for value in expected.values())) ** 0.5

    assert error(ours_16) < 1.5 * error(plain_16)


@pytest.mark.usefixtures("own_norms")
@KINDS
def test_every_run_gives_the_same_bits(kind: str) -> None:
    plain, batch = objective(kind)
    ours = own(plain)
    first, second = (gradients(ours, batch, bf16=True) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.usefixtures("own_norms")
@KINDS
@pytest.mark.parametrize("bf16", [False, True])
def test_recomputed_gradients_are_the_same_bits(kind: str, bf16: bool) -> None:
    plain, batch = objective(kind)
    held, recomputed = (
        gradients(own(plain, recompute=recompute), batch, bf16) for recompute in (False, True)
    )
    assert all(torch.equal(held[name], recomputed[name]) for name in held)


@pytest.mark.usefixtures("own_norms")
@KINDS
def test_what_is_held_for_the_backward_pass(kind: str) -> None:
    """The norms hold less than torch's, and recomputed blocks hold little."""
    plain, batch = objective(kind)
    torchs, ours, recomputed = (
        held(module, batch) for module in (plain, own(plain), own(plain, recompute=True))
    )
    if kind == "autoencoder":
        assert ours < 0.8 * torchs
    assert recomputed < 0.6 * ours


def held(module: Objective, batch: Batch) -> int:
    """Bytes that the backward pass needs, without those of the parameters."""
    known = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = module(batch)["loss"]
    loss.backward()
    return sum(found.values())


def test_a_copy_computes_the_same() -> None:
    plain, batch = objective("denoiser")
    ours = own(plain, recompute=True)
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
        x = x.contiguous(memory_format=torch.channels_last_3d)
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


THIN = [(2, 2, 2), (2, 5, 4), (5, 1, 3), (3, 4, 1), (6, 6, 2), (4, 2, 5), (4, 4, 4)]
CONVOLUTIONS: dict[str, Callable[[], nn.Module]] = {
    "same": partial(Convolution, 16, 16, 3),
    "half": partial(Convolution, 16, 16, 3, stride=2),
    "half of an encoder": partial(Downsampling, 16),  # one voxel cannot be halved there
    "half of codes": partial(Convolution, 16, 16, 4, stride=2, padding=1),  # nor here
    "double": partial(Upsampling, 16),
    "double of codes": partial(TransposedConvolution, 16, 16),
}


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layer, shape)
        for layer in CONVOLUTIONS
        for shape in THIN
        if not layer.startswith("half of") or min(shape) > 1
    ],
)
def test_gradients_of_thin_volumes_in_bf16(layer: str, shape: tuple[int, ...]) -> None:
    """OneDNN's own are wrong in some of these."""
    torch.manual_seed(0)
    x = torch.randn(2, 16, *shape)
    module = CONVOLUTIONS[layer]()
    lay_out(module, "cpu")
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


@pytest.mark.parametrize(
    ("layer", "shape", "in_fp32"),
    [
        *(("same", shape, True) for shape in [(2, 4, 4), (1, 4, 4), (4, 1, 4), (4, 4, 1)]),
        *(("same", shape, False) for shape in [(3, 2, 2), (4, 4, 4)]),
        *(("half", shape, True) for shape in [(2, 4, 4), (4, 2, 4), (4, 4, 2), (4, 4, 1)]),
        *(("half", shape, False) for shape in [(3, 3, 3), (4, 4, 4)]),
        *(("half of an encoder", shape, True) for shape in [(2, 4, 4), (4, 2, 4), (4, 4, 2)]),
        *(("half of an encoder", shape, False) for shape in [(4, 4, 4), (8, 4, 6)]),
        *(("double", shape, True) for shape in [(2, 4, 4), (1, 4, 4), (4, 1, 4), (4, 4, 1)]),
        *(("double", shape, False) for shape in [(3, 2, 2), (4, 4, 4)]),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_thin_volumes_are_convolved_in_fp32(
    layer: str, shape: tuple[int, ...], in_fp32: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the CPU alone: with two voxels along the first axis or one along any, before or after."""
    in_bf16: list[bool] = []

    def spy(torchs: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def spied(*args: Any, **how: Any) -> Tensor:
            in_bf16.append(torch.is_autocast_enabled("cpu"))
            return torchs(*args, **how)

        return spied

    for name in ("conv3d", "conv_transpose3d"):
        monkeypatch.setattr(F, name, spy(getattr(F, name)))
    module, x = CONVOLUTIONS[layer]().to(device), torch.zeros(1, 16, *shape, device=device)
    module(x)
    with torch.autocast("cpu", torch.bfloat16):
        module(x)
    assert in_bf16 == [False, device != "cpu" or not in_fp32]


def test_upsampling_is_upsampling_and_a_convolution() -> None:
    torch.manual_seed(0)
    plain = UpSample(  # as MONAI's decoders have it
        spatial_dims=3,
        in_channels=5,
        out_channels=5,
        scale_factor=2.0,
        mode="nontrainable",
        interp_mode="nearest",
        align_corners=None,
        post_conv=MonaiConvolution(3, 5, 5, strides=1, kernel_size=3, padding=1, conv_only=True),
    ).double()
    ours = Upsampling(5).double()
    ours.load_state_dict(plain.state_dict())
    lay_out(ours, "cpu")
    x = torch.randn(2, 5, 4, 3, 2).double()
    slope = torch.randn(2, 5, 8, 6, 4).double()
    inputs = []
    for module in (plain, ours):
        inputs.append(x.clone().requires_grad_())
        module(inputs[-1]).backward(slope)
    torch.testing.assert_close(ours(x), plain(x))
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad)
    for found, expected in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)


@pytest.mark.parametrize(
    "flat", [(False, False, True), (False, True, False), (True, False, False), (True, False, True)]
)
@pytest.mark.parametrize(
    "layer",
    [
        partial(Convolution, 6, 4, 3),
        partial(Convolution, 6, 4, 1),
        partial(Convolution, 6, 4, 3, stride=2),
        partial(Convolution, 6, 4, 3, stride=2, padding=0),
        partial(Downsampling, 6),
        partial(Upsampling, 6),
        partial(Convolution, 6, 4, 4, stride=2, padding=1),
        partial(TransposedConvolution, 6, 4),
    ],
)
def test_along_flat_axes_layers_are_as_if_each_voxel_stood_alone(
    layer: Callable[..., nn.Module], flat: Flat
) -> None:
    """Several voxels there, convolved in space, give what each of them gives, convolved in a plane."""
    torch.manual_seed(0)
    module = layer(flat=flat).double()
    x = torch.randn(2, 6, *(3 if each else 6 for each in flat)).double().requires_grad_()
    axis = flat.index(True) + 2
    together = module(x)
    assert all(size == (3 if each else size) for size, each in zip(together.shape[2:], flat, strict=True))
    alone = torch.cat([module(x.narrow(axis, i, 1)) for i in range(3)], axis)
    torch.testing.assert_close(alone, together)
    slope = torch.randn_like(together)
    torch.testing.assert_close(*(torch.autograd.grad(y, x, slope)[0] for y in (alone, together)))


@pytest.mark.parametrize("box", [(4, 4, 4), (3, 1, 5), (2, 8, 1)])
def test_folding_is_a_convolution_whose_kernel_is_its_stride(box: Factors) -> None:
    torch.manual_seed(0)
    fold, unfold = Folding(3, 4, box).double(), Unfolding(4, 3, box).double()
    x, h = torch.randn(2, 3, *(2 * size for size in box)).double(), torch.randn(2, 4, 2, 2, 2).double()
    kernel = fold.conv.conv.weight.view(4, 3, *box)
    torch.testing.assert_close(fold(x), F.conv3d(x, kernel, fold.conv.conv.bias, box))
    kernel = unfold.conv.conv.weight.view(3, *box, 4).movedim(-1, 0)
    bias = unfold.conv.conv.bias.view(3, *box).repeat(1, 2, 2, 2)
    torch.testing.assert_close(unfold(h), F.conv_transpose3d(h, kernel, None, box) + bias)


def test_flat_layers_are_torchs_of_two_dimensions() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 6, 5, 1).double()
    plain = nn.Conv2d(4, 3, 3, 2, 1).double()
    ours = Convolution(4, 3, 3, stride=2, flat=(False, False, True)).double()
    ours.load_state_dict({"conv.weight": plain.weight[..., None], "conv.bias": plain.bias})
    torch.testing.assert_close(ours(x)[..., 0], plain(x[..., 0]))


@pytest.mark.parametrize("flat", [NOT_FLAT, (False, False, True), (True, False, False)])
def test_strided_kernels_leave_no_voxel_out(flat: Flat) -> None:
    level = Level(4, 1, attends=False, flat=flat)
    for convolution in (Downsampling(4, flat).conv, Halving(level).op):
        sizes = zip(convolution.conv.kernel_size, convolution.conv.stride, flat, strict=True)
        assert all((kernel, stride) == ((1, 1) if each else (3, 2)) for kernel, stride, each in sizes)


def test_boxes_are_folded_into_channels_and_back() -> None:
    x = torch.arange(2 * 3 * 4 * 6 * 2).view(2, 3, 4, 6, 2)
    y = folded(x, (2, 3, 2))
    assert y.shape == (2, 36, 2, 2, 1)
    box = x[1, 2, 2:4, 0:3, 0:2]  # of the voxel (1, 0, 0)
    assert torch.equal(y[1, 24:, 1, 0, 0], box.flatten())
    assert torch.equal(unfolded(y, (2, 3, 2)), x)


@pytest.mark.parametrize("way", [GroupNorm.forward, GroupNorm.activated])
@pytest.mark.parametrize("edge", [9, 10])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_where_the_norm_is_torchs(way: Callable[..., Tensor], edge: int, device: str) -> None:
    """On other devices, and on a CPU in contiguous layout and of few voxels."""
    norm = GroupNorm(2, 4).to(device)
    x = torch.zeros(1, 4, edge, edge, edge, device=device)
    for layout, last in ((torch.contiguous_format, False), (torch.channels_last_3d, True)):
        y = way(norm, x.contiguous(memory_format=layout))
        is_own = type(y.grad_fn).__name__ == "_NormalizedBackward"
        assert is_own == (device == "cpu" and edge == 10 and last)


@pytest.mark.parametrize(
    ("device", "flat", "laid_out"),
    [("cuda", NOT_FLAT, False), ("cpu", NOT_FLAT, True), ("cpu", (False, False, True), False)],
)
def test_weights_lie_channels_last_on_a_cpu_where_kernels_are_not_flat(
    device: str, flat: Flat, laid_out: bool
) -> None:
    module = Convolution(4, 4, 3, flat=flat)
    before = module.conv.weight.clone()
    lay_out(module, device)
    assert module.conv.weight.is_contiguous(memory_format=torch.channels_last_3d) == laid_out
    assert torch.equal(module.conv.weight, before)


@KINDS
def test_blocks_hold_again_what_they_recomputed(kind: str) -> None:
    plain, batch = objective(kind)
    ours = own(plain)
    before = held(ours, batch)
    recompute_blocks(ours, True)
    assert held(ours, batch) < before
    recompute_blocks(ours, False)
    assert held(ours, batch) == before


@KINDS
def test_blocks_are_what_is_compiled(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda call, **_: compiled.append(call.__self__) or call)
    plain, batch = objective(kind)
    ours = own(plain)
    expected = gradients(ours, batch)
    compile_blocks(ours)
    assert compiled == [module for module in ours.modules() if isinstance(module, Block)]
    residual = ResidualBlock if kind == "autoencoder" else TimedResidualBlock
    assert {type(module) for module in compiled} == {AttentionBlock, residual}
    found = gradients(ours, batch)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")  # torch.compile warns of what torch itself does
@KINDS
@pytest.mark.parametrize("recompute", [False, True])
def test_compiled_blocks_compute_the_same(
    kind: str, recompute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks are traced whole, forward and backward; that the code made of it is right is torch's affair."""
    whole = partial(torch.compile, backend="aot_eager", fullgraph=True)
    monkeypatch.setattr(torch, "compile", whole)
    plain, batch = objective(kind)
    ours = own(plain, recompute=recompute)
    expected = gradients(ours, batch)
    compile_blocks(ours)
    with torch._dynamo.config.patch(recompile_limit=64):  # all blocks count as one function
        found = gradients(ours, batch)
    assert found.keys() == expected.keys()
    largest = max(value.norm() for value in expected.values())
    for name, value in expected.items():
        assert (found[name] - value).norm() < 1e-4 * value.norm() + 1e-5 * largest, name


def test_heads_divide_the_width() -> None:
    with pytest.raises(ValueError, match="heads of 12 channels do not divide the width 16"):
        SelfAttention(16, 12)
