"""The discriminator: what it is, what its turn and the autoencoder's leave behind, and micro-batches."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from monai.networks.nets import PatchDiscriminator
from torch import Tensor, nn

from objectives import KL, L1, batch_of, objective
from voxgen.models.first_stage.discriminator import Discriminator
from voxgen.models.first_stage.kl import KLObjective
from voxgen.settings.machine import Machine
from voxgen.settings.sections import Settings
from voxgen.settings.training import Training
from voxgen.training.engine import Engine, Share

ADVERSARY = {"weight": 0.5, "warmup_epochs": 0, "learning_rate": 1e-2, "channels": 4, "layers": 1}
ADVERSARY |= {"scales": 1, "norm": "instance"}
LOSSES = {"l1": L1, "adversarial": ADVERSARY, "kl": KL}
RATES = {"model": 1e-3, "discriminator": 1e-2}


def discriminator(whole: tuple[int | None, ...], **changes: Any) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator({**ADVERSARY, **changes}, whole)


def adversarial(stem: tuple[int, ...] = (1, 1, 1), **changes: Any) -> KLObjective:
    return objective({**LOSSES, "adversarial": {**ADVERSARY, **changes}}, stem)


@pytest.fixture
def training(settings: Settings) -> Training:
    return settings.autoencoder.chosen.training.model_copy(update={"clip": 1e6})


@pytest.fixture
def machine(settings: Settings) -> Machine:
    return settings.machine.model_copy(update={"device": "cpu", "precision": "fp32"})


def shares(batch: dict[str, Tensor], *sizes: int) -> list[Share]:
    cut = {name: value.split(sizes) for name, value in batch.items()}
    parts = [{name: each[number] for name, each in cut.items()} for number in range(len(sizes))]
    return [Share(part, size / sum(sizes)) for part, size in zip(parts, sizes, strict=True)]


def gradients(part: nn.Module) -> list[Tensor | None]:
    return [None if weight.grad is None else weight.grad.clone() for weight in part.parameters()]


@pytest.mark.parametrize(
    ("shape", "whole", "layers", "scales"),
    [
        ((48, 48, 8), (None, None, 8), 4, 1),
        ((48, 48, 8), (None, None, 8), 2, 2),
        ((48, 48, 8), (None, None, None), 1, 1),
        ((24, 8, 2), (None, 8, 2), 3, 1),
        ((24, 24, 1), (None, None, 1), 3, 1),
        ((12, 12, 12), (None, None, None), 2, 1),
    ],
)
@pytest.mark.parametrize("norm", ["instance", "group"])
def test_shapes_that_the_settings_allow_give_patches_and_gradients_everywhere(
    shape: tuple[int, ...], whole: tuple[int | None, ...], layers: int, scales: int, norm: str
) -> None:
    made = discriminator(whole, layers=layers, scales=scales, norm=norm)
    x = torch.rand(2, 1, *shape, requires_grad=True)
    maps = made(x)
    assert len(maps) == scales
    for number, each in enumerate(maps, 1):
        axes = [size for size, fold in zip(shape, whole, strict=True) if fold is None]
        assert each.shape == (2, 1, *((size >> layers * number) - 2 for size in axes))
    (slope,) = torch.autograd.grad(sum(each.square().sum() for each in maps), x)
    assert (slope.abs().amax((0, 1)) > 0).float().mean() > 0.9


def test_without_folds_it_is_monais() -> None:
    made = discriminator((None, None, None), layers=2)
    other = PatchDiscriminator(3, 4, 1, num_layers_d=2, norm="INSTANCE", last_conv_kernel_size=4)
    other.load_state_dict(made.network.state_dict())
    x = torch.rand(2, 1, 16, 16, 16)
    assert torch.equal(made(x)[0], other(x)[-1])


@pytest.mark.parametrize("norm", ["instance", "group"])
def test_it_has_no_batch_normalisation(norm: str) -> None:
    made = discriminator((None, None, 8), layers=3, norm=norm)
    assert not any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in made.modules())


class Given(Discriminator):
    """One that gives each volume's mean for every patch."""

    def forward(self, x_BCXYZ: Tensor) -> list[Tensor]:
        return [x_BCXYZ.mean((1, 2, 3, 4), keepdim=True)]


def test_losses_by_hand() -> None:
    made = Given(ADVERSARY, (None, None, None))
    x = torch.stack([torch.full((1, 4, 4, 4), value) for value in (1.0, 0.5)])
    r = torch.stack([torch.full((1, 4, 4, 4), value) for value in (0.25, -1.0)])
    figures = {name: value.item() for name, value in made.figures(r, x).items()}
    real, generated = (0 + 0.25) / 2, (0.0625 + 1) / 2
    assert figures["loss"] == pytest.approx((real + generated) / 2)
    assert figures["on_volumes"] == pytest.approx(0.75)
    assert figures["on_reconstructions"] == pytest.approx(-0.375)
    assert made.objection(r).item() == pytest.approx((0.5625 + 4) / 2)


def test_the_loss_of_a_training_has_the_term_and_that_of_a_validation_leaves_it_out() -> None:
    plain, made = objective({"l1": L1, "kl": KL}), adversarial()
    batch = batch_of(made, 2)
    figures, expected = made(batch), plain(batch)
    assert torch.equal(figures["l1"], expected["l1"])
    whole = expected["loss"] + 0.5 * figures["adversarial"]
    assert figures["loss"].item() == pytest.approx(whole.item(), rel=1e-6)
    judged = made.eval()(batch)
    assert judged["loss"].item() == pytest.approx(expected["loss"].item(), rel=1e-6)
    assert judged["adversarial"] == figures["adversarial"]


def test_it_rests_with_its_term_in_the_first_epochs(training: Training, machine: Machine) -> None:
    engine = Engine(adversarial(warmup_epochs=2), training, machine)
    whole = shares(batch_of(adversarial(), 2), 2)
    for epoch in range(3):
        engine.begin(epoch)
        before = deepcopy(engine.objective.discriminator.state_dict())
        figures = engine.train_step(whole, RATES).figures
        moved = any(
            not torch.equal(value, before[name])
            for name, value in engine.objective.discriminator.state_dict().items()
        )
        assert ("adversarial" in figures) == ("discriminator_loss" in figures) == moved == (epoch == 2)


def test_the_turns_have_their_own_figures_and_rates(training: Training, machine: Machine) -> None:
    engine = Engine(adversarial(), training, machine)
    figures = engine.train_step(shares(batch_of(adversarial(), 2), 2), RATES).figures
    own = {"loss", "on_volumes", "on_reconstructions", "gradient_norm"}
    terms = {"loss", "l1", "kl", "adversarial", "gradient_norm"}
    assert set(figures) == terms | {f"discriminator_{name}" for name in own}
    turn = adversarial(warmup_epochs=3).turns[1]
    assert (turn.part, turn.learning_rate, turn.first_epoch) == ("discriminator", 1e-2, 3)


def test_the_autoencoders_turn_leaves_no_gradient_in_the_discriminator(
    training: Training, machine: Machine
) -> None:
    engine = Engine(adversarial(), training, machine)
    of_discriminator, of_model = engine.objective.turns[1], engine.objective.turns[0]
    whole = shares(batch_of(adversarial(), 4), 2, 2)
    engine._alone(of_model)
    engine._backward(of_model, whole)
    assert all(gradient is None for gradient in gradients(engine.objective.discriminator))
    left = gradients(engine.objective.model)
    assert all(gradient is not None for gradient in left)
    engine._alone(of_discriminator)
    engine._backward(of_discriminator, whole)
    assert all(gradient is not None for gradient in gradients(engine.objective.discriminator))
    for gradient, before in zip(gradients(engine.objective.model), left, strict=True):
        assert gradient is not None
        assert before is not None
        assert torch.equal(gradient, before)


def test_the_term_reaches_the_autoencoder() -> None:
    """Its gradient differs from that of the other terms alone."""
    plain, made = objective({"l1": L1, "kl": KL}), adversarial()
    batch = batch_of(made, 2)
    for each in (plain, made):
        each(batch)["loss"].backward()
    weights = zip(plain.model.parameters(), made.model.parameters(), strict=True)
    assert any((a.grad - b.grad).abs().max() > 1e-5 for a, b in weights)


@pytest.mark.parametrize("norm", ["instance", "group"])
@pytest.mark.parametrize(("stem", "scales"), [((1, 1, 1), 1), ((1, 1, 8), 2)])
def test_micro_batches_give_the_gradient_of_a_whole_batch(
    training: Training, machine: Machine, norm: str, stem: tuple[int, ...], scales: int
) -> None:
    one, several = (Engine(adversarial(stem, norm=norm, scales=scales), training, machine) for _ in range(2))
    batch = batch_of(one.objective, 4)
    expected = one.train_step(shares(batch, 4), RATES).figures
    assert several.train_step(shares(batch, 1, 1, 2), RATES).figures == pytest.approx(expected, rel=1e-4)
    for part in ("model", "discriminator"):
        wholes, sums = (gradients(engine.objective.get_submodule(part)) for engine in (one, several))
        for whole, summed_up in zip(wholes, sums, strict=True):
            assert whole is not None
            near = 1e-4 * whole.abs().max().item() + 1e-7
            torch.testing.assert_close(summed_up, whole, rtol=1e-3, atol=near)
