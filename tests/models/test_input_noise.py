"""Noise on inputs: addressed, in training alone, and never on the target."""

import numpy as np
import pytest
import torch

from objectives import KL, L1, SHAPE, batch_of, objective
from voxgen.models.first_stage.input_noise import noise_draws, noisy
from voxgen.models.objective import Address

LOSSES = {"l1": L1, "kl": KL}
BOTH = {"gaussian": 0.2, "dropout": 0.3}
SIZE = (40, 30, 20)


def address(item: int = 0, purpose: str = "train") -> Address:
    return Address(0, purpose, 3, item)  # type: ignore[arg-type]


def test_noise_has_the_deviation_and_the_share_that_are_asked_for() -> None:
    draws = noise_draws(BOTH, SIZE, address())
    assert draws["input_noise"].shape == draws["kept"].shape == (1, *SIZE)
    assert np.std(draws["input_noise"]) == pytest.approx(0.2, rel=0.02)
    assert np.mean(draws["kept"]) == pytest.approx(0.7, abs=0.01)


@pytest.mark.parametrize(
    ("gaussian", "dropout", "names"),
    [(0.2, 0.0, {"input_noise"}), (0.0, 0.3, {"kept"}), (0.2, 0.3, {"input_noise", "kept"})],
)
def test_a_kind_that_is_not_asked_for_draws_nothing_and_changes_no_other(
    gaussian: float, dropout: float, names: set[str]
) -> None:
    draws = noise_draws({"gaussian": gaussian, "dropout": dropout}, SIZE, address())
    both = noise_draws(BOTH, SIZE, address())
    assert set(draws) == names
    assert all(np.array_equal(draws[name], both[name]) for name in names)


def test_draws_are_addressed_and_leave_the_posteriors_alone() -> None:
    plain, with_noise = objective(LOSSES), objective(LOSSES, input_noise=BOTH)
    first, again = (with_noise.draws(SHAPE, address(5)) for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    other = with_noise.draws(SHAPE, address(6))
    assert not any(np.array_equal(first[name], other[name]) for name in first)
    np.testing.assert_array_equal(first["noise"], plain.draws(SHAPE, address(5))["noise"])
    assert set(plain.draws(SHAPE, address(5))) == {"noise"}


def test_validation_sees_clean_volumes() -> None:
    plain, with_noise = objective(LOSSES).eval(), objective(LOSSES, input_noise=BOTH).eval()
    batch = batch_of(with_noise, 2, "validation")
    assert set(batch) == {"volume", "noise"}
    assert noisy(batch) is batch["volume"]
    assert with_noise(batch) == plain(batch)


def test_the_encoder_sees_noise_and_the_loss_the_clean_volume() -> None:
    made = objective(LOSSES, input_noise=BOTH)
    batch = batch_of(made, 2)
    seen: list[torch.Tensor] = []
    made.model.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    figures = made(batch)
    expected = (batch["volume"] + batch["input_noise"]) * batch["kept"]
    assert torch.equal(seen[0], expected)
    assert 0.2 < (expected == 0).float().mean() < 0.4
    mean, std = made.model.encode(expected)
    reconstruction = made.model.decode(mean + std * batch["noise"])
    weight = 1 + 2 * batch["volume"].clamp(0, 1)
    clean = (weight * (reconstruction - batch["volume"]).abs()).mean()
    assert figures["l1"].item() == pytest.approx(clean.item(), rel=1e-5)
