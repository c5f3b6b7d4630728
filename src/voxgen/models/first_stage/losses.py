"""The terms of a first stage's loss, each a pure function, and their weighted sum.

Every term is a mean over items, so that micro-batches give the gradient of a whole batch.

Shapes: B batch, C channels, X Y Z grid, x y z latent axes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Losses = Mapping[str, Mapping[str, Any]]  # what the settings say of each term that is used


def weighted_l1(r_BCXYZ: Tensor, x_BCXYZ: Tensor, foreground: float) -> Tensor:
    """Mean absolute error, where a voxel of intensity x weighs 1 + (foreground - 1) min(max(x, 0), 1)."""
    return (_weight(x_BCXYZ, foreground) * (r_BCXYZ - x_BCXYZ).abs()).mean()


def weighted_mse(r_BCXYZ: Tensor, x_BCXYZ: Tensor, foreground: float) -> Tensor:
    """Mean squared error, with the weights of `weighted_l1`."""
    return (_weight(x_BCXYZ, foreground) * (r_BCXYZ - x_BCXYZ).square()).mean()


def dice_loss(r_BCXYZ: Tensor, x_BCXYZ: Tensor, threshold: float, softness: float) -> Tensor:
    """1 - Dice = 1 - (2 sum(a b) + 1) / (sum(a^2) + sum(b^2) + 1), a and b by `inside`, for each item.

    With squares (Milletari et al., V-Net, arXiv 1606.04797) it is 0 for equal volumes at soft steps too.
    """
    from monai.losses import DiceLoss  # slow to import, and few trainings need it

    dice = DiceLoss(squared_pred=True, smooth_nr=1.0, smooth_dr=1.0)
    loss: Tensor = dice(inside(r_BCXYZ, threshold, softness), inside(x_BCXYZ, threshold, softness))
    return loss


def cl_dice_loss(
    r_BCXYZ: Tensor, x_BCXYZ: Tensor, threshold: float, softness: float, iterations: int
) -> Tensor:
    """1 - soft clDice (Shit et al., arXiv 2003.07311) of what lies `inside`, for each item.

    Skeletons are what is left after peeling voxels off `iterations` times. Equal volumes are at 0 only where
    steps are steep.
    """
    from monai.losses import SoftclDiceLoss

    cl_dice = SoftclDiceLoss(iter_=iterations)
    loss: Tensor = cl_dice(inside(r_BCXYZ, threshold, softness), inside(x_BCXYZ, threshold, softness))
    return loss


def inside(x_BCXYZ: Tensor, threshold: float, softness: float) -> Tensor:
    """How far a voxel counts as inside: 1 / (1 + exp((threshold - x) / softness)), between 0 and 1.

    Its slope ends nowhere, so that a voxel far on the wrong side still learns.
    """
    return torch.sigmoid((x_BCXYZ - threshold) / softness)


def kl_divergence(mean_BCxyz: Tensor, std_BCxyz: Tensor) -> Tensor:
    """Divergence (C,) of N(mean, std^2) from N(0, 1) per element of each latent channel, in nats.

    Eq. 10 of Kingma and Welling, Auto-Encoding Variational Bayes (arXiv 1312.6114), averaged.
    """
    variance = std_BCxyz.square()
    return 0.5 * (mean_BCxyz.square() + variance - 1 - variance.log()).mean((0, 2, 3, 4))


TERMS: dict[str, Callable[..., Tensor]] = {
    "l1": weighted_l1,
    "mse": weighted_mse,
    "dice": dice_loss,
    "cl_dice": cl_dice_loss,
}


def reconstruction_terms(r_BCXYZ: Tensor, x_BCXYZ: Tensor, losses: Losses) -> dict[str, Tensor]:
    """The used ones of `TERMS` between reconstructions and volumes, by name."""
    return {
        name: term(r_BCXYZ, x_BCXYZ, **{key: value for key, value in losses[name].items() if key != "weight"})
        for name, term in TERMS.items()
        if name in losses
    }


def summed(terms: Mapping[str, Tensor], losses: Losses) -> dict[str, Tensor]:
    """The terms with "loss", their sum weighted by what the settings `losses` say of each."""
    first, *others = (losses[name]["weight"] * term for name, term in terms.items())
    return {"loss": sum(others, start=first), **terms}


def _weight(x_BCXYZ: Tensor, foreground: float) -> Tensor:
    return 1 + (foreground - 1) * x_BCXYZ.clamp(0, 1)
