"""Muon: a step turns each matrix of weights as far as it can in all its directions; AdamW steps the others.

A convolution's kernel (O, I, X, Y, Z) is a matrix of O rows. Tables, such as embeddings, have rows that
belong to one token each: AdamW steps them too, as Muon's authors advise.

Shapes: N matrices of one shape, R rows, C columns.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.adamw import adamw

MOMENTUM = 0.95
ADAMW: dict[str, Any] = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": False, "maximize": False}
RMS = 0.2  # of a step's elements at a learning rate of 1, about that of AdamW's
LEAST = 8  # rows and columns of a matrix: fewer directions than that say little
NEWTON_SCHULZ = 3.4445, -4.7750, 2.0315
ITERATIONS = 5


class Muon(Optimizer):
    """Nesterov's momentum, made orthogonal (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

    Steps have the size of AdamW's and one learning rate serves both (Liu et al., arXiv 2502.16982, section
    2.2). torch's own Muon takes no kernels and computes in bf16, which most CPUs do not have.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        learning_rate: float,
        weight_decay: float,
        tables: Iterable[Parameter] = (),
    ) -> None:
        groups: list[dict[str, Any]] = [{"params": [], "matrices": True}, {"params": [], "matrices": False}]
        apart = {id(table) for table in tables}
        for parameter in parameters:
            turned = is_matrix(parameter) and id(parameter) not in apart
            groups[0 if turned else 1]["params"].append(parameter)
        super().__init__(groups, {"lr": learning_rate, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step along the gradients that there are."""
        for group in self.param_groups:
            stepped = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not stepped:
                continue
            take = self._turn if group["matrices"] else self._adamw
            take(stepped, [parameter.grad for parameter in stepped], group["lr"], group["weight_decay"])

    def _turn(self, parameters: list[Tensor], gradients: list[Tensor], rate: float, decay: float) -> None:
        momenta = [self._kept(parameter, "momentum") for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        ahead = torch._foreach_lerp(gradients, momenta, MOMENTUM)
        if decay:
            torch._foreach_mul_(parameters, 1 - rate * decay)
        alike = _of_one_shape(parameters)
        stacks = orthogonal([torch.stack([ahead[i].flatten(1) for i in numbers]) for numbers in alike])
        for numbers, direction_NRC in zip(alike, stacks, strict=True):
            direction_NRC *= -rate * RMS * max(direction_NRC.shape[1:]) ** 0.5
            kernels = [parameters[i] for i in numbers]
            torch._foreach_add_(kernels, list(direction_NRC.view(-1, *kernels[0].shape)))

    def _adamw(self, parameters: list[Tensor], gradients: list[Tensor], rate: float, decay: float) -> None:
        for parameter in parameters:
            self.state[parameter].setdefault("step", torch.zeros((), device=parameter.device))
        adamw(
            parameters,
            gradients,
            [self._kept(parameter, "mean") for parameter in parameters],
            [self._kept(parameter, "square") for parameter in parameters],
            [],
            [self.state[parameter]["step"] for parameter in parameters],
            fused=True,
            lr=rate,
            weight_decay=decay,
            **ADAMW,
        )

    def _kept(self, parameter: Tensor, name: str) -> Tensor:
        kept = self.state[parameter]
        if name not in kept:
            kept[name] = torch.zeros_like(parameter)
        value: Tensor = kept[name]
        return value


def is_matrix(parameter: Tensor) -> bool:
    """Whether a parameter is stepped as a matrix: it has at least 8 rows and columns."""
    return parameter.ndim > 1 and min(len(parameter), parameter[0].numel()) >= LEAST


def orthogonal(stacks: Sequence[Tensor]) -> list[Tensor]:
    """Matrices with the directions of those in each of `stacks` (N, R, C), and singular values near 1.

    Five iterations of a matrix X to a X + b (X X') X + c (X X')^2 X take all but tiny ones to 0.7 to 1.2.
    They are made on X X', which is small and has one size for all matrices of one smaller side.
    """
    wide = [x if x.shape[1] <= x.shape[2] else x.mT for x in stacks]
    wide = [x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7) for x in wide]
    turned = list(wide)
    for side in {x.shape[1] for x in wide}:
        alike = [i for i, x in enumerate(wide) if x.shape[1] == side]
        products = _iterated(torch.cat([wide[i] @ wide[i].mT for i in alike]))
        parts = torch.split(products, [len(wide[i]) for i in alike])
        for i, product in zip(alike, parts, strict=True):
            turned[i] = product @ wide[i]
    pairs = zip(turned, stacks, strict=True)
    return [(y if y.shape == x.shape else y.mT).contiguous() for y, x in pairs]


def _iterated(gram_NRR: Tensor) -> Tensor:
    """What the iterations multiply matrices with, from their X X'."""
    a, b, c = NEWTON_SCHULZ
    product: Tensor | None = None
    for left in reversed(range(ITERATIONS)):
        factor = torch.baddbmm(gram_NRR, gram_NRR, gram_NRR, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        product = factor if product is None else factor @ product
        if left:
            gram_NRR = factor @ gram_NRR @ factor
    assert product is not None
    return product


def _of_one_shape(parameters: list[Tensor]) -> list[list[int]]:
    """The numbers of the parameters, those of one shape together."""
    alike: dict[torch.Size, list[int]] = {}
    for i, parameter in enumerate(parameters):
        alike.setdefault(parameter.shape, []).append(i)
    return list(alike.values())
