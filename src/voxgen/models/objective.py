"""What a training minimises: the interface between the loop and the networks."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn


class Objective(nn.Module):
    """A loss with all that it needs; `model` is what is averaged, judged and kept.

    `forward(*batch)` returns scalars that are means over the items of a batch, with the key "loss".

    `turns` names the submodules that are trained, each by an optimiser of its own, in the order in which
    they step. Where there are several, `forward` takes the keyword `turn` and returns that one's loss, as a
    generator and its discriminator need it; other figures are then detached.
    """

    model: Any
    turns: ClassVar[tuple[str, ...]] = ("model",)

    def health(self, figures: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
        """More figures for the history, and warnings, from a validation's figures."""
        return {}, []
