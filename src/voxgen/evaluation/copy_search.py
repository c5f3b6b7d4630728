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
from voxgen.metrics.bootstrap import proportion
from voxgen.metrics.memorisation import closest, memorised, nearest, pooled, threshold
from voxgen.models.codec import Codec
from voxgen.volumes.intensity import Intensity

Features = NDArray[np.float32]

QUANTILE = 0.01  # of the test volumes' distances: samples below it count as memorised
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
    means: Iterable[NDArray[np.floating]], rows: Iterable[Mapping[str, str]], codec: Codec, law: Intensity
) -> Space:
    """The space of whitened latents; `rows` are those of the train latents' index."""
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
    spaces: Mapping[str, Space], samples: Iterable[Batch], test: Iterable[Batch], confidence: float
) -> dict[str, Any]:
    """The share of memorised samples in each space, what it rests on, and the nearest pairs."""
    ids, drawn = _locate(spaces, samples)
    _, tested = _locate(spaces, test)
    judged = {
        name: _judge(space, ids, drawn[name], tested[name], confidence) for name, space in spaces.items()
    }
    return {"quantile": QUANTILE, "spaces": judged}


def _locate(spaces: Mapping[str, Space], batches: Iterable[Batch]) -> tuple[list[str], dict[str, Features]]:
    """The ids of all volumes, and their features in each space; every volume is read once."""
    ids: list[str] = []
    parts: dict[str, list[Features]] = {name: [] for name in spaces}
    for batch in batches:
        ids += batch[0]
        for name, space in spaces.items():
            parts[name].append(space.features(batch))
    return ids, {name: np.concatenate(found) for name, found in parts.items()}


def _judge(
    space: Space, ids: Sequence[str], samples_NF: Features, test_NF: Features, confidence: float
) -> dict[str, Any]:
    drawn, tested = nearest(samples_NF[None], space.train_MF), nearest(test_NF[None], space.train_MF).distance
    limit = threshold(tested, QUANTILE)
    share = proportion(memorised(drawn.distance, tested, QUANTILE), confidence)
    expected = max(QUANTILE, 1 / (len(tested) + 1))
    pairs = []
    for pair in closest(drawn, DRAWN):
        train, view = space.named[pair.train]
        near = {"sample": ids[pair.sample], "train": train, "view": view, "distance": pair.distance}
        pairs.append({**near, "ratio": pair.distance / limit if limit else None})
    finding = (
        f"{space.label}: {share.text('%')} of the samples lie nearer to a train volume than the "
        f"{100 * QUANTILE:g} % quantile of {len(tested)} test volumes; {100 * expected:.1f} % are expected"
    )
    return {
        **MEMORISED.to_json(),
        "label": space.label,
        "share": share.to_json(),
        "expected": expected,
        "threshold": limit,
        "median_test": float(np.median(tested)),
        "median_samples": float(np.median(drawn.distance)),
        "n_train": len({one for one, _ in space.named}),
        "n_test": len(tested),
        "pairs": pairs,
        "finding": finding,
    }
