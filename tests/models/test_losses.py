"""The terms of the loss, alone: values by hand or MONAI's, gradients, and their sum."""

import math

import numpy as np
import pytest
import torch
from monai.losses import SoftDiceclDiceLoss
from torch import Tensor

from objectives import KL, L1, batch_of, objective
from voxgen.models.first_stage.losses import (
    cl_dice_loss,
    dice_loss,
    inside,
    reconstruction_terms,
    summed,
    weighted_l1,
    weighted_mse,
)

STEEP = {"threshold": 0.5, "softness": 0.01}
MSE = {"weight": 2.0, "foreground": 3.0}
DICE = {"weight": 0.25, "threshold": 0.4, "softness": 0.2}
CL_DICE = {**DICE, "weight": 0.125, "iterations": 2}


def shaped(*values: float) -> Tensor:
    return torch.tensor(values).reshape(1, 1, len(values), 1, 1)


def tube(radius: float, gap: bool = False) -> Tensor:
    """A binary tube along x of 16 x 12 x 12 voxels, cut through in the middle where there is a gap."""
    y, z = np.mgrid[:12, :12] - 5.5
    volume = np.repeat((y**2 + z**2 <= radius**2)[None].astype(np.float32), 16, 0)
    if gap:
        volume[7:9] = 0
    return torch.from_numpy(volume)[None, None]


def test_errors_by_hand() -> None:
    x, r = shaped(-0.5, 0.0, 0.25, 1.0, 4.0), shaped(0.0, -1.0, 0.5, 0.5, 6.0)
    # differences 0.5, -1, 0.25, -0.5, 2; weights 1 + 2 clip(x, 0, 1): 1, 1, 1.5, 3, 3
    assert weighted_l1(r, x, 3.0).item() == pytest.approx((0.5 + 1 + 0.375 + 1.5 + 6) / 5)
    assert weighted_mse(r, x, 3.0).item() == pytest.approx((0.25 + 1 + 0.09375 + 0.75 + 12) / 5)
    assert weighted_mse(r, x, 1.0).item() == pytest.approx(torch.nn.functional.mse_loss(r, x).item())


def test_the_step_is_soft_around_its_threshold() -> None:
    x = shaped(0.5, 0.6, 0.8, 0.4, -10.0)
    expected = [0.5, 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-3)), 1 / (1 + math.e), 0.0]
    assert inside(x, 0.5, 0.1).flatten().tolist() == pytest.approx(expected)


def test_dice_by_hand_for_each_item() -> None:
    x = torch.cat([shaped(0.2, 0.8, 1.0), shaped(0.0, 0.0, 1.0)])
    r = torch.cat([shaped(0.2, 0.8, 1.0), shaped(0.5, 0.0, 0.5)])

    def step(value: float) -> float:
        return 1 / (1 + math.exp(-(value - 0.5) / 0.2))

    zero, one = step(0.0), step(1.0)
    overlap = 2 * (zero * 0.5 + zero * zero + one * 0.5) + 1
    total = (0.25 + zero**2 + 0.25) + (2 * zero**2 + one**2) + 1
    assert dice_loss(r, x, 0.5, 0.2).item() == pytest.approx((0 + 1 - overlap / total) / 2, rel=1e-5)


def test_equal_volumes_have_no_dice_loss_however_soft_the_step() -> None:
    x = torch.rand(2, 1, 6, 6, 6)
    assert dice_loss(x, x, 0.5, 0.3).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(x + 0.1, x, 0.5, 0.3).item() > 1e-4


def test_both_overlaps_are_monais_where_steps_are_steep() -> None:
    volume, other = tube(3.0), tube(2.0, gap=True)
    together = SoftDiceclDiceLoss(iter_=3, alpha=0.25)(other, volume).item()
    found = 0.75 * dice_loss(other, volume, **STEEP) + 0.25 * cl_dice_loss(
        other, volume, **STEEP, iterations=3
    )
    assert found.item() == pytest.approx(together, abs=1e-5)
    assert together > 0.05


def test_cl_dice_sees_a_gap_that_takes_few_voxels() -> None:
    """A thinner tube loses more voxels than a cut one, but not its course."""
    whole = tube(3.0)
    thin, cut = (
        (dice_loss(r, whole, **STEEP).item(), cl_dice_loss(r, whole, **STEEP, iterations=4).item())
        for r in (tube(2.0), tube(3.0, gap=True))
    )
    assert thin[0] > 2 * cut[0]
    assert cut[1] > 2 * thin[1]


@pytest.mark.parametrize("name", ["l1", "mse", "dice", "cl_dice"])
def test_every_term_moves_a_reconstruction_towards_its_volume(name: str) -> None:
    x = tube(2.5)
    r = (0.3 * tube(1.5, gap=True)).requires_grad_()
    losses = {"l1": L1, "mse": MSE, "dice": DICE, "cl_dice": CL_DICE}
    before = reconstruction_terms(r, x, losses)[name]
    (slope,) = torch.autograd.grad(before, r)
    assert slope.isfinite().all()
    assert slope.abs().max() > 0
    after = reconstruction_terms(r.detach() - 0.05 * slope / slope.abs().max(), x, losses)[name]
    assert after < before


def test_a_term_is_a_mean_over_items() -> None:
    x, r = torch.rand(3, 1, 8, 8, 8), torch.rand(3, 1, 8, 8, 8)
    losses = {"l1": L1, "mse": MSE, "dice": DICE, "cl_dice": CL_DICE}
    whole = reconstruction_terms(r, x, losses)
    parts = [reconstruction_terms(r[i : i + 1], x[i : i + 1], losses) for i in range(3)]
    assert list(whole) == list(losses)
    for name, value in whole.items():
        assert value.item() == pytest.approx(np.mean([part[name].item() for part in parts]), rel=1e-5), name


def test_the_loss_is_the_weighted_sum_of_the_terms_that_are_there() -> None:
    losses = {"mse": MSE, "dice": DICE, "cl_dice": CL_DICE, "kl": KL}
    made = objective(losses)
    figures = made(batch_of(made, 2))
    assert list(figures) == ["loss", *losses]
    expected = sum(losses[name]["weight"] * figures[name].item() for name in losses)
    assert figures["loss"].item() == pytest.approx(expected, rel=1e-6)


def test_a_further_term_leaves_the_others_as_they_are() -> None:
    plain, more = objective({"l1": L1, "kl": KL}), objective({"l1": L1, "dice": DICE, "kl": KL})
    batch = batch_of(plain, 2)
    assert all(torch.equal(batch[name], value) for name, value in batch_of(more, 2).items())
    expected, found = plain(batch), more(batch)
    assert all(torch.equal(found[name], expected[name]) for name in ("l1", "kl"))
    assert found["loss"].item() == pytest.approx(
        (expected["loss"] + DICE["weight"] * found["dice"]).item(), rel=1e-6
    )


def test_the_sum_of_one_term_is_that_term() -> None:
    assert summed({"l1": torch.tensor(2.0)}, {"l1": {"weight": 3.0}}) == {"loss": 6.0, "l1": 2.0}


def test_the_summed_form_of_the_divergence_is_this_one_times_the_elements() -> None:
    """docs/autoencoder.md: a weight of others, of the sum per item, is ours divided by the latent's size."""
    made = objective({"l1": L1, "kl": KL})
    batch = batch_of(made, 2)
    mean, std = made.model.encode(batch["volume"])
    variance = std.square()
    per_item = 0.5 * (mean.square() + variance - variance.log() - 1).flatten(1).sum(1)
    elements = mean[0].numel()
    assert made(batch)["kl"].item() * elements == pytest.approx(per_item.mean().item(), rel=1e-5)
