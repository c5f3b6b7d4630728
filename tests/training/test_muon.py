"""Muon against singular values, torch's AdamW, and a problem with a known solution."""

import pytest
import torch
from torch import nn

from voxgen.training.muon import LEAST, MOMENTUM, RMS, Muon, is_matrix, orthogonal


@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 8, 200), (3, 64, 9)])
def test_a_step_has_the_directions_of_the_gradient_and_equal_lengths_in_them(
    shape: tuple[int, ...],
) -> None:
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    lengths = torch.logspace(-1.5, 0, left.shape[2])
    (turned,) = orthogonal([7 * left * lengths @ right])
    in_them = left.mT @ turned @ right.mT
    diagonal = torch.diagonal(in_them, dim1=1, dim2=2)
    assert ((diagonal > 0.6) & (diagonal < 1.25)).all()
    assert torch.allclose(in_them, torch.diag_embed(diagonal), atol=1e-3)


def test_the_iterations_on_the_smaller_side_are_those_on_the_whole_matrix() -> None:
    torch.manual_seed(0)
    given = torch.randn(1, 12, 30, dtype=torch.float64)
    x = given / given.norm()
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    assert torch.allclose(orthogonal([given])[0], x)


def test_shapes_do_not_depend_on_each_other() -> None:
    torch.manual_seed(0)
    given = [torch.randn(shape) for shape in ((2, 8, 30), (1, 30, 8), (3, 8, 8), (2, 16, 9))]
    for alone, together in zip(given, orthogonal(given), strict=True):
        assert together.shape == alone.shape
        for one, beside in zip(alone, together, strict=True):
            assert torch.allclose(orthogonal([one[None]])[0][0], beside, atol=1e-5)


def test_no_gradient_is_no_step_in_any_direction() -> None:
    assert (orthogonal([torch.zeros(2, 8, 9)])[0] == 0).all()


def test_kernels_are_matrices_and_few_channels_or_vectors_are_not() -> None:
    assert is_matrix(torch.zeros(LEAST, 1, 2, 2, 2))
    assert is_matrix(torch.zeros(LEAST, LEAST))
    assert not is_matrix(torch.zeros(LEAST - 1, 100))
    assert not is_matrix(torch.zeros(100, LEAST - 1))
    assert not is_matrix(torch.zeros(100))


def test_what_is_no_matrix_takes_the_steps_of_adamw_bit_for_bit() -> None:
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(5)), nn.Parameter(torch.randn(3, 40))]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in ours]
    optimizers = Muon(ours, 0.01, 0.1), torch.optim.AdamW(theirs, 0.01, weight_decay=0.1, fused=True)
    for _ in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_tables_take_the_steps_of_adamw_whatever_their_shape() -> None:
    torch.manual_seed(0)
    table, kernel = (nn.Parameter(torch.randn(LEAST, LEAST)) for _ in range(2))
    theirs = nn.Parameter(table.detach().clone())
    optimizers = Muon([table, kernel], 0.01, 0.0, [table]), torch.optim.AdamW([theirs], 0.01, weight_decay=0)
    table.grad = torch.randn_like(table)
    theirs.grad, kernel.grad = table.grad.clone(), table.grad.clone()
    before = kernel.detach().clone()
    for optimizer in optimizers:
        optimizer.step()
    torch.testing.assert_close(table, theirs)
    direction = orthogonal([(1 - MOMENTUM**2) * kernel.grad[None]])[0][0]
    torch.testing.assert_close(kernel, before - 0.01 * RMS * LEAST**0.5 * direction)


def test_a_step_of_a_kernel_goes_along_nesterovs_momentum_with_the_size_of_a_step_of_adamws() -> None:
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.randn(16, 4, 3, 3, 1))
    before, gradients = kernel.detach().clone(), torch.randn(2, *kernel.shape)
    optimizer = Muon([kernel], 0.01, 0.0)
    momentum = torch.zeros_like(kernel)
    for gradient in gradients:
        kernel.grad = gradient
        optimizer.step()
        momentum = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        ahead = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        before = before - 0.01 * RMS * 36**0.5 * orthogonal([ahead.reshape(1, 16, 36)])[0].view(kernel.shape)
    assert torch.allclose(kernel, before, atol=1e-6)
    with torch.no_grad():
        moved = kernel.clone()
        optimizer.step()
    assert (kernel - moved).square().mean().sqrt().item() == pytest.approx(0.01 * RMS, rel=0.2)


def test_weights_decay_apart_from_the_step() -> None:
    kernel = nn.Parameter(torch.ones(8, 8))
    kernel.grad = torch.zeros(8, 8)
    Muon([kernel], 0.1, 0.5).step()
    assert torch.allclose(kernel, torch.full((8, 8), 0.95))


def test_it_goes_on_from_its_state_bit_for_bit() -> None:
    torch.manual_seed(0)
    gradients = torch.randn(6, 8, 10)

    def stepped(parameter: nn.Parameter, optimizer: Muon, given: torch.Tensor) -> torch.Tensor:
        for gradient in given:
            parameter.grad = gradient
            optimizer.step()
        return parameter.detach().clone()

    whole = nn.Parameter(torch.zeros(8, 10))
    at_once = stepped(whole, Muon([whole], 0.01, 0.0), gradients)
    part = nn.Parameter(torch.zeros(8, 10))
    first = Muon([part], 0.01, 0.0)
    stepped(part, first, gradients[:3])
    second = Muon([part], 0.01, 0.0)
    second.load_state_dict(first.state_dict())
    assert torch.equal(stepped(part, second, gradients[3:]), at_once)
