"""Around the steps of a training: an epoch alone, when it ends, what it keeps and what it shows."""

import gzip
import json
import math
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from voxgen.errors import InputError, StoppedError
from voxgen.models.objective import Batch, Objective
from voxgen.randomness import normal
from voxgen.settings.machine import Machine
from voxgen.settings.sections import Settings
from voxgen.settings.training import Training
from voxgen.training.checkpoints import TrainingFolder
from voxgen.training.engine import Engine
from voxgen.training.loop import Run, Trained, fit
from voxgen.training.monitor.board import Board, Picture
from voxgen.training.monitor.interruption import Interruption
from voxgen.training.schedule import learning_rate

ITEMS, BATCH, STEPS = 10, 4, 3


class Points:
    """Addressed points on a plane; validations see them `drift` further off each time they are read."""

    def __init__(self, n: int = ITEMS, drift: float = 0.0) -> None:
        self.n, self.drift, self.read = n, drift, 0
        self.asked: list[tuple[int, ...]] = []

    def __len__(self) -> int:
        return self.n

    def batch(self, items: np.ndarray, epoch: int) -> dict[str, Tensor]:
        self.asked.append(tuple(items.tolist()))
        x = np.stack([normal((3,), 0, "x", epoch, int(item)) for item in items])
        self.read += 1
        return {"x": torch.from_numpy(x), "y": torch.from_numpy(x.sum(1) + self.drift * self.read)}


class Plane(Objective):
    """Least squares."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(3, 1)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": (self.model(batch["x"])[:, 0] - batch["y"]).square().mean()}

    def health(self, figures: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
        root = math.sqrt(figures["loss"])
        return {"root": root}, [f"far off by {root:.3f}"] if root > 1 else []


@pytest.fixture
def training(settings: Settings) -> Training:
    changes = {"epochs": 4, "schedule_epochs": 4, "batch": BATCH, "learning_rate": 0.05, "ema": 0.7}
    return settings.autoencoder.chosen.training.model_copy(update=changes)


@pytest.fixture
def machine(settings: Settings) -> Machine:
    return settings.machine.model_copy(update={"batch": 5, "log_steps": 1})


def objective() -> Plane:
    torch.manual_seed(0)
    return Plane()


def trained(
    folder: Path, training: Training, machine: Machine, train: Points | None = None, drift: float = 0.0
) -> Trained:
    return fit(objective(), train or Points(), Points(5, drift), folder, training, 0, machine)


def events(folder: Path) -> EventAccumulator:
    shown = EventAccumulator(str(folder / "tensorboard"))
    shown.Reload()
    return shown


def test_an_epoch_alone(tmp_path: Path, training: Training, machine: Machine) -> None:
    points, engine = Points(), Engine(objective(), training, machine)
    place = TrainingFolder(tmp_path, 1, writes=True)
    run = Run(engine, points, Points(5), place, training, 0, machine, Interruption(None), None)
    steps = []
    with Board(tmp_path, 0, STEPS, 1, shown=False) as board:
        run.train_epoch(board, lambda: steps.append(run.step))
    assert steps == [1, 2, 3]
    assert sorted(sum(points.asked, ())) == list(range(ITEMS))
    assert run.sums.keys() == {"loss", "gradient_norm"}
    assert (run.epoch, run.position, run.history) == (0, STEPS, [])
    assert run.validate().keys() == {"loss"}


def test_micro_batches_change_nothing_but_rounding(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    expected = trained(tmp_path / "whole", training, machine)
    small = Points()
    found = trained(tmp_path / "1", training, machine.model_copy(update={"micro_batch": 1}), small)
    assert {len(items) for items in small.asked} == {1}
    for name, value in expected.weights.items():
        torch.testing.assert_close(found.weights[name], value)
    for one, other in zip(expected.history, found.history, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_patience_ends_a_training_whose_validation_gets_worse(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    patient = training.model_copy(update={"patience": 2, "epochs": 9})
    history = trained(tmp_path, patient, machine, drift=5.0).history
    assert [row["epoch"] for row in history] == [1, 2, 3]
    longer = patient.model_copy(update={"epochs": 20})
    assert trained(tmp_path, longer, machine, drift=5.0).history == history
    assert len(trained(tmp_path / "better", patient, machine).history) == 9


def test_the_best_weights_are_kept_where_asked(tmp_path: Path, training: Training, machine: Machine) -> None:
    best = training.model_copy(update={"weights": "best"})
    found = trained(tmp_path / "best", best, machine, drift=5.0)
    after_one = trained(tmp_path / "one", training.model_copy(update={"epochs": 1}), machine)
    assert found.epoch == 1
    assert all(torch.equal(value, after_one.weights[name]) for name, value in found.weights.items())
    last = trained(tmp_path / "last", training, machine, drift=5.0)
    assert last.epoch == 4
    for name, snapshot in (("best", found.weights), ("last", last.weights)):
        stored = load_file(tmp_path / "last" / f"{name}.safetensors")
        assert all(torch.equal(value, snapshot[key]) for key, value in stored.items())


@pytest.mark.parametrize(
    ("keep", "kept"), [("all", [1, 2, 3, 4]), (1, [3, 4]), (2, [2, 3, 4]), ("best", [1, 4])]
)
def test_states_of_epochs_are_kept(
    tmp_path: Path, training: Training, machine: Machine, keep: str | int, kept: list[int]
) -> None:
    often = machine.model_copy(update={"keep": keep, "checkpoint_minutes": 1e-9})
    trained(tmp_path, training, often, drift=5.0)
    names = sorted(path.name for path in tmp_path.glob("state-*.pt"))
    assert names == [f"state-{epoch:05d}-0000000.pt" for epoch in kept]


def test_a_fast_dev_run_takes_two_steps_and_one_batch_of_validation(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    train, val = Points(), Points(20)
    fast = training.model_copy(update={"fast_dev_run": True})
    history = fit(objective(), train, val, tmp_path, fast, 0, machine).history
    assert [(row["epoch"], row["step"]) for row in history] == [(1, 2)]
    assert len(val.asked) == 1
    assert len(train.asked) == 2


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_schedule_is_the_one_that_is_set(
    tmp_path: Path, training: Training, machine: Machine, schedule: str
) -> None:
    history = trained(tmp_path, training.model_copy(update={"schedule": schedule}), machine).history
    shape = {"cosine": lambda p: 0.5 * (1 + math.cos(math.pi * p)), "linear": lambda p: 1 - p}
    for row in history:
        step = row["step"] - 1
        fallen = shape.get(schedule, lambda _: 1.0)((step - 2) / (4 * STEPS - 2))
        assert row["learning_rate"] == pytest.approx(0.05 * (0.02 + 0.98 * fallen))
    assert learning_rate(10**6, 1.0, 0.5, 0, 10, "constant") == 1.0
    assert learning_rate(10**6, 1.0, 0.5, 0, 10, "linear") == 0.5


def test_health_goes_into_the_history_and_its_warnings_into_the_log(
    tmp_path: Path, training: Training, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    history = trained(tmp_path, training, machine, drift=2.0).history
    assert all(row["val_root"] == pytest.approx(math.sqrt(row["val_loss"])) for row in history)
    assert "epoch 1: far off by" in caplog.text


class Split(Plane):
    """Tells the mean of each input too."""

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return {**super().forward(batch), "inputs": batch["x"].mean(0)}

    def health(self, figures: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
        return {"first": float(figures["inputs"][0])}, []


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_health_sees_means_of_tensors_over_the_whole_split(
    tmp_path: Path, training: Training, machine: Machine, batch: int
) -> None:
    machine = machine.model_copy(update={"batch": batch})
    history = fit(Split(), Points(), Points(5), tmp_path, training, 0, machine).history
    expected = np.mean([normal((3,), 0, "x", 0, item)[0] for item in range(5)])
    assert [row["val_first"] for row in history] == pytest.approx([expected] * 4, rel=1e-5)
    assert not any("inputs" in name for name in history[0])


def test_tensorboard_shows_steps_epochs_and_pictures(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    asked = []

    def pictures(averaged: Objective) -> dict[str, Picture]:
        asked.append(averaged.model.weight.detach().clone())
        return {"square": np.full((4, 4, 3), 255, np.uint8)}

    result = fit(objective(), Points(), Points(5), tmp_path, training, 0, machine, pictures)
    shown = events(tmp_path)
    curves = {"loss", "gradient_norm", "learning_rate", "samples_per_s", "memory_gb"}
    assert {f"step/{name}" for name in curves} <= set(shown.Tags()["scalars"])
    assert [event.step for event in shown.Scalars("step/loss")] == list(range(1, 4 * STEPS + 1))
    assert all(event.value > 0 for event in shown.Scalars("step/samples_per_s"))
    assert [event.value for event in shown.Scalars("val_loss")] == pytest.approx(
        [row["val_loss"] for row in result.history], rel=1e-6
    )
    assert [event.step for event in shown.Images("square")] == [4 * STEPS]  # at the end alone
    assert torch.equal(asked[0], result.weights["weight"])
    often = machine.model_copy(update={"picture_minutes": 1e-9})
    fit(objective(), Points(), Points(5), tmp_path / "often", training, 0, often, pictures)
    assert len(events(tmp_path / "often").Images("square")) == 4


def test_the_history_is_there_while_the_training_goes_on(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    lines = []

    def pictures(_: Objective) -> dict[str, Picture]:
        lines.append(len((tmp_path / "history.csv").read_text().splitlines()))
        return {}

    often = machine.model_copy(update={"picture_minutes": 1e-9})
    fit(objective(), Points(), Points(5), tmp_path, training, 0, often, pictures)
    assert lines == [2, 3, 4, 5]


def test_a_profile_holds_a_trace_and_the_slowest_operators(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    profiled = machine.model_copy(update={"profile": True})
    expected = trained(tmp_path / "plain", training, machine)
    assert trained(tmp_path / "profiled", training, profiled).history == expected.history
    trace = json.loads(gzip.decompress((tmp_path / "profiled/profile/trace.json.gz").read_bytes()))
    steps = {
        event["name"] for event in trace["traceEvents"] if event.get("name", "").startswith("ProfilerStep")
    }
    assert len(steps) == 3
    assert "aten::addmm" in (tmp_path / "profiled/profile/operators.txt").read_text()
    assert not (tmp_path / "plain/profile").exists()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_saves_and_stops_and_the_same_call_goes_on(
    tmp_path: Path, training: Training, machine: Machine, name: str
) -> None:
    class Signalled(Points):
        def batch(self, items: np.ndarray, epoch: int) -> dict[str, Tensor]:
            if len(self.asked) == 7:
                os.kill(os.getpid(), signal.Signals[name])
            return super().batch(items, epoch)

    expected = trained(tmp_path / "whole", training, machine)
    before = signal.getsignal(signal.Signals[name])
    with pytest.raises(
        StoppedError, match=rf"stopped in epoch \d, step \d \(asked by {name}\); the state is"
    ):
        trained(tmp_path / "asked", training, machine, Signalled())
    assert signal.getsignal(signal.Signals[name]) == before
    rest = Points()
    found = trained(tmp_path / "asked", training, machine, rest)
    assert len(rest.asked) < 4 * STEPS
    assert found.history == expected.history
    assert all(torch.equal(value, found.weights[key]) for key, value in expected.weights.items())


def test_time_that_is_over_saves_and_stops(tmp_path: Path, training: Training, machine: Machine) -> None:
    expected = trained(tmp_path / "whole", training, machine)
    short = machine.model_copy(update={"max_minutes": 1e-9})
    attempts = 0
    while not (tmp_path / "short" / "state-00004-0000000.pt").exists():
        attempts += 1
        with suppress(StoppedError):
            found = trained(tmp_path / "short", training, short)
    assert attempts == 4 * (STEPS + 1)  # a step or a validation each
    assert found.history == expected.history


def test_a_validation_in_several_batches_counts_each_volume_once(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    def history(batch: int) -> list[dict[str, float]]:
        few = machine.model_copy(update={"batch": batch})
        return fit(objective(), Points(), Points(11), tmp_path / str(batch), training, 0, few).history

    expected = history(11)
    for batch in (1, 2, 4):
        for one, other in zip(history(batch), expected, strict=True):
            assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "out of GPU memory with 4 items at once"),
        (MemoryError(), "out of memory with 4 items at once"),
    ],
)
def test_memory_that_runs_out_is_met_with_advice(
    tmp_path: Path, training: Training, machine: Machine, error: BaseException, said: str
) -> None:
    class Large(Plane):
        def forward(self, batch: Batch) -> dict[str, Tensor]:
            raise error

    with pytest.raises(InputError, match=rf"{said} in a step; set machine\.micro_batch: 2, or .*recompute"):
        fit(Large(), Points(), Points(5), tmp_path, training, 0, machine)


def test_memory_of_the_cpu_that_runs_out_is_met_with_advice(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    class Large(Plane):
        def forward(self, batch: Batch) -> dict[str, Tensor]:
            return {"loss": torch.empty(2**50).sum()}

    least = machine.model_copy(update={"micro_batch": 1, "recompute": True})
    with pytest.raises(InputError, match=r"out of memory with 1 items at once in a step; train on smaller"):
        fit(Large(), Points(), Points(5), tmp_path, training, 0, least)


def test_other_errors_are_left_as_they_are(tmp_path: Path, training: Training, machine: Machine) -> None:
    class Broken(Plane):
        def forward(self, batch: Batch) -> dict[str, Tensor]:
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        fit(Broken(), Points(), Points(5), tmp_path, training, 0, machine)


def test_a_validation_that_runs_out_of_memory_says_so(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    class Judged(Plane):
        def forward(self, batch: Batch) -> dict[str, Tensor]:
            return super().forward(batch) if self.training else {"loss": torch.empty(2**50).sum()}

    with pytest.raises(InputError, match=r"with 5 items at once in validation; lower machine\.batch"):
        fit(Judged(), Points(), Points(5), tmp_path, training, 0, machine)


def test_a_validation_loss_that_is_not_finite_stops(
    tmp_path: Path, training: Training, machine: Machine
) -> None:
    with pytest.raises(InputError, match=r"validation loss is not finite in epoch 2; .*results/voxels/val"):
        trained(tmp_path, training, machine, drift=5e18)
    assert sorted(path.name for path in tmp_path.glob("state-*.pt"))[-1] == "state-00001-0000000.pt"


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_best_weights_that_are_not_those_of_the_best_epoch_are_refused(
    tmp_path: Path, training: Training, machine: Machine, damage: str
) -> None:
    trained(tmp_path, training, machine, drift=5.0)
    best, last = tmp_path / "best.safetensors", tmp_path / "last.safetensors"
    if damage == "missing":
        best.unlink()
    else:
        best.write_bytes(last.read_bytes() if damage == "other" else best.read_bytes()[:20])
    asked = training.model_copy(update={"weights": "best"})
    with pytest.raises(InputError, match=r"best\.safetensors: expected the weights of epoch 1, found"):
        trained(tmp_path, asked, machine, drift=5.0)
    assert trained(tmp_path, training, machine).epoch == 4


def test_pictures_leave_the_training_as_it_is(tmp_path: Path, training: Training, machine: Machine) -> None:
    def pictures(_: Objective) -> dict[str, Picture]:
        torch.rand(7)
        return {}

    class Noisy(Plane):
        def forward(self, batch: Batch) -> dict[str, Tensor]:
            return super().forward({**batch, "x": batch["x"] + 0.1 * torch.randn_like(batch["x"])})

    found = []
    for minutes in (1e-9, 1e9):
        torch.manual_seed(0)
        often = machine.model_copy(update={"picture_minutes": minutes})
        folder = tmp_path / str(minutes)
        found.append(fit(Noisy(), Points(), Points(5), folder, training, 0, often, pictures).history)
    assert found[0] == found[1]
