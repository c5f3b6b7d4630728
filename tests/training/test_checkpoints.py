"""The training loop: exact to resume, to continue and to average, on a linear model."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from voxgen.errors import InputError
from voxgen.models.objective import Batch, Objective
from voxgen.randomness import normal
from voxgen.settings.machine import Machine
from voxgen.settings.sections import Settings
from voxgen.settings.training import Training
from voxgen.training.checkpoints import FORMAT, TrainingFolder, locked
from voxgen.training.loop import Trained, fit
from voxgen.training.schedule import learning_rate

ITEMS, BATCH = 10, 4
STEPS = 3  # an epoch
HOLDER = """
import sys
from pathlib import Path
from voxgen.training.checkpoints import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


class Killed(BaseException):
    """Stands for the end of the process: nothing in the package catches it."""


class Points:
    """Addressed batches that note what is asked for, and may kill the training or hold a NaN."""

    def __init__(self, n: int = ITEMS, killed_at: int | None = None, nan_at: int | None = None) -> None:
        self.n, self.killed_at, self.nan_at = n, killed_at, nan_at
        self.asked: list[tuple[int, tuple[int, ...]]] = []

    def __len__(self) -> int:
        return self.n

    def batch(self, items: np.ndarray, epoch: int) -> dict[str, Tensor]:
        if len(self.asked) == self.killed_at:
            raise Killed
        x = np.stack([normal((3,), 0, "x", epoch, int(item)) for item in items])
        y = x @ np.array([1.0, -2.0, 0.5], np.float32) + 3
        if len(self.asked) == self.nan_at:
            y[0] = np.nan
        self.asked.append((epoch, tuple(items.tolist())))
        return {"x": torch.from_numpy(x), "y": torch.from_numpy(y)}


class Linear(Objective):
    """Least squares, with noise in training that is drawn from torch's own generator."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(3, 1)
        self.weights_seen: list[Tensor] = []

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        x, y = batch["x"], batch["y"]
        if self.training:
            self.weights_seen.append(self.model.weight.detach().clone())
            x = x + 0.05 * torch.randn_like(x)
        loss = (self.model(x)[:, 0] - y).square().mean()
        return {"loss": loss, "twice": 2 * loss}


@pytest.fixture
def training(settings: Settings) -> Training:
    changes = {"epochs": 4, "schedule_epochs": 4, "batch": BATCH, "learning_rate": 0.05, "ema": 0.7}
    return settings.autoencoder.chosen.training.model_copy(update=changes)


@pytest.fixture
def machine(settings: Settings) -> Machine:
    """A machine that saves the state after every step."""
    return settings.machine.model_copy(update={"checkpoint_minutes": 1e-9, "batch": 2})


def trained(
    folder: Path,
    training: Training,
    machine: Machine,
    train: Points | None = None,
    val: Points | None = None,
) -> Trained:
    """Train as a new process would: from the same seed, knowing the folder alone."""
    train, val = Points() if train is None else train, Points(5) if val is None else val
    return fit(seeded(), train, val, folder, training, 0, machine)


def seeded() -> Linear:
    torch.manual_seed(0)
    return Linear()


def same(one: Trained, other: Trained) -> bool:
    weights = all(torch.equal(one.weights[name], other.weights[name]) for name in other.weights)
    return weights and one.weights.keys() == other.weights.keys() and one.history == other.history


@pytest.mark.parametrize("killed_at", [0, 1, 3, 4, 8, 11])
@pytest.mark.parametrize("minutes", [1e-9, 1e9])
def test_killed_in_a_step_and_called_again_gives_the_same(
    tmp_path: Path, training: Training, machine: Machine, killed_at: int, minutes: float
) -> None:
    whole, killed, rest = Points(), Points(killed_at=killed_at), Points()
    expected = trained(tmp_path / "whole", training, machine, whole)
    machine = machine.model_copy(update={"checkpoint_minutes": minutes})
    with pytest.raises(Killed):
        trained(tmp_path / "killed", training, machine, killed)
    assert same(trained(tmp_path / "killed", training, machine, rest), expected)
    saved = killed_at if minutes < 1 else killed_at - killed_at % STEPS
    assert killed.asked[:saved] + rest.asked == whole.asked
    assert len(whole.asked) == 4 * STEPS


@pytest.mark.parametrize("killed_at", [0, 4])
def test_killed_in_the_validation_and_called_again_gives_the_same(
    tmp_path: Path, training: Training, machine: Machine, killed_at: int
) -> None:
    expected = trained(tmp_path / "whole", training, machine)
    with pytest.raises(Killed):
        trained(tmp_path / "killed", training, machine, val=Points(5, killed_at=killed_at))
    rest = Points()
    assert same(trained(tmp_path / "killed", training, machine, rest), expected)
    assert len(rest.asked) == (4 - 1 - killed_at // 3) * STEPS


def test_killed_again_and_again_gives_the_same(tmp_path: Path, training: Training, machine: Machine) -> None:
    expected = trained(tmp_path / "whole", training, machine)
    for _ in range(4 * STEPS - 1):
        with pytest.raises(Killed):
            trained(tmp_path / "killed", training, machine, Points(killed_at=1))
    rest = Points()
    assert same(trained(tmp_path / "killed", training, machine, rest), expected)
    assert len(rest.asked) == 1


def test_more_epochs_continue(tmp_path: Path, training: Training, machine: Machine) -> None:
    rest = Points()
    trained(tmp_path / "raised", training.model_copy(update={"epochs": 2}), machine)
    raised = trained(tmp_path / "raised", training, machine, rest)
    assert same(raised, trained(tmp_path / "whole", training, machine))
    assert [epoch for epoch, _ in rest.asked] == [2] * STEPS + [3] * STEPS
    again = Points()
    assert same(trained(tmp_path / "raised", training, machine, again), raised)
    assert again.asked == []


def test_fewer_epochs_are_refused(tmp_path: Path, training: Training, machine: Machine) -> None:
    trained(tmp_path, training, machine)
    fewer = training.model_copy(update={"epochs": 3})
    with pytest.raises(InputError, match=r"into epoch 4, past the 3 asked for; set epochs to 4 or more"):
        trained(tmp_path, fewer, machine)


def test_an_epoch_that_was_begun_counts_as_trained(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    with pytest.raises(Killed):
        trained(tmp_path, training, machine, Points(killed_at=2 * STEPS + 1))
    with pytest.raises(InputError, match=r"into epoch 3, past the 2 asked for"):
        trained(tmp_path, training.model_copy(update={"epochs": 2}), machine)
    fewer = training.model_copy(update={"epochs": 3})
    assert len(trained(tmp_path, fewer, machine).history) == 3


def test_every_epoch_sees_every_item_once(tmp_path: Path, training: Training, machine: Machine) -> None:
    points = Points()
    history = trained(tmp_path, training, machine, points).history
    for epoch in range(4):
        orders = [items for asked, items in points.asked if asked == epoch]
        assert [len(items) for items in orders] == [4, 3, 3]
        assert sorted(sum(orders, ())) == list(range(ITEMS))
    assert len({items for _, items in points.asked}) == 4 * STEPS
    assert [(row["epoch"], row["step"]) for row in history] == [(i, i * STEPS) for i in range(1, 5)]


def test_a_second_process_is_refused_by_the_name_of_the_first(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=rf"{tmp_path}: held by process {holder.pid} on \S+"):
            trained(tmp_path, training, machine)
        holder.kill()
    assert len(trained(tmp_path, training, machine).history) == 4


def test_the_lock_goes_with_its_block(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(InputError, match="held by process"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_state_gives_way_to_the_one_before(
    tmp_path: Path, training: Training, machine: Machine, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    expected = trained(tmp_path, training, machine.model_copy(update={"keep": 2}))
    *_, last = sorted(tmp_path.glob("state-*.pt"))
    last.write_bytes(last.read_bytes()[: int(last.stat().st_size * share)])
    rest = Points()
    assert same(trained(tmp_path, training, machine, rest), expected)
    assert [epoch for epoch, _ in rest.asked] == [3] * STEPS
    assert f"{last}: not a readable state" in caplog.text
    for state in tmp_path.glob("state-*.pt"):
        state.write_bytes(b"")
    with pytest.raises(InputError, match=r"none of its \d+ states can be read; delete this folder"):
        trained(tmp_path, training, machine)


def test_a_crash_in_saving_leaves_the_old_state(tmp_path: Path) -> None:
    def unpicklable() -> None: ...

    folder = TrainingFolder(tmp_path, 1, writes=True)
    assert folder.load() is None
    folder.save({"step": 1, "weights": torch.ones(1000)}, 1, 0, best=1)
    with pytest.raises((AttributeError, TypeError, RuntimeError)):
        folder.save({"step": 2, "weights": torch.zeros(1000), "crash": unpicklable}, 2, 0, best=1)
    state = folder.load()
    assert state is not None
    assert state["step"] == 1
    assert state["weights"].sum() == 1000
    assert [path.name for path in tmp_path.iterdir()] == ["state-00001-0000000.pt"]


def test_states_of_another_format_are_passed_over_and_the_training_starts_anew(
    tmp_path: Path, training: Training, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    expected = trained(tmp_path / "whole", training, machine)
    folder, rest = tmp_path / "old", Points()
    trained(folder, training.model_copy(update={"epochs": 2}), machine)
    states = sorted(folder.glob("state-*.pt"))
    for path in states:
        torch.save({**torch.load(path), "format": FORMAT + 7}, path)
    assert same(trained(folder, training, machine, rest), expected)
    assert len(rest.asked) == 4 * STEPS
    for path in states:
        assert f"{path}: of format {FORMAT + 7}, expected {FORMAT}" in caplog.text


def test_an_unreadable_state_beside_one_of_another_format_does_not_refuse(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = TrainingFolder(tmp_path, "all", writes=True)
    torch.save({"step": 1}, tmp_path / "state-00001-0000000.pt")
    (tmp_path / "state-00002-0000000.pt").write_bytes(b"")
    assert folder.load() is None
    assert "of format None" in caplog.text
    (tmp_path / "state-00001-0000000.pt").write_bytes(b"")
    with pytest.raises(InputError, match="none of its 2 states can be read"):
        folder.load()


def test_a_step_that_is_not_finite_is_skipped_and_counted(
    tmp_path: Path, training: Training, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    objective = seeded()
    result = fit(objective, Points(nan_at=STEPS + 1), Points(5), tmp_path, training, 0, machine)
    assert [row["skipped"] for row in result.history] == [0, 1, 0, 0]
    assert "loss, twice is not finite in epoch 2, step 2: skipped (1 in a row)" in caplog.text
    before, after = objective.weights_seen[STEPS + 1 : STEPS + 3]
    assert torch.equal(before, after)
    assert all(math.isfinite(value) for row in result.history for value in row.values())


def test_a_gradient_that_is_not_finite_is_named(
    tmp_path: Path, training: Training, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    class Rooted(Linear):
        def forward(self, batch: Batch) -> dict[str, Tensor]:
            rooted = self.model.bias.sub(self.model.bias).sqrt().sum()
            return {"loss": super().forward(batch)["loss"] + rooted}

    torch.manual_seed(0)
    few = machine.model_copy(update={"bad_steps": 2})
    with pytest.raises(InputError, match=r"3 steps in a row were not finite, the last in epoch 1, step 3 \("):
        fit(Rooted(), Points(), Points(5), tmp_path, training, 0, few)
    assert "the gradient of model.bias is not finite in epoch 1, step 1" in caplog.text


def test_too_many_bad_steps_in_a_row_stop_also_over_kills(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    class Bad(Points):
        def batch(self, items: np.ndarray, epoch: int) -> dict[str, Tensor]:
            given = super().batch(items, epoch)
            return {**given, "y": given["y"] * torch.nan}

    few = machine.model_copy(update={"bad_steps": 4})
    for _ in range(2):
        with pytest.raises(Killed):
            trained(tmp_path, training, few, Bad(killed_at=2))
    with pytest.raises(InputError, match=r"5 steps in a row .* epoch 2, step 2"):
        trained(tmp_path, training, few, Bad())


@pytest.mark.parametrize("empty", ["train", "val"])
def test_an_empty_split_is_refused(tmp_path: Path, training: Training, machine: Machine, empty: str) -> None:
    with pytest.raises(InputError, match=rf"the {empty} split is empty; raise data\.split\.{empty}"):
        trained(tmp_path, training, machine, **{empty: Points(0)})


def test_weights_are_the_moving_average(tmp_path: Path, training: Training, machine: Machine) -> None:
    objective = seeded()
    result = fit(objective, Points(), Points(5), tmp_path, training, 0, machine)
    after_each_step = [*objective.weights_seen[1:], objective.model.weight.detach()]
    assert len(after_each_step) == 4 * STEPS
    average = after_each_step[0]
    for step, weight in enumerate(after_each_step[1:], 1):
        decay = min(0.7, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * weight
    torch.testing.assert_close(result.weights["weight"], average, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(result.weights["weight"], after_each_step[-1], rtol=1e-3)


def test_validation_judges_the_averaged_weights(tmp_path: Path, training: Training, machine: Machine) -> None:
    objective = seeded()
    result = fit(objective, Points(), Points(5), tmp_path / "2", training, 0, machine)
    objective.eval()
    objective.model.load_state_dict(result.weights)
    with torch.no_grad():
        figures = objective(Points().batch(np.arange(5), 0))
    last = result.history[-1]
    assert last["val_loss"] == pytest.approx(figures["loss"].item(), rel=1e-5)
    assert last["val_twice"] == pytest.approx(2 * last["val_loss"])
    other = trained(tmp_path / "5", training, machine.model_copy(update={"batch": 5}))
    assert other.history[-1]["val_loss"] == pytest.approx(last["val_loss"], rel=1e-5)


def test_the_history_tells_the_means_of_an_epoch(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    first = trained(tmp_path, training.model_copy(update={"epochs": 1}), machine).history[0]
    assert first["train_twice"] == pytest.approx(2 * first["train_loss"])
    assert first["learning_rate"] == learning_rate(STEPS - 1, 0.05, 0.02, 2, 4 * STEPS)
    assert first["train_gradient_norm"] > 0


def test_tensorboard_shows_every_epoch_of_a_resumed_training(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    trained(tmp_path, training.model_copy(update={"epochs": 2}), machine)
    with pytest.raises(Killed):
        trained(tmp_path, training, machine, Points(killed_at=STEPS + 1))
    history = trained(tmp_path, training, machine).history
    assert shown(tmp_path) == {row["step"]: pytest.approx(row["val_loss"], rel=1e-6) for row in history}
    for state in tmp_path.glob("state-*.pt"):
        state.unlink()
    trained(tmp_path, training.model_copy(update={"epochs": 1}), machine)
    assert list(shown(tmp_path)) == [STEPS]  # what an abandoned training wrote is hidden


def shown(folder: Path) -> dict[int, float]:
    """The validation losses that TensorBoard shows, by step."""
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return {event.step: event.value for event in events.Scalars("val_loss")}


def test_learning_rates() -> None:
    def rate(step: int, warmup: int = 10, horizon: int = 110) -> float:
        return learning_rate(step, 0.5, 0.1, warmup, horizon)

    assert [rate(0), rate(4), rate(9), rate(10)] == pytest.approx([0.05, 0.25, 0.5, 0.5])
    assert rate(60) == pytest.approx(0.5 * (0.1 + 0.9 / 2))
    assert rate(35) == pytest.approx(0.5 * (0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2))
    assert [rate(110), rate(111), rate(10**6)] == pytest.approx([0.05, 0.05, 0.05])
    assert rate(0, warmup=0) == 0.5
    assert rate(21, warmup=20, horizon=10) == pytest.approx(0.05)
    falling = [rate(step) for step in range(10, 111)]
    assert falling == sorted(falling, reverse=True)
