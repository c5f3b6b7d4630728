"""Addressed randomness: every draw comes from a generator keyed by (seed, purpose, index).

No draw depends on how many were made before it, so noise and data order are the same for any batch
size, shard or process count, and a resumed training needs no generator state.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray


def generator(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """Return the NumPy generator of one address.

    `purpose` names what is drawn ("noise", "order"); `index` says which one (epoch, item, ...).
    """
    address = f"{seed}/{purpose}/{'/'.join(map(str, index))}".encode()
    key = int.from_bytes(hashlib.blake2b(address, digest_size=16).digest(), "big")
    return np.random.Generator(np.random.Philox(key=key))


def normal(shape: tuple[int, ...], seed: int, purpose: str, *index: int) -> NDArray[np.float32]:
    """Standard normal noise of `shape` (float32) at one address."""
    return generator(seed, purpose, *index).standard_normal(shape, dtype=np.float32)


def order(items: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The items of an epoch of a training in their order."""
    return generator(seed, "order", epoch).permutation(items)
