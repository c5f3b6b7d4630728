"""One step of a training, alone: known answers, accumulation, precision, two networks against each other."""

import math
import shutil
from collections.abc import Mapping
from copy import deepcopy
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from voxgen.models.first_stage.kl import KLAutoencoder
from voxgen.models.objective import Batch, Objective, Turn
from voxgen.settings.machine import Machine
from voxgen.settings.sections import Settings
from voxgen.settings.training import Training
from voxgen.training.engine import Engine, Share

RATE = 0.1
RATES = {"model": RATE, "discriminator": RATE}


class Line(Objective):
    """Least squares on y = w x + b."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(1, 1)
        nn.init.constant_(self.model.weight, 2.0)
        nn.init.constant_(self.model.bias, -1.0)
        self.seen: list[torch.dtype] = []

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        x, y = batch["x"], batch["y"]
        self.seen.append(y.dtype)
        predicted = self.model(x)
        return {"loss": (predicted.float() - y).square().mean(), "bias": self.model.bias.detach().mean()}


class Pair(Objective):
    """A generator of numbers and a discriminator that tells them from given ones."""

    turns: ClassVar[tuple[Turn, ...]] = (Turn("model"), Turn("discriminator"))

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(2, 1)
        self.discriminator = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
        self.gradients: list[list[Tensor | None]] = []

    def forward(self, batch: Batch, turn: str = "model") -> dict[str, Tensor]:
        made, real = self.model(batch["noise"]), batch["real"]
        if turn == "model":
            self.gradients.append([weight.grad for weight in self.discriminator.parameters()])
            return {"loss": nn.functional.softplus(-self.discriminator(made)).mean()}
        on_made, on_real = self.discriminator(made.detach()), self.discriminator(real)
        return {"loss": (nn.functional.softplus(on_made) + nn.functional.softplus(-on_real)).mean()}


@pytest.fixture
def training(settings: Settings) -> Training:
    changes = {"clip": 1e6, "ema": 0.5, "weight_decay": 0.0}
    return settings.autoencoder.chosen.training.model_copy(update=changes)


@pytest.fixture
def machine(settings: Settings) -> Machine:
    return settings.machine.model_copy(update={"device": "cpu", "precision": "fp32"})


def column(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1)


def points(x: Tensor, y: Tensor) -> Batch:
    return {"x": x, "y": y}


def pairs(noise: Tensor, real: Tensor) -> Batch:
    return {"noise": noise, "real": real}


def whole(batch: Batch) -> list[Share]:
    return [Share(batch, 1.0)]


def weights(engine: Engine) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in engine.objective.state_dict().items()}


def test_a_train_step_has_the_known_answer(training: Training, machine: Machine) -> None:
    engine = Engine(Line(), training, machine)
    step = engine.train_step(whole(points(column(0.0, 1.0), column(0.0, 0.0))), RATES)
    assert step.bad is None  # residuals -1 and 1: no gradient of the bias, 1 of the weight
    assert step.figures == {"loss": 1.0, "bias": -1.0, "gradient_norm": 1.0}
    assert engine.objective.model.weight.item() == pytest.approx(2.0 - RATE)  # Adam's first step: the rate
    assert engine.objective.model.bias.item() == pytest.approx(-1.0)


def test_the_averages_follow_at_the_first_step_and_lag_then(training: Training, machine: Machine) -> None:
    engine = Engine(Line(), training, machine)
    batch = whole(points(column(0.0, 1.0), column(0.0, 0.0)))
    engine.train_step(batch, RATES)
    first = engine.objective.model.weight.item()
    assert engine.averaged_weights()["weight"].item() == pytest.approx(first)
    engine.train_step(batch, RATES)
    second = engine.objective.model.weight.item()
    decay = (1 + 1) / (10 + 1)
    assert engine.averaged_weights()["weight"].item() == pytest.approx(decay * first + (1 - decay) * second)


def test_a_val_step_judges_the_averages_and_changes_nothing(training: Training, machine: Machine) -> None:
    engine = Engine(Line(), training, machine)
    for _ in range(3):
        engine.train_step(whole(points(column(0.0, 1.0), column(0.0, 0.0))), RATES)
    before, averaged = weights(engine), engine.averaged_weights()
    figures = engine.val_step(points(column(0.0, 1.0), column(0.0, 0.0)))
    residuals = torch.stack([averaged["bias"], averaged["weight"][:, 0] + averaged["bias"]])
    assert figures["loss"] == pytest.approx(residuals.square().mean().item())
    assert all(torch.equal(value, before[name]) for name, value in weights(engine).items())


def test_the_gradient_is_clipped(training: Training, machine: Machine) -> None:
    engine = Engine(Line(), training.model_copy(update={"clip": 0.25}), machine)
    step = engine.train_step(whole(points(column(0.0, 1.0), column(0.0, 0.0))), RATES)
    assert step.figures["gradient_norm"] == pytest.approx(1.0)  # as it was
    assert engine.objective.model.weight.grad.norm().item() == pytest.approx(0.25)


@pytest.mark.parametrize("cuts", [[4], [1, 3], [1, 1, 1, 1], [2, 2, 0]])
def test_shares_of_a_batch_give_its_gradient(training: Training, machine: Machine, cuts: list[int]) -> None:
    x, y = torch.linspace(-1, 2, 4).view(-1, 1), torch.tensor([[3.0], [-1.0], [0.5], [2.0]])
    one, several = Engine(Line(), training, machine), Engine(Line(), training, machine)
    shares = [
        Share(points(*(part[start : start + max(size, 1)] for part in (x, y))), size / 4)
        for start, size in zip([0, *torch.tensor(cuts).cumsum(0)[:-1].tolist()], cuts, strict=True)
        if start < 4
    ]
    expected, found = one.train_step(whole(points(x, y)), RATES), several.train_step(shares, RATES)
    assert found.figures == pytest.approx(expected.figures)
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(several)[name], value)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_targets_keep_their_precision(training: Training, machine: Machine, precision: str) -> None:
    engine = Engine(Line(), training, machine.model_copy(update={"precision": precision}))
    fine = 1 + 2.0**-12  # which neither bf16 nor fp16 holds
    engine.objective.model.weight.data.zero_()
    engine.objective.model.bias.data.fill_(1.0)
    step = engine.train_step(whole(points(column(0.0), column(fine))), RATES)
    assert engine.objective.seen == [torch.float32]
    assert step.figures["loss"] == pytest.approx(2.0**-24)
    assert engine.objective.model.weight.dtype == torch.float32


def test_fp16_scales_the_loss_and_lowers_the_scale_where_it_overflows(
    training: Training, machine: Machine
) -> None:
    engine = Engine(Line(), training, machine.model_copy(update={"precision": "fp16"}))
    scale = engine.state_dict()["scaler"]["scale"]
    good = whole(points(column(0.0, 1.0), column(-1.125, 0.875)))
    assert engine.train_step(good, RATES).figures["gradient_norm"] == pytest.approx(0.2795, rel=1e-3)
    before = weights(engine)
    bad = engine.train_step(whole(points(column(6e4), column(0.0))), RATES)
    assert bad.bad is not None
    assert all(torch.equal(value, before[name]) for name, value in weights(engine).items())
    assert engine.state_dict()["scaler"]["scale"] == scale / 2
    other = Engine(Line(), training, machine.model_copy(update={"precision": "fp16"}))
    other.load_state_dict(engine.state_dict())
    assert other.state_dict()["scaler"]["scale"] == scale / 2
    assert engine.train_step(good, RATES).bad is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_step_changes_nothing_and_names_the_loss(
    training: Training, machine: Machine, bad: float
) -> None:
    engine = Engine(Line(), training, machine)
    engine.train_step(whole(points(column(0.0, 1.0), column(0.0, 0.0))), RATES)
    before = deepcopy(engine.state_dict())
    kept, average = weights(engine), engine.averaged_weights()
    step = engine.train_step(whole(points(column(0.0, 1.0), column(bad, 0.0))), RATES)
    assert step.bad == "loss"
    assert all(torch.equal(value, kept[name]) for name, value in weights(engine).items())
    assert all(torch.equal(value, average[name]) for name, value in engine.averaged_weights().items())
    assert (
        engine.state_dict()["optimizers"][0]["state"][0]["step"]
        == before["optimizers"][0]["state"][0]["step"]
    )


def test_a_loss_that_is_not_finite_is_bad_also_with_a_finite_gradient(
    training: Training, machine: Machine
) -> None:
    class Endless(Line):
        def forward(self, batch: Batch) -> dict[str, Tensor]:
            figures = super().forward(batch)
            return {**figures, "loss": figures["loss"] + math.inf}

    engine = Engine(Endless(), training, machine)
    before = weights(engine)
    assert engine.train_step(whole(points(column(0.0, 1.0), column(0.0, 0.0))), RATES).bad == "loss"
    assert all(torch.equal(value, before[name]) for name, value in weights(engine).items())


class Counting(Line):
    """A line that keeps the mean of the inputs of good steps."""

    def __init__(self) -> None:
        super().__init__()
        self.model.register_buffer("met", torch.zeros(2))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        x = batch["x"].detach()
        return {**super().forward(batch), "moments": torch.cat([x, x**2], 1).mean(0)}

    def learn(self, seen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        (name,) = seen
        self.model.met.copy_(seen[name])
        return {"square": seen[name][1]}


@pytest.mark.parametrize("cuts", [[4], [1, 3], [1, 1, 1, 1]])
def test_an_objective_learns_once_a_good_step_from_what_all_its_parts_have_seen(
    training: Training, machine: Machine, cuts: list[int]
) -> None:
    engine, x = Engine(Counting(), training, machine), column(1.0, 2.0, 3.0, 6.0)
    starts = [sum(cuts[:i]) for i in range(len(cuts))]
    shares = [
        Share(points(x[start : start + size], column(*[0.0] * size)), size / 4)
        for start, size in zip(starts, cuts, strict=True)
    ]
    figures = engine.train_step(shares, RATES).figures
    assert set(figures) == {"loss", "bias", "square", "gradient_norm"}
    assert figures["square"] == pytest.approx(12.5)
    assert engine.objective.model.met.tolist() == pytest.approx([3.0, 12.5])
    assert engine.averaged_weights()["met"].tolist() == pytest.approx([3.0, 12.5])
    assert "square" not in engine.train_step(whole(points(column(math.nan), column(0.0))), RATES).figures
    assert engine.objective.model.met.tolist() == pytest.approx([3.0, 12.5])
    judged = engine.val_step(points(column(1.0, 3.0), column(0.0, 0.0)))
    assert isinstance(judged["loss"], float)
    assert judged["moments"].tolist() == [2.0, 5.0]
    assert engine.objective.model.met.tolist() == pytest.approx([3.0, 12.5])


def test_two_networks_train_against_each_other(training: Training, machine: Machine) -> None:
    torch.manual_seed(0)
    engine = Engine(Pair(), training, machine)
    noise, real = torch.randn(64, 2), 3 + 0.1 * torch.randn(64, 1)
    figures = [
        engine.train_step(whole(pairs(noise, real)), dict.fromkeys(RATES, 0.02)).figures for _ in range(200)
    ]
    assert set(figures[0]) == {"loss", "gradient_norm", "discriminator_loss", "discriminator_gradient_norm"}
    with torch.no_grad():
        made = engine.objective.model(noise)
    assert made.mean().item() == pytest.approx(3.0, abs=1.0)  # where it began: about 0
    assert figures[0]["discriminator_loss"] > figures[20]["discriminator_loss"]


def test_a_generators_backward_leaves_no_gradient_in_the_discriminator(
    training: Training, machine: Machine
) -> None:
    engine = Engine(Pair(), training, machine)
    noise, real = torch.randn(8, 2), torch.randn(8, 1)
    halves = [Share(pairs(noise[:4], real[:4]), 0.5), Share(pairs(noise[4:], real[4:]), 0.5)]
    engine.train_step(halves, RATES)
    once = engine.objective.gradients
    assert all(gradient is None for seen in once for gradient in seen)
    whole_batch = Engine(Pair(), training, machine)
    whole_batch.objective.load_state_dict(engine.objective.state_dict())
    engine.load_state_dict(whole_batch.state_dict())
    expected = whole_batch.train_step(whole(pairs(noise, real)), RATES).figures
    assert engine.train_step(halves, RATES).figures == pytest.approx(expected, rel=1e-4)


def test_a_bad_turn_of_one_network_leaves_the_other_its_own(training: Training, machine: Machine) -> None:
    engine = Engine(Pair(), training, machine)
    before = weights(engine)
    step = engine.train_step(whole(pairs(torch.randn(4, 2), torch.full((4, 1), math.nan))), RATES)
    assert step.bad == "discriminator_loss"
    changed = {name for name, value in weights(engine).items() if not torch.equal(value, before[name])}
    assert changed == {"model.weight", "model.bias"}


def test_the_state_of_two_networks_is_taken_up_whole(training: Training, machine: Machine) -> None:
    torch.manual_seed(1)
    batch = whole(pairs(torch.randn(8, 2), torch.randn(8, 1)))
    engine, other = Engine(Pair(), training, machine), Engine(Pair(), training, machine)
    engine.train_step(batch, RATES)
    other.load_state_dict(deepcopy(engine.state_dict()))
    assert engine.train_step(batch, RATES) == other.train_step(batch, RATES)
    assert all(torch.equal(value, weights(other)[name]) for name, value in weights(engine).items())


class Resting(Pair):
    """The same with a discriminator that begins in the third epoch, and a judge that is never trained."""

    turns: ClassVar[tuple[Turn, ...]] = (Turn("model"), Turn("discriminator", 0.5, first_epoch=2))

    def __init__(self) -> None:
        super().__init__()
        self.judge = nn.Linear(64, 64).requires_grad_(False)


def test_each_turn_has_its_own_learning_rate(training: Training, machine: Machine) -> None:
    torch.manual_seed(0)
    engine = Engine(Pair(), training, machine)
    before = weights(engine)
    rates = {"model": 0.25, "discriminator": 0.0625}
    engine.train_step(whole(pairs(torch.randn(8, 2), 3 + torch.randn(8, 1))), rates)
    moved = {name: (value - before[name]).abs().max().item() for name, value in weights(engine).items()}
    for name, distance in moved.items():  # Adam's first step: the rate
        assert distance == pytest.approx(rates[name.partition(".")[0]], rel=1e-3), name


def test_a_turn_rests_until_its_first_epoch(training: Training, machine: Machine) -> None:
    engine = Engine(Resting(), training, machine)
    batch = whole(pairs(torch.randn(8, 2), torch.randn(8, 1)))
    moved = []
    for epoch in range(4):
        engine.begin(epoch)
        before = weights(engine)
        figures = engine.train_step(batch, RATES).figures
        changed = {name for name, value in weights(engine).items() if not torch.equal(value, before[name])}
        moved.append({name.partition(".")[0] for name in changed})
        assert ("discriminator_loss" in figures) == (epoch >= 2)
    assert moved == [{"model"}] * 2 + [{"model", "discriminator"}] * 2


def test_a_frozen_part_is_in_no_state_and_in_no_average(training: Training, machine: Machine) -> None:
    plain, frozen = (Engine(made(), training, machine) for made in (Pair, Resting))
    state = frozen.state_dict()
    assert state["trained"].keys() == {"model", "discriminator"}
    tensors = [sum(value.numel() for value in tensors_of(each.state_dict())) for each in (plain, frozen)]
    assert tensors[0] == tensors[1]
    assert frozen.averaged_weights().keys() == frozen.objective.model.state_dict().keys()


def tensors_of(content: object) -> list[Tensor]:
    """All tensors in a state."""
    if isinstance(content, Tensor):
        return [content]
    parts = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    return [found for part in parts for found in tensors_of(part)]


def test_the_average_is_judged_by_the_same_others(training: Training, machine: Machine) -> None:
    engine = Engine(Resting(), training, machine)
    batch = pairs(torch.randn(8, 2), torch.randn(8, 1))
    for _ in range(3):
        engine.train_step(whole(batch), RATES)
    averaged, objective = engine.averaged, engine.objective
    assert averaged.discriminator is objective.discriminator
    assert averaged.judge is objective.judge
    assert averaged.model is not objective.model
    assert not torch.equal(averaged.model.weight, objective.model.weight)
    with torch.no_grad():
        made = batch["noise"] @ engine.averaged_weights()["weight"].T + engine.averaged_weights()["bias"]
        expected = nn.functional.softplus(-objective.discriminator(made)).mean().item()
    assert engine.val_step(batch)["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")  # torch.compile warns of what torch itself does
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_blocks_give_the_same_step(training: Training, machine: Machine) -> None:
    network = {"stem": [1, 1, 1], "channels": [8], "res_blocks": 1, "attention_levels": [False]}
    network |= {"latent_channels": 2, "norm_groups": 4}
    losses = {"l1": {"weight": 1.0, "foreground": 4.0}, "kl": {"weight": 1e-4}}
    batch = whole({"volume": torch.rand(2, 1, 8, 8, 8), "noise": torch.randn(2, 2, 8, 8, 8)})
    found = []
    for compiled in (False, True):
        torch.manual_seed(0)
        section = {"network": network, "losses": losses}
        objective = KLAutoencoder(section, (8, 8, 8)).objective()
        engine = Engine(objective, training, machine.model_copy(update={"compile": compiled}))
        steps = [engine.train_step(batch, {"model": 1e-3}).figures for _ in range(3)]
        found.append([*steps, engine.val_step(batch[0].batch)])
    for plain, compiled_figures in zip(*found, strict=True):
        assert compiled_figures == pytest.approx(plain, rel=1e-3)
