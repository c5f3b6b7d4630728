"""The one training loop: exact to resume, the same for every model."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from voxgen.compute import launch
from voxgen.data.ahead import ahead
from voxgen.errors import InputError
from voxgen.randomness import generator
from voxgen.settings.models import Training
from voxgen.settings.sections import Machine
from voxgen.training.schedule import learning_rate
from voxgen.training.state import load_state, locked, save_state

log = logging.getLogger(__name__)


class Batches(Protocol):
    """Items of a split; `batch` returns CPU tensors that depend on (epoch, items) alone.

    It is called by another thread, one call at a time and in order, some batches ahead of the training.
    """

    def __len__(self) -> int: ...

    def batch(self, items: NDArray[np.int64], epoch: int) -> tuple[Tensor, ...]: ...


@dataclass(frozen=True)
class Trained:
    """What a training leaves: the averaged weights and one row of figures an epoch."""

    weights: dict[str, Tensor]
    history: list[dict[str, float]]


def fit(
    objective: nn.Module,
    train: Batches,
    val: Batches,
    folder: Path,
    settings: Training,
    seed: int,
    machine: Machine,
) -> Trained:
    """Train `objective.model` and return its averaged weights; continues from the state in `folder`.

    `objective(*batch)` returns a dictionary of scalars with the key "loss". The state is saved at every
    epoch and every `machine.checkpoint_minutes`. To resume, call again with the same arguments; to train
    longer, raise `settings.epochs`.

    Raises:
        InputError: a split is empty, the loss is not finite, or another process trains in `folder`.
    """
    for name, items in (("train", train), ("val", val)):
        if not len(items):
            raise InputError(f"the {name} split is empty; raise data.split.{name} or give more clouds")
    with locked(folder):
        run = _Run(objective, train, val, folder, settings, seed, machine)
        run.resume()
        run.to_the_end()
        return Trained(run.averaged_weights(), run.history)


class _Run:
    """One training under way. Its progress is `epoch`, and `position`: the steps done in that epoch."""

    def __init__(
        self,
        objective: nn.Module,
        train: Batches,
        val: Batches,
        folder: Path,
        settings: Training,
        seed: int,
        machine: Machine,
    ) -> None:
        self.train, self.val = train, val
        self.folder, self.settings, self.seed, self.machine = folder, settings, seed, machine
        self.fabric: Fabric = launch(machine)
        self.objective = objective
        self.average = AveragedModel(objective, self.fabric.device, multi_avg_fn=_ema(settings.ema))
        optimizer = torch.optim.AdamW(
            objective.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.module, self.optimizer = self.fabric.setup(objective, optimizer)
        if machine.compile:
            self.objective.compile()
        self.steps_per_epoch = -(-len(train) // settings.batch)
        self.epoch, self.position = 0, 0
        self.sums: dict[str, float] = {}
        self.history: list[dict[str, float]] = []
        self.best = float("inf")
        self.saved_at = time.monotonic()

    @property
    def step(self) -> int:
        """Optimiser steps done since the start."""
        return self.epoch * self.steps_per_epoch + self.position

    def to_the_end(self) -> None:
        """Train the epochs that are left."""
        total = self.settings.epochs * self.steps_per_epoch
        with (
            _Writer(self.folder / "tensorboard", self.step) as board,
            tqdm(total=total, initial=self.step, unit="step", disable=None, dynamic_ncols=True) as bar,
        ):
            while self.epoch < self.settings.epochs:
                self.train_epoch(bar)
                figures = {"val_" + name: value for name, value in self.validate().items()}
                self._finish_epoch(figures)
                board.write(self.history[-1])

    def train_epoch(self, bar: "tqdm[Any]") -> None:
        """The steps that are left of this epoch."""
        self.objective.train()
        with ahead(lambda items: self.train.batch(items, self.epoch), self._items_left()) as batches:
            for batch in batches:
                figures = self.train_step(batch)
                for name, value in figures.items():
                    self.sums[name] = self.sums.get(name, 0.0) + value
                self.position += 1
                bar.update()
                bar.set_postfix(loss=f"{figures['loss']:.4f}", epoch=self.epoch + 1, refresh=False)
                if time.monotonic() - self.saved_at > 60 * self.machine.checkpoint_minutes:
                    self.save()

    def train_step(self, batch: tuple[Tensor, ...]) -> dict[str, float]:
        """One step of the optimiser; returns the objective's figures and the gradient's norm."""
        settings = self.settings
        horizon = settings.schedule_epochs * self.steps_per_epoch
        rate = learning_rate(
            self.step, settings.learning_rate, settings.floor, settings.warmup_steps, horizon
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        figures: dict[str, Tensor] = self.module(*self.fabric.to_device(batch))
        self.optimizer.zero_grad()
        self.fabric.backward(figures["loss"])
        norm = self._clip()
        if not (torch.isfinite(norm) and torch.isfinite(figures["loss"])):
            raise InputError(
                f"training: the loss or its gradient is not finite in epoch {self.epoch + 1}, "
                f"step {self.position + 1} (loss {figures['loss'].item():g}); "
                "lower learning_rate or set machine.precision: fp32"
            )
        self.optimizer.step()
        self.average.update_parameters(self.objective)
        return {**{name: value.item() for name, value in figures.items()}, "gradient_norm": norm.item()}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The objective's figures over the val split, with averaged weights and fixed draws."""
        self.average.eval()
        totals: dict[str, float] = {}
        asked = np.array_split(np.arange(len(self.val)), -(-len(self.val) // self.machine.batch))
        with ahead(lambda items: self.val.batch(items, 0), asked) as batches:
            for items, batch in zip(asked, batches, strict=True):
                with self.fabric.autocast():
                    figures = self.average(*self.fabric.to_device(batch))
                for name, value in figures.items():
                    totals[name] = totals.get(name, 0.0) + value.item() * len(items)
        return {name: total / len(self.val) for name, total in totals.items()}

    def averaged_weights(self) -> dict[str, Tensor]:
        """The exponential moving average of the model's weights, on the CPU."""
        state = self.average.module.get_submodule("model").state_dict()
        return {name: value.detach().cpu().contiguous() for name, value in state.items()}

    def save(self) -> None:
        """Write the state: everything that the next step depends on."""
        random = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
        state = {
            "objective": self.objective.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": random,
            "progress": {"epoch": self.epoch, "position": self.position, "best": self.best},
            "sums": self.sums,
            "history": self.history,
        }
        save_state(self.folder, state)
        self.saved_at = time.monotonic()

    def resume(self) -> None:
        """Take up the state in the folder, if there is one.

        Raises:
            InputError: it is already past `settings.epochs`.
        """
        state = load_state(self.folder)
        if state is None:
            return
        reached = state["progress"]["epoch"] + (state["progress"]["position"] > 0)
        if reached > self.settings.epochs:
            raise InputError(
                f"{self.folder}: trained into epoch {reached}, past the {self.settings.epochs} asked for; "
                f"set epochs to {reached} or more, or delete this folder to train anew"
            )
        self.objective.load_state_dict(state["objective"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"]["cpu"])
        if len(state["random"]["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["random"]["cuda"])
        self.epoch, self.position, self.best = (
            state["progress"][key] for key in ("epoch", "position", "best")
        )
        self.sums, self.history = state["sums"], state["history"]
        log.info("resumed at epoch %d, step %d of %d", self.epoch + 1, self.position, self.steps_per_epoch)

    def _clip(self) -> Tensor:
        norm = self.fabric.clip_gradients(
            self.module, self.optimizer, max_norm=self.settings.clip, error_if_nonfinite=False
        )
        return torch.as_tensor(norm)

    def _items_left(self) -> Iterator[NDArray[np.int64]]:
        order = generator(self.seed, "order", self.epoch).permutation(len(self.train))
        batches = np.array_split(order, self.steps_per_epoch)
        yield from batches[self.position :]

    def _finish_epoch(self, figures: dict[str, float]) -> None:
        means = {"train_" + name: total / self.steps_per_epoch for name, total in self.sums.items()}
        rate = float(self.optimizer.param_groups[0]["lr"])
        self.epoch, self.position, self.sums = self.epoch + 1, 0, {}
        self.best = min(self.best, figures["val_loss"])
        row = {"epoch": self.epoch, "step": self.step, "learning_rate": rate, **means, **figures}
        self.history = [*self.history, row]
        self.save()
        shown = ", ".join(f"{name} {row[name]:.4g}" for name in ("train_loss", "val_loss"))
        log.info("epoch %d of %d: %s, best %.4g", self.epoch, self.settings.epochs, shown, self.best)


class _Writer:
    """TensorBoard scalars of each epoch; a resumed run replaces what was written after its state.

    `purge_step` hides what stands at that step and after it; the row at the state's own step is to stay.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, row: dict[str, float]) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, value, int(row["step"]))


def _ema(decay: float) -> Any:
    """Exponential moving average whose decay grows from 0.1 to `decay` over the first steps."""

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        ramp = (1 + count.item()) / (10 + count.item())
        torch._foreach_lerp_(averaged, current, 1 - min(decay, ramp))

    return update
