"""Where on a process the denoiser is trained: the laws of the times of items.

A law is given the item's generator and its address. All times lie in [0, 1].
"""

from collections.abc import Callable

import numpy as np

from voxgen.models.objective import Address
from voxgen.randomness import generator

GOLDEN = (5**0.5 - 1) / 2


def uniform(draws: np.random.Generator, address: Address) -> float:
    """Each time is as likely."""
    return draws.random()


def logit_normal(draws: np.random.Generator, address: Address) -> float:
    """1 / (1 + exp(-u)), u normal: more in the middle (Esser et al., arXiv 2403.03206, section 3.1)."""
    return float(1 / (1 + np.exp(-draws.standard_normal())))


def stratified(draws: np.random.Generator, address: Address) -> float:
    """frac(u + place * golden ratio), u uniform for each epoch; uniform for each item.

    In place of u + i / n for the i-th of n items (Kingma et al., arXiv 2107.00630, appendix I.1), since any
    run of places of the epoch's order, a batch or a part of one, then has times about as evenly apart.
    """
    offset = generator(address.seed, f"{address.purpose}-times", address.epoch).random()
    return float((offset + address.place * GOLDEN) % 1)


TIMES: dict[str, Callable[[np.random.Generator, Address], float]] = {
    "uniform": uniform,
    "logit_normal": logit_normal,
    "stratified": stratified,
}
