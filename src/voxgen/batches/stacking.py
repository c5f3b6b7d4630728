"""Items to a batch: what each of them holds by name, stacked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Item = Mapping[str, NDArray[Any] | np.generic]


def stacked(items: Sequence[Item]) -> dict[str, Tensor]:
    """Arrays (...) of one name as a tensor (B, ...); numbers as (B,)."""
    return {name: torch.from_numpy(np.stack([item[name] for item in items])) for name in items[0]}
