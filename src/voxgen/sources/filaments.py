"""Simulated localisation microscopy of bent filaments with known truth.

A filament is a worm-like chain: its tangent diffuses on the unit sphere, so that
<t(s) . t(0)> = exp(-s / persistence) (Kratky and Porod 1949, Rec. Trav. Chim. 68:1106). It grows both ways
from a uniform start until it leaves the box. Localisations lie uniformly along it on the surface of the
tubule, with Gaussian errors, and a share of clutter is uniform in the box.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.randomness import generator
from voxgen.settings.synthetic import Synthetic

Array = NDArray[np.float64]

BATCH = 64
ROUNDS = 1000


@dataclass(frozen=True)
class Simulated:
    """One cloud with its truth.

    Attributes:
        points: localisations (P, 3) [nm], float32, 0 <= coordinate < box.
        filaments: number of filaments.
        length: their total length inside the box [nm].
        width: diameter of the tubules [nm].
    """

    points: NDArray[np.float32]
    filaments: int
    length: float
    width: float


def simulate_filaments(settings: Synthetic, seed: int, index: int) -> Iterator[Simulated]:
    """Yield the `settings.clouds` clouds of raw file `index`; cloud i depends on (seed, index, i) alone.

    Raises:
        InputError: the localisation errors or the diameter hardly ever leave a point inside the box.
    """
    for first in range(0, settings.clouds, BATCH):
        clouds = range(first, min(first + BATCH, settings.clouds))
        rngs = [generator(seed, "filaments", index, cloud) for cloud in clouds]
        counts = [int(rng.integers(settings.filaments[0], settings.filaments[1] + 1)) for rng in rngs]
        paths, lengths, step = _grow(settings, rngs, counts)
        ends = 2 * np.cumsum([0, *counts])
        for rng, count, low, high in zip(rngs, counts, ends[:-1], ends[1:], strict=True):
            points = _localise(settings, rng, paths[low:high], lengths[low:high], step)
            yield Simulated(points, count, float(lengths[low:high].sum()), settings.diameter)


def worm_like_chains(starts: Array, tangents: Array, noise: Array, step: float, persistence: float) -> Array:
    """Paths (H, S + 1, 3) of worm-like chains from `starts` (H, 3) along unit `tangents` (H, 3).

    `noise` (H, S, 3) is standard normal. Each step turns the tangent by a Gaussian angle of variance
    step / persistence in each of the two directions across it.
    """
    paths = np.empty((len(starts), noise.shape[1] + 1, 3))
    paths[:, 0] = starts
    for i in range(noise.shape[1]):
        paths[:, i + 1] = paths[:, i] + step * tangents
        turn = _across(noise[:, i], tangents) * np.sqrt(step / persistence)
        angle = np.linalg.norm(turn, axis=1, keepdims=True)
        tangents = np.cos(angle) * tangents + np.sinc(angle / np.pi) * turn
        tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    return paths


def _grow(
    settings: Synthetic, rngs: list[np.random.Generator], counts: list[int]
) -> tuple[Array, Array, float]:
    """Half filaments of all clouds, in order: paths (H, S + 1, 3), lengths in the box (H,), step [nm]."""
    box = np.asarray(settings.box)
    diagonal = float(np.linalg.norm(box))
    step = max(min(settings.persistence / 50, diagonal / 200), diagonal / 2000)
    steps = int(np.ceil(diagonal / step))
    starts, tangents, noise = [], [], []
    for rng, count in zip(rngs, counts, strict=True):
        starts.append(np.repeat(rng.random((count, 3)) * box, 2, axis=0))
        direction = rng.standard_normal((count, 3)) * box
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        tangents.append(np.stack([direction, -direction], axis=1).reshape(-1, 3))
        noise.append(rng.standard_normal((2 * count, steps, 3)))
    joined = [np.concatenate(parts) for parts in (starts, tangents, noise)]
    paths = worm_like_chains(joined[0], joined[1], joined[2], step, settings.persistence)
    return paths, _lengths_inside(paths, box, step), step


def _lengths_inside(paths: Array, box: Array, step: float) -> Array:
    """Length (H,) of each path until it first crosses a face of the box."""
    outside = np.any((paths < 0) | (paths >= box), axis=2)
    leaves = outside.any(axis=1)
    last = np.where(leaves, outside.argmax(axis=1) - 1, paths.shape[1] - 2)
    rows = np.arange(len(paths))
    before, after = paths[rows, last], paths[rows, last + 1]
    room = np.where(after < before, before, box - before)
    share = np.min(room / np.maximum(np.abs(after - before), 1e-12 * box), axis=1)
    return np.asarray(step * (last + np.where(leaves, np.clip(share, 0, 1), 1.0)))


def _localise(
    settings: Synthetic, rng: np.random.Generator, paths: Array, lengths: Array, step: float
) -> NDArray[np.float32]:
    """Localisations (P, 3) of one cloud, in random order."""
    box = np.asarray(settings.box)
    clutter = round(settings.clutter * settings.points)
    kept = [
        (rng.random((clutter, 3)) * np.nextafter(box.astype(np.float32), np.float32(0))).astype(np.float32)
    ]
    missing = settings.points - clutter
    for _ in range(ROUNDS):
        if not missing:
            break
        drawn = _on_filaments(settings, rng, paths, lengths, step, missing + missing // 4 + 16)
        points = drawn.astype(np.float32)
        inside = points[np.all((points >= 0) & (points < box), axis=1)][:missing]
        kept.append(inside)
        missing -= len(inside)
    if missing:
        raise InputError(
            f"data.synthetic: {missing} of {settings.points} points fell outside the box {settings.box}; "
            f"give a precision (now {settings.precision}) and diameter ({settings.diameter:g}) well below it"
        )
    return rng.permutation(np.concatenate(kept))


def _on_filaments(
    settings: Synthetic, rng: np.random.Generator, paths: Array, lengths: Array, step: float, n: int
) -> Array:
    """`n` localisations (n, 3), uniform along the filaments; some may lie outside the box."""
    ends = np.cumsum(lengths)
    along = rng.random(n) * ends[-1]
    half = np.minimum(np.searchsorted(ends, along, side="right"), len(ends) - 1)
    along = (along - (ends - lengths)[half]) / step
    segment = np.clip(along.astype(int), 0, paths.shape[1] - 2)
    before = paths[half, segment]
    tangent = (paths[half, segment + 1] - before) / step
    centre = before + (along - segment)[:, None] * step * tangent
    across = _across(rng.standard_normal((n, 3)), tangent)
    across *= settings.diameter / 2 / np.linalg.norm(across, axis=1, keepdims=True)
    across_xy, along_z = settings.precision
    errors = rng.standard_normal((n, 3)) * (across_xy, across_xy, along_z)
    return np.asarray(centre + across + errors)


def _across(vectors: Array, tangents: Array) -> Array:
    """The parts of `vectors` (n, 3) perpendicular to unit `tangents` (n, 3)."""
    return np.asarray(vectors - np.sum(vectors * tangents, axis=1, keepdims=True) * tangents)
