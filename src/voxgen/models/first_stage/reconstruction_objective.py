"""What first stages are trained on, whatever their kind: terms of the reconstruction and of the latent.

Shapes: B batch, C channels, X Y Z grid.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from voxgen.models.first_stage.discriminator import Discriminator, Whole
from voxgen.models.first_stage.losses import Losses, reconstruction_terms, summed
from voxgen.models.objective import Batch, Objective, Turn

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Rebuilt:
    """Items of a batch that have one size.

    Attributes:
        r: reconstructions (B, 1, X, Y, Z), in fp32.
        x: the volumes that they are to be, of the same shape.
        terms: of the loss, beside those that the settings name.
    """

    r: Tensor
    x: Tensor
    terms: Terms = field(default_factory=dict)


class ReconstructionObjective(Objective):
    """Weighted terms; with an adversarial one a discriminator has its turn after the network `model`.

    Until the discriminator begins there is no adversarial term. A validation measures the term, but leaves it
    out of its loss, since a discriminator of another epoch would give another one.
    """

    def __init__(self, network: nn.Module, losses: Losses, whole: Whole) -> None:
        super().__init__()
        self.model = network
        self._losses = losses
        if perception := losses.get("perceptual"):
            from voxgen.models.first_stage.perceptual import PerceptualDistance  # slow to import

            self.perceptual = PerceptualDistance(perception["network"], perception["weights"])
        if adversary := losses.get("adversarial"):
            self.discriminator = Discriminator(adversary, whole)
            turn = Turn("discriminator", adversary["learning_rate"], adversary["warmup_epochs"])
            self.turns = (Turn("model"), turn)

    @abstractmethod
    def reconstructed(self, batch: Batch) -> tuple[list[Rebuilt], Terms, Terms]:
        """What was rebuilt, the terms of the latent, and more figures."""

    def forward(self, batch: Batch, turn: str = "model") -> Terms:
        rebuilt, latent_terms, more = self.reconstructed(batch)
        if turn == "discriminator":
            return over_items(rebuilt, lambda part: self.discriminator.figures(part.r.detach(), part.x))
        terms = over_items(rebuilt, self._terms)
        figures = {**summed({**terms, **latent_terms}, self._losses), **more}
        if len(self.turns) == 1:
            return figures
        detached = {name: value.detach() for name, value in figures.items()}
        if len(self.active) == 1:
            return {**detached, "loss": figures["loss"]}
        objection = over_items(rebuilt, lambda part: {"": self.discriminator.objection(part.r)})[""]
        weight = self._losses["adversarial"]["weight"] if self.training else 0
        return {**detached, "loss": figures["loss"] + weight * objection, "adversarial": objection.detach()}

    def _terms(self, part: Rebuilt) -> Terms:
        terms = reconstruction_terms(part.r, part.x, self._losses)
        if "perceptual" in self._losses:
            terms["perceptual"] = self.perceptual(part.r, part.x)
        return {**terms, **part.terms}


def over_items(parts: Sequence[Rebuilt], figures: Callable[[Rebuilt], Terms]) -> Terms:
    """Means over all items of figures that are means over the items of a part."""
    items = sum(len(part.r) for part in parts)
    each = [(len(part.r) / items, figures(part)) for part in parts]
    return {name: torch.stack([share * one[name] for share, one in each]).sum() for name in each[0][1]}
