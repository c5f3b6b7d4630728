"""How the items of a step are shared out: over processes, and over time where memory is short."""

import numpy as np
from numpy.typing import NDArray

Items = NDArray[np.int64]


def shares(items: Items, rank: int, processes: int, at_once: int | None) -> list[tuple[Items, float]]:
    """What one process takes of a step's items, at most `at_once` at a time, with weights by their number.

    The weights of all processes sum to 1, so that gradients are those of the whole batch. Every process
    gets as many shares; one that has nothing left takes the first item with weight 0, since all must
    take part in what processes do together.
    """
    most = -(-len(items) // processes)
    rounds = -(-most // (at_once or most))
    mine = np.array_split(np.array_split(items, processes)[rank], rounds)
    return [(part, len(part) / len(items)) if len(part) else (items[:1], 0.0) for part in mine]
