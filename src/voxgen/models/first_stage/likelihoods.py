"""What a decoder's output says of a volume: its values themselves, or the log rate of its counts.

Shapes: B batch, C channels, X Y Z grid.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from voxgen.errors import InputError
from voxgen.volumes.intensity import Intensity

COUNTS = "poisson"
LARGEST = 24 * math.log(2)  # log rate: beyond 2**24 float32 skips whole numbers, and more soon overflows
# a law on the exponential of a log rate, and the inverse of a law
TORCH_LAWS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "linear": (torch.exp, torch.positive),
    "log1p": (F.softplus, torch.expm1),
}


class Likelihood(ABC):
    """How volumes in the network's range, made from stored ones by a law, follow from a decoder's output."""

    @abstractmethod
    def expected(self, decoded_BCXYZ: Tensor) -> Tensor:
        """The mean of the volumes that the output stands for, in the network's range."""

    @abstractmethod
    def terms(self, decoded_BCXYZ: Tensor, x_BCXYZ: Tensor) -> dict[str, Tensor]:
        """What the output costs, as terms of the loss by name, if that is not for the settings to say."""


@final
class IntensityLikelihood(Likelihood):
    """The output is the volume; what it costs is for the settings to say."""

    def __init__(self, law: Intensity) -> None:
        pass

    def expected(self, decoded_BCXYZ: Tensor) -> Tensor:
        return decoded_BCXYZ

    def terms(self, decoded_BCXYZ: Tensor, x_BCXYZ: Tensor) -> dict[str, Tensor]:
        return {}


@final
class PoissonLikelihood(Likelihood):
    """The output is the log of each voxel's rate, of which its count is a Poisson draw.

    Raises:
        InputError: the law is that of volumes that are no counts.
    """

    def __init__(self, law: Intensity) -> None:
        if law.law not in TORCH_LAWS:
            raise InputError(
                f"autoencoder: likelihood {COUNTS} of volumes under the intensity law {law.law}, expected "
                f"that of counts ({' or '.join(TORCH_LAWS)}); set likelihood: null"
            )
        self._of_log_rate, self._inverse = TORCH_LAWS[law.law]
        self._divisor = law.divisor

    def expected(self, decoded_BCXYZ: Tensor) -> Tensor:
        """The rate, as the law takes counts to the network's range."""
        return self._of_log_rate(_bounded(decoded_BCXYZ)) / self._divisor

    def terms(self, decoded_BCXYZ: Tensor, x_BCXYZ: Tensor) -> dict[str, Tensor]:
        return {"deviance": poisson_deviance(decoded_BCXYZ, self.counts(x_BCXYZ))}

    def counts(self, x_BCXYZ: Tensor) -> Tensor:
        """The whole counts behind volumes in the network's range; exact up to 100,000."""
        return self._inverse(x_BCXYZ.float() * self._divisor).round()


LIKELIHOODS: dict[str | None, Callable[[Intensity], Likelihood]] = {
    None: IntensityLikelihood,
    COUNTS: PoissonLikelihood,
}


def poisson_deviance(log_rate_BCXYZ: Tensor, counts_BCXYZ: Tensor) -> Tensor:
    """Mean over voxels of 2 (k log(k / rate) - k + rate) for counts k; 0 where each rate is its count.

    Twice the negative log-likelihood in nats, less that of the best rates: McCullagh and Nelder, Generalized
    Linear Models, 2nd ed. (1989), table 2.1.
    """
    misfit = F.poisson_nll_loss(_bounded(log_rate_BCXYZ), counts_BCXYZ, log_input=True, full=False)
    return 2 * (misfit - (counts_BCXYZ - torch.xlogy(counts_BCXYZ, counts_BCXYZ)).mean())


def drawn_counts(rate_XYZ: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Counts (X, Y, Z), each a Poisson draw of its rate [counts].

    One uniform number per voxel is taken through the inverse of the distribution: rates that differ by
    rounding, as those of other batches do, then give the same counts in all but very few voxels.
    """
    from scipy.stats import poisson  # slow to import

    uniform_XYZ, rate_XYZ = rng.random(rate_XYZ.shape), rate_XYZ.astype(np.float64)
    some_XYZ = uniform_XYZ > np.exp(-rate_XYZ)  # few: the others have no count
    counts_XYZ = np.zeros(rate_XYZ.shape, np.float32)
    counts_XYZ[some_XYZ] = poisson.ppf(uniform_XYZ[some_XYZ], rate_XYZ[some_XYZ])
    return counts_XYZ


def _bounded(log_rate_BCXYZ: Tensor) -> Tensor:
    return log_rate_BCXYZ.float().clamp(max=LARGEST)
