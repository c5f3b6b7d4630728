"""The one training loop: exact to resume, the same for every model."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from voxgen.errors import InputError, StoppedError
from voxgen.machine.ahead import ahead
from voxgen.machine.fabric import agreed, gathered, rank
from voxgen.models.objective import Batch, Objective, Turn
from voxgen.randomness import order
from voxgen.settings.machine import Machine
from voxgen.settings.training import Training
from voxgen.training.artefact import Trained
from voxgen.training.checkpoints import TrainingFolder
from voxgen.training.engine import Engine, Share
from voxgen.training.generators import generators, set_generators
from voxgen.training.monitor.advice import in_a_step, in_validation, told_of_memory
from voxgen.training.monitor.board import Board, Pictures
from voxgen.training.monitor.interruption import Interruption, interruption
from voxgen.training.monitor.profile import profiled
from voxgen.training.monitor.watchdog import Watchdog
from voxgen.training.schedule import learning_rate
from voxgen.training.shares import shares

log = logging.getLogger(__name__)

DEV_STEPS = 2  # of a fast_dev_run
BEST, LAST = "best", "last"  # snapshots
REACHED = ("epoch", "position")
PROGRESS = (*REACHED, "sums", "history", "best")


class Batches(Protocol):
    """Items of a split; `batch` returns CPU tensors by name, which depend on (epoch, items) alone.

    It is called by another thread, one call at a time and in order, some batches ahead of the training.
    """

    def __len__(self) -> int: ...

    def batch(self, items: NDArray[np.int64], epoch: int) -> Batch: ...


def fit(
    objective: Objective,
    train: Batches,
    val: Batches,
    folder: Path,
    settings: Training,
    seed: int,
    machine: Machine,
    pictures: Pictures | None = None,
) -> Trained:
    """Train `objective` and return the averaged weights of its model; continues from the state in `folder`.

    The state is saved at every epoch and every `machine.checkpoint_minutes`. To resume, call again with the
    same arguments; to train longer, raise `settings.epochs`. `pictures` draws what the averaged weights do,
    from time to time. Of several processes each calls this.

    Raises:
        InputError: a split is empty, too many steps in a row are not finite, disk or memory are full,
            or another process trains in `folder`.
        StoppedError: the training was asked to stop, and has saved its state.
    """
    for name, items in (("train", train), ("val", val)):
        if not len(items):
            raise InputError(f"the {name} split is empty; raise data.split.{name} or give more clouds")
    engine = Engine(objective, settings, machine)
    place = TrainingFolder(folder, machine.keep, writes=rank() == 0)
    with place.held(), interruption(machine.max_minutes) as asked:
        run = Run(engine, train, val, place, settings, seed, machine, asked, pictures)
        run.resume()
        run.to_the_end()
        return run.trained()


class Run:
    """One training under way. Its progress is `epoch`, and `position`: the steps done in that epoch."""

    def __init__(
        self,
        engine: Engine,
        train: Batches,
        val: Batches,
        folder: TrainingFolder,
        settings: Training,
        seed: int,
        machine: Machine,
        asked: Interruption,
        pictures: Pictures | None,
    ) -> None:
        self.engine, self.train, self.val, self.folder = engine, train, val, folder
        self.settings, self.seed, self.machine = settings, seed, machine
        self.asked, self.pictures = asked, pictures
        self.processes = engine.fabric.world_size
        whole = -(-len(train) // settings.batch)
        self.steps_per_epoch = min(whole, DEV_STEPS) if settings.fast_dev_run else whole
        self.epochs = 1 if settings.fast_dev_run else settings.epochs
        self.samples_per_step = len(train) / whole
        self.epoch, self.position = 0, 0
        self.sums: dict[str, float] = {}
        self.history: list[dict[str, float]] = []
        self.best: dict[str, float] = {"epoch": 0, "loss": float("inf")}
        self.watchdog = Watchdog(machine.bad_steps, mixed=engine.mixed)
        self.saved_at = self.pictured_at = time.monotonic()
        self.saved_step = 0

    @property
    def step(self) -> int:
        """Steps done since the start."""
        return self.epoch * self.steps_per_epoch + self.position

    @property
    def over(self) -> bool:
        """Whether all epochs are done, or the validation loss fell no more."""
        patience = self.settings.patience
        return self.epoch >= self.epochs or bool(patience and self.epoch - self.best["epoch"] >= patience)

    def to_the_end(self) -> None:
        """Train the epochs that are left."""
        total = self.epochs * self.steps_per_epoch
        with (
            Board(
                self.folder.path / "tensorboard", self.step, total, self.machine.log_steps, shown=rank() == 0
            ) as board,
            profiled(self.folder.path / "profile", wanted=self.machine.profile and rank() == 0) as traced,
        ):
            while not self.over:
                self.train_epoch(board, traced)
                self.end_epoch(self.validate())
                board.epoch(self.history[-1])
                self.draw(board)
                self.stop_if(self.asked.reason)
        if self.epoch < self.epochs:
            log.info("ended: the validation loss was lowest in epoch %d", self.best["epoch"])

    def train_epoch(self, board: Board, traced: Callable[[], None]) -> None:
        """The steps that are left of this epoch."""
        self.engine.begin(self.epoch)
        with ahead(self._shares, self._items_left()) as steps:
            for shared in steps:
                rates = self._rates(self.step)
                with told_of_memory(*in_a_step(self.settings, self.machine)):
                    step = self.engine.train_step(shared, rates)
                self.position += 1
                if self.watchdog.see(step, self.epoch + 1, self.position):
                    for name, value in step.figures.items():
                        self.sums[name] = self.sums.get(name, 0.0) + value
                board.step(self.step, self.epoch + 1, self.samples_per_step, rates["model"], step.figures)
                traced()
                self.stop_if(self.asked.reason)

    def validate(self) -> dict[str, Any]:
        """The objective's figures over the val split, with averaged weights and fixed draws.

        Raises:
            InputError: their loss is not finite, so nothing could be told from it.
        """
        batches = -(-len(self.val) // self.machine.batch)
        asked = np.array_split(np.arange(len(self.val)), batches)[: 1 if self.settings.fast_dev_run else None]
        mine = asked[rank() :: self.processes]
        totals: dict[str, Any] = {}
        with ahead(lambda items: self.val.batch(items, 0), mine) as read:
            for number in range(-(-len(asked) // self.processes)):
                if number < len(mine):
                    with told_of_memory(*in_validation(self.machine)):
                        figures = self.engine.val_step(next(read))
                    for name, value in figures.items():
                        totals[name] = totals.get(name, 0.0) + value * len(mine[number])
                self.stop_if(self.asked.by_signal)  # a limit of time would never let it end
        parts = gathered(totals)
        seen = sum(map(len, asked))
        figures = {name: sum(part.get(name, 0.0) for part in parts) / seen for name in parts[0]}
        if not math.isfinite(figures["loss"]):
            raise InputError(
                f"training: the validation loss is not finite in epoch {self.epoch + 1}; lower learning_rate "
                "or look at the volumes of the val split (results/voxels/val)"
            )
        return figures

    def end_epoch(self, figures: dict[str, Any]) -> None:
        """Take an epoch as done: a row of the history, snapshots, the state."""
        good = max(1, self.steps_per_epoch - self.watchdog.skipped)
        means = {f"train_{name}": total / good for name, total in self.sums.items()}
        more, warnings = self.engine.objective.health(figures)
        judged = {f"val_{name}": value for name, value in {**figures, **more}.items() if not np.ndim(value)}
        rate, skipped = self._rates(self.step - 1)["model"], self.watchdog.skipped
        self.epoch, self.position, self.sums, self.watchdog.skipped = self.epoch + 1, 0, {}, 0
        row = {"epoch": self.epoch, "step": self.step, "learning_rate": rate, "skipped": skipped}
        self.history = [*self.history, {**row, **means, **judged}]
        improved = figures["loss"] < self.best["loss"]
        if improved:
            self.best = {"epoch": self.epoch, "loss": figures["loss"]}
        for name in (LAST, BEST) if improved else (LAST,):
            self.folder.write_snapshot(name, self.engine.averaged_weights(), self.epoch)
        self.folder.write_history(self.history)
        self.save()
        log.info(
            "epoch %d of %d: train_loss %.4g, val_loss %.4g, best %.4g",
            self.epoch,
            self.epochs,
            means.get("train_loss", float("nan")),
            figures["loss"],
            self.best["loss"],
        )
        for warning in warnings:
            log.warning("epoch %d: %s", self.epoch, warning)

    def draw(self, board: Board) -> None:
        """Draw pictures, where it is time for them."""
        due = time.monotonic() - self.pictured_at > 60 * self.machine.picture_minutes or self.over
        if self.pictures and due and rank() == 0:
            device = self.engine.fabric.device
            with torch.random.fork_rng([device] if device.type == "cuda" else []):
                board.pictures(self.step, self.pictures(self.engine.averaged))
            self.pictured_at = time.monotonic()

    def stop_if(self, reason: str | None) -> None:
        """Save the state where it is time to, and stop for a reason; all processes decide together.

        Raises:
            StoppedError: one of them has a reason.
        """
        due = time.monotonic() - self.saved_at > 60 * self.machine.checkpoint_minutes
        due, stop = agreed([due, reason is not None], self.engine.fabric.device)
        if (due or stop) and self.step > self.saved_step:
            self.save()
        if stop and not self.over:
            reason = next(filter(None, gathered(reason)))
            raise StoppedError(
                f"stopped in epoch {self.epoch + 1}, step {self.position} ({reason}); the state is saved, "
                "run the same command again"
            )

    def save(self) -> None:
        """Write the state: everything that the next step depends on."""
        random = gathered(generators())
        self.saved_at, self.saved_step = time.monotonic(), self.step
        state = {
            "engine": self.engine.state_dict(),
            "random": random,
            "progress": {name: getattr(self, name) for name in PROGRESS},
            "watchdog": self.watchdog.state_dict(),
        }
        self.folder.save(state, self.epoch, self.position, int(self.best["epoch"]))

    def resume(self) -> None:
        """Take up the state in the folder, if there is one.

        Raises:
            InputError: it is already past `settings.epochs`, or processes see different ones.
        """
        state = self.folder.load()
        seen = gathered(state and [state["progress"][name] for name in REACHED])
        if any(other != seen[0] for other in seen):
            raise InputError(f"{self.folder}: nodes see different states here; give a folder that they share")
        if state is None:
            return
        for name, value in state["progress"].items():
            setattr(self, name, value)
        reached = self.epoch + (self.position > 0)
        if reached > self.epochs:
            raise InputError(
                f"{self.folder}: trained into epoch {reached}, past the {self.epochs} asked for; "
                f"set epochs to {reached} or more (as before, it gives the same model again), or delete this "
                "folder to train anew"
            )
        self.engine.load_state_dict(state["engine"])
        if len(state["random"]) == self.processes:
            set_generators(state["random"][rank()])
        self.watchdog.load_state_dict(state["watchdog"])
        self.saved_step = self.step
        log.info("resumed at epoch %d, step %d of %d", self.epoch + 1, self.position, self.steps_per_epoch)

    def trained(self) -> Trained:
        """The weights that are to be kept, and the history."""
        if self.settings.weights == "best" and self.best["epoch"]:
            epoch = int(self.best["epoch"])
            return Trained(self.folder.read_snapshot(BEST, epoch), epoch, self.history)
        return Trained(self.engine.averaged_weights(), self.epoch, self.history)

    def _rates(self, step: int) -> dict[str, float]:
        """The learning rate of each turn."""
        return {turn.part: self._rate(turn, step) for turn in self.engine.objective.turns}

    def _rate(self, turn: Turn, step: int) -> float:
        settings, peak = self.settings, turn.learning_rate or self.settings.learning_rate
        horizon = settings.schedule_epochs * self.steps_per_epoch
        return learning_rate(step, peak, settings.floor, settings.warmup_steps, horizon, settings.schedule)

    def _items_left(self) -> Iterator[NDArray[np.int64]]:
        ordered = order(len(self.train), self.seed, self.epoch)
        batches = np.array_split(ordered, -(-len(self.train) // self.settings.batch))
        yield from batches[self.position : self.steps_per_epoch]

    def _shares(self, items: NDArray[np.int64]) -> list[Share]:
        parts = shares(items, rank(), self.processes, self.machine.micro_batch)
        return [Share(self.train.batch(part, self.epoch), weight) for part, weight in parts]
