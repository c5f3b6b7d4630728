"""A training's moving parts and one step of them: networks, averages, optimisers, precision, processes."""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric.plugins import MixedPrecision
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from voxgen.machine.fabric import launch_together, synchronised
from voxgen.models.layers import compile_blocks, lay_out, recompute_blocks
from voxgen.models.objective import Batch, Objective, Turn
from voxgen.settings.machine import Machine
from voxgen.settings.training import Training
from voxgen.training.muon import Muon


@dataclass(frozen=True)
class Share:
    """What a process takes at once of a step's items; `weight` is its share of all of them."""

    batch: Batch
    weight: float


@dataclass(frozen=True)
class Step:
    """The figures of a step, and the name of the first tensor that was not finite, if one was."""

    figures: dict[str, float]
    bad: str | None


class Engine:
    """An objective on its device, with the average of its model and an optimiser per turn."""

    def __init__(self, objective: Objective, settings: Training, machine: Machine) -> None:
        self.fabric = launch_together(machine, several_turns=len(objective.turns) > 1)
        self.objective = objective = synchronised(objective, self.fabric)
        for part in objective.children():
            lay_out(part, self.fabric.device)
        recompute_blocks(objective, machine.recompute)
        self._clip = settings.clip
        self._scaler = getattr(self.fabric.strategy.precision, "scaler", None)
        optimizers = [
            Muon(
                objective.get_submodule(turn.part).parameters(),
                settings.learning_rate,
                settings.weight_decay,
                [table for name in objective.tables for table in objective.get_submodule(name).parameters()],
            )
            for turn in objective.turns
        ]
        self.module, *self._optimizers = self.fabric.setup(self.objective, *optimizers)
        self._average = AveragedModel(self.objective.model, multi_avg_fn=_ema(settings.ema))
        self.averaged = _with_model(self.objective, self._average.module)
        if machine.compile:
            compile_blocks(self.objective)
            compile_blocks(self._average)

    @property
    def mixed(self) -> bool:
        """Whether steps are computed in less than fp32."""
        return isinstance(self.fabric.strategy.precision, MixedPrecision)

    def train_step(self, shares: Sequence[Share], rates: Mapping[str, float]) -> Step:
        """One step of each active turn at its learning rate, on gradients summed over `shares`.

        A turn whose loss or gradient is not finite leaves the weights as they are.
        """
        self.objective.train()
        steps = []
        for turn, optimizer in zip(self.objective.turns, self._optimizers, strict=True):
            if turn in self.objective.active:
                for group in optimizer.param_groups:
                    group["lr"] = rates[turn.part]
                optimizer.zero_grad()
                self._alone(turn)
                figures = self._backward(turn, shares)
                steps.append(self._update(turn, optimizer, figures))
        return Step(
            {name: value for step in steps for name, value in step.figures.items()},
            next((step.bad for step in steps if step.bad), None),
        )

    @torch.no_grad()
    def val_step(self, batch: Batch) -> dict[str, Any]:
        """The objective's figures for a batch, with the averaged model: numbers, and arrays of them."""
        self.averaged.eval()
        with self.fabric.autocast():
            figures: dict[str, Tensor] = self.averaged(self.fabric.to_device(batch))
        scalars, tensors = _parted(figures)
        arrays = {name: value.double().cpu().numpy() for name, value in tensors.items()}
        return {**dict(zip(scalars, torch.stack(list(scalars.values())).tolist(), strict=True)), **arrays}

    def begin(self, epoch: int) -> None:
        """Tell the objective how many epochs are done."""
        self.objective.epoch = self.averaged.epoch = epoch

    def averaged_weights(self) -> dict[str, Tensor]:
        """The exponential moving average of the model's weights, on the CPU."""
        state = self._average.module.state_dict()
        return {name: value.detach().cpu().contiguous() for name, value in state.items()}

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, but for generators of random numbers: no frozen part."""
        trained = {turn.part: self.objective.get_submodule(turn.part) for turn in self.objective.turns}
        return {
            "trained": {name: part.state_dict() for name, part in trained.items()},
            "average": self._average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "scaler": self._scaler.state_dict() if self._scaler else {},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        for name, content in state["trained"].items():
            self.objective.get_submodule(name).load_state_dict(content)
        self._average.load_state_dict(state["average"])
        for optimizer, content in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(content)
        if self._scaler and state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])

    def _alone(self, turn: Turn) -> None:
        """Let a turn's backward reach no weights but its own."""
        if len(self.objective.turns) > 1:
            self.objective.requires_grad_(False)
            self.objective.get_submodule(turn.part).requires_grad_(True)

    def _backward(self, turn: Turn, shares: Sequence[Share]) -> dict[str, Tensor]:
        """Sum up the gradients; returns figures over the whole batch.

        A loss that is not finite makes its gradient so, in every process: one check serves both.
        """
        keywords = {"turn": turn.part} if len(self.objective.turns) > 1 else {}
        totals: dict[str, Tensor] = {}
        for number, share in enumerate(shares, 1):
            with self.fabric.no_backward_sync(self.module, enabled=number < len(shares)):
                figures = self.module(self.fabric.to_device(share.batch), **keywords)
                loss = figures["loss"] * (share.weight * self.fabric.world_size)
                self.fabric.backward(loss * (1 + 0 * loss.detach()))
            for name, value in figures.items():
                totals[name] = totals.get(name, 0) + share.weight * value.detach()
        if self.fabric.world_size > 1:
            flat = torch.cat([value.flatten() for value in totals.values()])
            summed = torch.as_tensor(self.fabric.all_reduce(flat, reduce_op="sum"))
            parts = torch.split(summed, [value.numel() for value in totals.values()])
            totals = {name: part.view_as(totals[name]) for name, part in zip(totals, parts, strict=True)}
        return totals

    def _update(self, turn: Turn, optimizer: Any, figures: dict[str, Tensor]) -> Step:
        parameters = dict(self.objective.get_submodule(turn.part).named_parameters(turn.part))
        gradients = [parameter.grad for parameter in parameters.values() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        finite = math.isfinite(norm)
        if finite:
            norm = torch.as_tensor(self.fabric.clip_gradients(self.module, optimizer, max_norm=self._clip))
        if finite or self._scaler:  # which skips the step itself, and lowers its scale
            optimizer.step()
        scalars, tensors = _parted(figures)
        if finite and turn.part == "model":
            scalars |= self.objective.learn(tensors)
            self._average.update_parameters(self.objective.model)
        measured = torch.stack([*scalars.values(), norm]).tolist()
        prefix = "" if turn == self.objective.turns[0] else f"{turn.part}_"
        named = dict(zip((prefix + name for name in [*scalars, "gradient_norm"]), measured, strict=True))
        return Step(named, None if finite else _first_bad(named, parameters))


def _parted(figures: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Scalars, and tensors of several numbers."""
    parts: tuple[dict[str, Tensor], dict[str, Tensor]] = {}, {}
    for name, value in figures.items():
        parts[value.ndim > 0][name] = value
    return parts


def _with_model(objective: Objective, model: torch.nn.Module) -> Objective:
    """The same objective, all else shared, judging another model."""
    other = copy(objective)
    other._modules = {**objective._modules, "model": model}
    return other


def _first_bad(figures: dict[str, float], parameters: Mapping[str, Tensor]) -> str:
    """What was not finite: the figures that were not, else a gradient."""
    bad = [name for name, value in figures.items() if not math.isfinite(value)]
    if len(bad) > 1:
        return ", ".join(name for name in bad if not name.endswith("gradient_norm"))
    for name, parameter in parameters.items():
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
            return f"the gradient of {name}"
    return "the norm of the gradient"


def _ema(decay: float) -> Any:
    """Exponential moving average: after a first copy its decay grows from 2/11 to `decay`."""

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        ramp = (1 + count.item()) / (10 + count.item())
        torch._foreach_lerp_(averaged, current, 1 - min(decay, ramp))

    return update
