"""What first stages are trained on, whatever their kind: terms of the reconstruction and of the latent.

Shapes: B batch, C channels, X Y Z grid.
"""

from abc import abstractmethod

from torch import Tensor, nn

from voxgen.models.first_stage.discriminator import Discriminator, Whole
from voxgen.models.first_stage.losses import Losses, reconstruction_terms, summed
from voxgen.models.objective import Batch, Objective, Turn

Terms = dict[str, Tensor]


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
    def reconstructed(self, batch: Batch) -> tuple[Tensor, Terms, Terms]:
        """Reconstructions (B, 1, X, Y, Z) in fp32, the terms of the latent, and more figures."""

    def forward(self, batch: Batch, turn: str = "model") -> Terms:
        x_BCXYZ = batch["volume"]
        r_BCXYZ, latent_terms, more = self.reconstructed(batch)
        if turn == "discriminator":
            return self.discriminator.figures(r_BCXYZ.detach(), x_BCXYZ)
        terms = reconstruction_terms(r_BCXYZ, x_BCXYZ, self._losses)
        if "perceptual" in self._losses:
            terms["perceptual"] = self.perceptual(r_BCXYZ, x_BCXYZ)
        figures = {**summed({**terms, **latent_terms}, self._losses), **more}
        if len(self.turns) == 1:
            return figures
        detached = {name: value.detach() for name, value in figures.items()}
        if len(self.active) == 1:
            return {**detached, "loss": figures["loss"]}
        objection = self.discriminator.objection(r_BCXYZ)
        weight = self._losses["adversarial"]["weight"] if self.training else 0
        return {**detached, "loss": figures["loss"] + weight * objection, "adversarial": objection.detach()}
