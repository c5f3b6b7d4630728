"""A stage that several processes can be tried on: small trainings in a row, and ways to end badly."""

import json
import os
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from voxgen.batches.stacking import stacked
from voxgen.errors import InputError
from voxgen.machine.fabric import rank
from voxgen.models.first_stage.vq import VQAutoencoder
from voxgen.models.objective import Address, Batch, Objective, Turn
from voxgen.randomness import normal
from voxgen.settings.machine import Machine
from voxgen.settings.training import Training
from voxgen.training.artefact import write_model
from voxgen.training.loop import fit

PAUSE = 0.02  # s, for each batch while a signal is awaited
CODED = {
    "network": {
        "stem": [1, 1, 1],
        "channels": [4],
        "res_blocks": 1,
        "res_channels": [4],
        "codes": 6,
        "latent_channels": 2,
    },
    "codebook": {"decay": 0.8, "restart": 0.2},
    "losses": {"mse": {"weight": 1.0, "foreground": 1.0}, "commitment": {"weight": 0.25}},
}


class Case(BaseModel):
    """One training: `items` and `val` are numbers of items; `turns`: a generator and its judge.

    `codes`: a first stage with a codebook.
    """

    name: str
    training: Training
    machine: dict[str, int | float | None] = {}
    items: int = 20
    val: int = 5
    turns: bool = False
    codes: bool = False
    own_folders: bool = False
    pause_at: int | None = None
    bad_in: int | None = None
    failing_in: int | None = None


class Points:
    """Addressed batches that note which items a process asked for, and end or wait as the case says."""

    def __init__(self, n: int, case: Case, objective: Objective, notes: Path | None = None) -> None:
        self.n, self.case, self.objective, self.notes, self.asked = n, case, objective, notes, 0

    def __len__(self) -> int:
        return self.n

    def batch(self, items: np.ndarray, epoch: int) -> dict[str, Tensor]:
        if self.notes:
            self._note(items, epoch, self.notes)
        x = np.stack([normal((1, 4, 4, 4), 0, "x", epoch, int(item)) for item in items])
        y = np.sin(x.sum((1, 2, 3, 4))).astype(np.float32)
        drawn = [self.objective.draws((4, 4, 4), Address(0, "train", epoch, int(item))) for item in items]
        volumes = torch.from_numpy(x)
        return {"x": volumes, "volume": volumes, "y": torch.from_numpy(y), **stacked(drawn)}

    def _note(self, items: np.ndarray, epoch: int, notes: Path) -> None:
        notes.mkdir(parents=True, exist_ok=True)
        with (notes / f"asked-{rank()}.jsonl").open("a") as file:
            file.write(json.dumps([epoch, items.tolist()]) + "\n")
        self.asked += 1
        if self.case.pause_at is not None and self.asked > self.case.pause_at:
            time.sleep(PAUSE)
        if self.asked == 2 and self.case.bad_in == rank():
            raise InputError(f"volume 3 cannot be read by process {rank()}")
        if self.asked == 2 and self.case.failing_in == rank():
            raise ZeroDivisionError("a mistake")


class Small(Objective):
    """Least squares by a convolution and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Conv3d(1, 4, 3), nn.GroupNorm(2, 4), nn.Tanh(), nn.Flatten())
        self.model.append(nn.Linear(32, 1))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        loss = (self.model(batch["x"])[:, 0] - batch["y"]).square().mean()
        return {"loss": loss, "twice": 2 * loss.detach()}


class Judged(Small):
    """The same with a judge, which is to tell what the model gives from what is wanted."""

    turns: ClassVar[tuple[Turn, ...]] = (Turn("model"), Turn("judge"))

    def __init__(self) -> None:
        super().__init__()
        self.judge = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
        self.left: list[str] = []
        self._kept: list[Tensor | None] = [None] * len(list(self.judge.parameters()))
        self._first = next(self.model.parameters())

    def forward(self, batch: Batch, turn: str = "model") -> dict[str, Tensor]:
        x, y = batch["x"], batch["y"]
        if turn == "judge":
            given = self.model(x).detach()
            return {"loss": (self.judge(given).square() + (self.judge(y[:, None]) - 1).square()).mean()}
        given = self.model(x)
        adversarial = (self.judge(given) - 1).square().mean()
        fit_loss = (given[:, 0] - y).square().mean()
        return {"loss": fit_loss + 0.1 * adversarial, "fit": fit_loss.detach()}

    def watch(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        """After a step of the model, note gradients of the judge that its own backward did not leave."""
        gradients = [weight.grad for weight in self.judge.parameters()]
        stepped = [weight for group in optimizer.param_groups for weight in group["params"]]
        if any(weight is self._first for weight in stepped):
            for found, kept in zip(gradients, self._kept, strict=True):
                same = found is None if kept is None else found is not None and torch.equal(found, kept)
                self.left.append("nothing" if same else "a gradient")
        else:
            self._kept = [None if found is None else found.clone() for found in gradients]


def coded() -> Objective:
    """That of a first stage with a codebook."""
    torch.manual_seed(0)
    return VQAutoencoder(CODED, (4, 4, 4)).objective()


def rehearse(cases: list[Case], out: Path, notes: Path, state: Path, machine: Machine) -> None:
    """Train each case; `notes` gets what every process did, `out` the models, each in a folder of its own."""
    notes.mkdir(parents=True, exist_ok=True)
    for case in cases:
        its_notes = notes / case.name
        its_notes.mkdir(exist_ok=True)
        process = int(os.environ.get("RANK", 0))
        (its_notes / f"process-{process}.json").write_text(json.dumps([os.getpid(), os.getppid()]))
        own = f"rank-{process}" if case.own_folders else "."
        objective = coded() if case.codes else Judged() if case.turns else Small()
        hook = register_optimizer_step_post_hook(objective.watch) if isinstance(objective, Judged) else None
        trained = fit(
            objective,
            Points(case.items, case, objective, its_notes),
            Points(case.val, case, objective),
            state / case.name / own,
            case.training,
            0,
            machine.model_copy(update=case.machine),
        )
        if hook and isinstance(objective, Judged):
            hook.remove()
            (its_notes / f"left-{process}.json").write_text(json.dumps(objective.left))
        write_model(out / case.name / own, trained, {})
