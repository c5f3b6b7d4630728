"""How many voxels become one, from level to level of a network and from volumes to latents: numbers alone."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import eq

Factors = tuple[int, int, int]  # along x, y, z

HALVED: Factors = (2, 2, 2)
THIN = 8  # voxels of an axis that are folded whole, at most
LEAST, USUAL, MOST = 8, 16, 32  # voxels along an axis of a latent that is recommended


def steps_between(levels: int, factors: Sequence[int | Sequence[int]] | None) -> tuple[Factors, ...]:
    """The factors of each step between levels, of which `factors` has one number for all axes or three.

    None: the axes are halved.
    """
    if factors is None:
        return (HALVED,) * (levels - 1)
    along = ((step, step, step) if isinstance(step, int) else step for step in factors)
    return tuple((x, y, z) for x, y, z in along)


def in_all(shape: Sequence[int], stem: Sequence[int], steps: Sequence[Factors]) -> Factors:
    """Voxels of volumes (X, Y, Z) per voxel of their latents; an axis that the stem folds whole stays so."""
    x, y, z = (
        fold if size == fold else fold * math.prod(step[axis] for step in steps)
        for axis, (size, fold) in enumerate(zip(shape, stem, strict=True))
    )
    return x, y, z


def stem_of_itself(shape: Sequence[int]) -> Factors:
    """The stem of volumes (X, Y, Z) where none is given: 2 voxels, and all of a thin axis."""
    x, y, z = (size if size <= _thin(shape) else 2 for size in shape)
    return x, y, z


@dataclass(frozen=True)
class Recommended:
    """A stem, and the factors of each step between levels."""

    stem: Factors
    steps: tuple[Factors, ...]

    def __str__(self) -> str:
        """As in a config."""
        steps = [step[0] if len(set(step)) == 1 else list(step) for step in self.steps]
        return f"stem: {list(self.stem)}, factors: {steps}"


def recommended(
    shape: Sequence[int], levels: int, further: int = 1, patch: Sequence[int] | None = None
) -> Recommended | None:
    """What makes latents of 8 to 32 voxels along each axis of volumes (X, Y, Z), and 1 along thin ones.

    Of all that divide the volumes, and patches where there are, and leave multiples of `further`, it is the
    same along the axes where it can be, then made of 2, then nearest to latents of 16 voxels.

    Returns:
        None where an axis has no such factor.
    """
    choices = [
        [size] if size <= _thin(shape) and size == seen else _suiting(size, seen, further)
        for size, seen in zip(shape, patch or shape, strict=True)
    ]
    chosen = min(itertools.product(*choices), key=lambda totals: _cost(shape, totals), default=None)
    if chosen is None:
        return None
    split = [
        _split(total, levels, folded) for total, folded in zip(chosen, map(eq, chosen, shape), strict=True)
    ]
    (x, y, z), *steps = zip(*split, strict=True)
    alike = [tuple(factor or max(*step, 1) for factor in step) for step in steps]
    return Recommended((x, y, z), tuple((x, y, z) for x, y, z in alike))


def _thin(shape: Sequence[int]) -> int:
    """Voxels along a thin axis, at most."""
    return min(THIN, max(shape) // 4)


def _suiting(size: int, seen: int, further: int) -> list[int]:
    """Factors in all along an axis; all of a short one where there are none."""
    latents = [latent for latent in range(min(LEAST, size), MOST + 1) if latent % further == 0]
    factors = [size // latent for latent in latents if size % latent == 0]
    suiting = [factor for factor in factors if seen % factor == 0]
    return suiting or [size] * (size == seen <= LEAST)


def _cost(shape: Sequence[int], totals: Sequence[int]) -> tuple[float, ...]:
    """What is worst in factors, the first first."""
    shrunk = [(size, total) for size, total in zip(shape, totals, strict=True) if size != total]
    odd = sum(total & (total - 1) > 0 for _, total in shrunk)
    far = sum(abs(math.log2(size / total / USUAL)) for size, total in shrunk)
    return len({total for _, total in shrunk}), odd, far


def _split(total: int, levels: int, folded: bool) -> list[int]:
    """The factor of the stem, 2 where enough is left for the steps, and of each step, the largest first.

    Of an axis that the stem folds whole the others' steps will do, and 0 stands in their places.
    """
    if folded or levels == 1:
        return [total] + [0] * (levels - 1)
    primes = _primes(total)
    stem = primes.pop(0) if primes[:1] == [2] and len(primes) >= levels else 1
    steps = [1] * (levels - 1)
    for prime in reversed(primes):
        steps[steps.index(min(steps))] *= prime
    return [stem, *sorted(steps, reverse=True)]


def _primes(number: int) -> list[int]:
    """The prime factors, the smallest first."""
    for prime in range(2, math.isqrt(number) + 1):
        if number % prime == 0:
            return [prime, *_primes(number // prime)]
    return [number] if number > 1 else []
