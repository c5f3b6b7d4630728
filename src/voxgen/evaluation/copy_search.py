"""The search for copies of train volumes among samples.

Shapes: N samples or test volumes, M train volumes in all of their views, F features.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.batches.views import View
from voxgen.evaluation.metric_table import MEMORISED
from voxgen.evaluation.volume_streams import Batch
from voxgen.metrics.bootstrap import Estimate, proportion
from voxgen.metrics.memorisation import closeness, copies_test, nearest, pooled
from voxgen.metrics.permutation import corrected, p_value, permuted, word_p
from voxgen.models.codec import Codec
from voxgen.randomness import generator
from voxgen.volumes.intensity import Intensity

Features = NDArray[np.float32]
Array = NDArray[np.float64]

QUANTILE = 0.01  # of real volumes: samples that are closer to one train volume count as memorised
REAL = 400  # train volumes that are held against the others, at most
DRAWN = 6  # pairs kept for the figure


@dataclass(frozen=True)
class Space:
    """A space in which neighbours are looked for: what is in it, and where each train volume lies.

    `train_MF` holds every train volume in every allowed view, `named` the id and view of each.
    """

    label: str
    train_MF: Features
    named: Sequence[tuple[str, int]]
    features: Callable[[Batch], Features]


def span_latents(
    means: Iterable[NDArray[np.floating]], rows: Iterable[Mapping[str, str]], codec: Codec
) -> Space:
    """The space of whitened latents; `rows` are those of the train latents' index.

    Volumes are encoded as the train volumes were: under the autoencoder's own intensity law.
    """
    law = codec.autoencoder.intensity
    whitened = [codec.whitening.whiten(mean.astype(np.float32)) for mean in means]
    return Space(
        "whitened latents",
        np.concatenate([mean.reshape(len(mean), -1) for mean in whitened]),
        [(row["id"], int(row["view"])) for row in rows],
        lambda batch: codec.encode(law.to_network(batch[1])).reshape(len(batch[0]), -1),
    )


def span_voxels(train: Iterable[Batch], allowed: Sequence[View], law: Intensity, longest: int) -> Space:
    """The space of volumes pooled to `longest` voxels along their longest axis."""

    def features(batch: Batch) -> Features:
        return np.stack([pooled(x, longest).ravel() for x in law.to_network(batch[1])])

    found: list[Features] = []
    named: list[tuple[str, int]] = []
    for ids, counts_BXYZ in train:
        for one, x in zip(ids, law.to_network(counts_BXYZ), strict=True):
            small = pooled(x, longest)
            found += [view(small).ravel() for view in allowed]
            named += [(one, number) for number in range(len(allowed))]
    return Space(f"voxels, pooled to {longest} along the longest axis", np.stack(found), named, features)


def search_copies(
    spaces: Mapping[str, Space],
    samples: Iterable[Batch],
    test: Iterable[Batch],
    confidence: float,
    permutations: int,
    seed: int,
) -> dict[str, Any]:
    """The share of memorised samples in each space, whether chance explains it, and the nearest pairs."""
    ids, drawn = _locate(spaces, samples)
    _, tested = _locate(spaces, test)
    found = {
        name: _hold(space, ids, drawn[name], tested[name], confidence, seed) for name, space in spaces.items()
    }
    values = {
        name: permuted(copies_test(np.append(one.samples_N, one.real_R)), *one.sizes, permutations, seed)
        for name, one in found.items()
    }
    for name, p in corrected(values).items():
        content = found[name].content
        effect = Estimate.from_json(content["share"]).text("%")
        content["test"] = {"p": p_value(values[name]), "corrected": p, "effect": effect}
        content["finding"] += f" ({word_p(p)})"
    return {"quantile": QUANTILE, "spaces": {name: one.content for name, one in found.items()}}


def _locate(spaces: Mapping[str, Space], batches: Iterable[Batch]) -> tuple[list[str], dict[str, Features]]:
    """The ids of all volumes, and their features in each space; every volume is read once."""
    ids: list[str] = []
    parts: dict[str, list[Features]] = {name: [] for name in spaces}
    for batch in batches:
        ids += batch[0]
        for name, space in spaces.items():
            parts[name].append(space.features(batch))
    return ids, {name: np.concatenate(found) for name, found in parts.items()}


@dataclass(frozen=True)
class _Held:
    """Closeness of samples and of real volumes to the train volumes, and what is written of it."""

    samples_N: Array
    real_R: Array
    content: dict[str, Any]

    @property
    def sizes(self) -> tuple[int, int]:
        return len(self.samples_N), len(self.real_R)


def _hold(
    space: Space, ids: Sequence[str], samples_NF: Features, test_NF: Features, confidence: float, seed: int
) -> _Held:
    volumes = np.array([one for one, _ in space.named])
    drawn = nearest(samples_NF, space.train_MF, volumes)
    tested = nearest(test_NF, space.train_MF, volumes)
    own = _choose(space, seed)
    others = nearest(space.train_MF[own], space.train_MF, volumes, volumes[own])
    near, real = closeness(drawn.distance), np.append(*(closeness(one.distance) for one in (tested, others)))
    limit = float(np.quantile(real, QUANTILE, method="weibull"))
    share = proportion((near < limit).astype(np.float64), confidence)
    pairs = []
    for i in np.argsort(near, kind="stable")[:DRAWN]:
        train, view = space.named[drawn.index[i, 0]]
        pair = {"sample": ids[i], "train": train, "view": view}
        pairs.append({**pair, "distance": float(drawn.distance[i, 0]), "ratio": float(near[i])})
    finding = (
        f"{space.label}: {share.text('%')} of the samples lie closer to one train volume than all but "
        f"{100 * QUANTILE:g} % of {len(real)} real volumes do"
    )
    content = {
        **MEMORISED.to_json(),
        "label": space.label,
        "share": share.to_json(),
        "expected": max(QUANTILE, 1 / (len(real) + 1)),
        "threshold": limit,
        "median_real": float(np.median(real)),
        "median_samples": float(np.median(near)),
        "n_train": len(set(volumes)),
        "n_real": len(real),
        "pairs": pairs,
        "finding": finding,
    }
    return _Held(near, real, content)


def _choose(space: Space, seed: int) -> NDArray[np.intp]:
    """Some train volumes, as they are, that are held against the others."""
    own = np.flatnonzero([view == 0 for _, view in space.named])
    return np.sort(generator(seed, "copies").permutation(own)[:REAL])
