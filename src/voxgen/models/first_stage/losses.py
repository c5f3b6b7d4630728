"""The terms of a first stage's loss, each a pure function, and their weighted sum.

Shapes: B batch, C channels, X Y Z grid, x y z latent axes.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def weighted_l1(r_BCXYZ: Tensor, x_BCXYZ: Tensor, foreground: float) -> Tensor:
    """Mean absolute error, where a voxel of intensity x weighs 1 + (foreground - 1) min(max(x, 0), 1)."""
    weight = 1 + (foreground - 1) * x_BCXYZ.clamp(0, 1)
    return (weight * (r_BCXYZ - x_BCXYZ).abs()).mean()


def kl_divergence(mean_BCxyz: Tensor, std_BCxyz: Tensor) -> Tensor:
    """Divergence (C,) of N(mean, std^2) from N(0, 1) per element of each latent channel, in nats.

    Eq. 10 of Kingma and Welling, Auto-Encoding Variational Bayes (arXiv 1312.6114), averaged.
    """
    variance = std_BCxyz.square()
    return 0.5 * (mean_BCxyz.square() + variance - 1 - variance.log()).mean((0, 2, 3, 4))


def summed(terms: Mapping[str, Tensor], losses: Mapping[str, Mapping[str, Any]]) -> dict[str, Tensor]:
    """The terms with "loss", their sum weighted by what the settings `losses` say of each."""
    first, *others = (losses[name]["weight"] * term for name, term in terms.items())
    return {"loss": sum(others, start=first), **terms}
