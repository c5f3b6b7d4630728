"""What a training minimises: the interface between the loop and the networks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from voxgen.randomness import generator

Batch = Mapping[str, Tensor]
Draws = dict[str, NDArray[Any] | np.generic]
Purpose = Literal["train", "validation"]


@dataclass(frozen=True)
class Turn:
    """A submodule that is trained by an optimiser of its own; the first of an objective's turns steps first.

    Attributes:
        part: its name.
        learning_rate: its peak; None: that of the settings.
        first_epoch: it rests in the epochs before.
    """

    part: str
    learning_rate: float | None = None
    first_epoch: int = 0


class Address:
    """Where the random draws of one item in one epoch of a training or a validation come from.

    `place` is the item's in the order of the epoch, whose runs are batches.
    """

    def __init__(self, seed: int, purpose: Purpose, epoch: int, item: int, place: int = 0) -> None:
        self.seed, self.purpose, self.epoch, self.item, self.place = seed, purpose, epoch, item, place
        self._generators: dict[str, np.random.Generator] = {}

    def generator(self, name: str) -> np.random.Generator:
        """The generator of this name, which goes on where it was left."""
        if name not in self._generators:
            made = generator(self.seed, f"{self.purpose}-{name}", self.epoch, self.item)
            self._generators[name] = made
        return self._generators[name]


class Objective(nn.Module, ABC):
    """A loss with all that it needs. Its submodule `model` is what is averaged, judged and kept.

    Attributes:
        turns: what is trained. Where there are several, `forward` takes the keyword `turn`, the name of a
            part, and returns that one's loss, as a generator and its discriminator need it; other figures are
            then detached.
        tables: parts of a vector per token or position, and none that takes vectors to others: embeddings, a
            last layer. Their steps are not those of matrices.
        epoch: the epochs that are done; the loop sets it.
        coupled: items among which draws change places; None: each item has its own.
    """

    model: Any
    tables: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = (Turn("model"),)
    epoch = 0
    coupled: int | None = None

    @abstractmethod
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Figures that are means over the items of a batch: scalars, with the key "loss".

        Tensors among them are for `learn` and `health`, without a gradient.
        """

    def draws(self, shape: tuple[int, ...], address: Address) -> Draws:
        """What `forward` needs of random numbers for one item of `shape`, by its name in the batch."""
        return {}

    def partners(self, seen: Sequence[NDArray[Any]], draws: Sequence[Draws]) -> NDArray[np.int64]:
        """For each of `coupled` items, of which this is seen and drawn, whose draws it is given."""
        return np.arange(len(seen))

    def learn(self, seen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Change `model` by what a good step of it has seen, as no gradient does; returns more scalars.

        `seen` are the tensors of `forward`, over all items of the step, in all processes alike.
        """
        return {}

    def health(self, figures: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
        """More figures for the history, and warnings, from a validation's figures, its tensors as arrays."""
        return {}, []

    @property
    def active(self) -> list[Turn]:
        """The turns that do not rest in this epoch."""
        return [turn for turn in self.turns if self.epoch >= turn.first_epoch]
