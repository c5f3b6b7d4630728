"""Stage evaluate_memorisation: whether samples are copies of train volumes.

Shapes: N samples or test volumes, M train volumes in all of their views, F features.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.batches.views import View, views
from voxgen.evaluation.reading import Batch, stored
from voxgen.io.files import read_json, read_table, write_json
from voxgen.io.latent_shards import read_latents
from voxgen.metrics.bootstrap import proportion
from voxgen.metrics.memorisation import closest, memorised, nearest, pooled, threshold
from voxgen.models.codec import Codec, load_autoencoder
from voxgen.models.folder import refuse_mismatch
from voxgen.models.whitening import Whitening
from voxgen.settings.machine import Machine
from voxgen.volumes.grid import Grid
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.manifest import Split

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
    named: list[tuple[str, int]]
    features: Callable[[Batch], Features]


def evaluate_memorisation(
    samples: Split,
    train: Split,
    test: Split,
    latents: Path,
    scale: Path,
    grid: Path,
    intensity: Path,
    autoencoder: Path,
    scores: Path,
    longest: int,
    confidence: float,
    machine: Machine,
) -> None:
    """Find each sample's nearest train volume, in any allowed view, and count those that lie too near.

    `latents` holds the train split's posterior means in
    all views, `scale` (scale.json) whitens them. `longest` is the longest axis of pooled volumes in voxels,
    `confidence` the coverage of the intervals. Writes `scores` (JSON): for the space of latents and that
    of pooled voxels the share of samples that are nearer to the train split than the 1 % quantile of test
    volumes is, and the nearest pairs.

    Raises:
        InputError: latents and autoencoder do not belong together, or volumes have another grid.
    """
    frame, law = Grid.from_json(read_json(grid)), Intensity.from_json(read_json(intensity))
    config = read_json(latents / "config.json")
    first = load_autoencoder(autoencoder, machine)
    made_with = {"autoencoder": config["made_from"]["autoencoder"]}
    refuse_mismatch(latents, made_with, {"autoencoder": first.digest}, ("autoencoder",))
    codec = Codec(first, Whitening.from_json(read_json(scale)))
    allowed = views(config["flips"], config["rotations"])

    def batches(source: Split) -> Any:
        ids = [row["id"] for row in read_table(source[0])]
        return stored(ids, source[1], frame.shape, machine.batch)

    spaces = {
        "latent": _latent_space(latents, codec, law),
        "voxels": _voxel_space(batches(train), allowed, law, longest),
    }
    drawn, tested = (_seen(spaces, batches(source)) for source in (samples, test))
    ids = [row["id"] for row in read_table(samples[0])]
    found = {
        name: _judged(space, ids, drawn[name], tested[name], confidence) for name, space in spaces.items()
    }
    write_json(scores, {"quantile": QUANTILE, "device": first.fabric.device.type, "spaces": found})


def _latent_space(latents: Path, codec: Codec, law: Intensity) -> Space:
    means = [codec.whitening.whiten(mean.astype(np.float32)) for mean, _ in read_latents(latents)]
    rows = read_table(latents / "index.csv")
    return Space(
        "whitened latents",
        np.concatenate([mean.reshape(len(mean), -1) for mean in means]),
        [(row["id"], int(row["view"])) for row in rows],
        lambda batch: codec.encode(law.to_network(batch[1])).reshape(len(batch[0]), -1),
    )


def _voxel_space(train: Any, allowed: list[View], law: Intensity, longest: int) -> Space:
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


def _seen(spaces: Mapping[str, Space], batches: Iterable[Batch]) -> dict[str, Features]:
    """The features of all volumes in each space; every volume is read once."""
    parts: dict[str, list[Features]] = {name: [] for name in spaces}
    for batch in batches:
        for name, space in spaces.items():
            parts[name].append(space.features(batch))
    return {name: np.concatenate(found) for name, found in parts.items()}


def _judged(
    space: Space, ids: Sequence[str], samples_NF: Features, test_NF: Features, confidence: float
) -> dict[str, Any]:
    """The share of memorised samples in one space, what it rests on, and the nearest pairs."""
    drawn, tested = nearest(samples_NF[None], space.train_MF), nearest(test_NF[None], space.train_MF).distance
    limit = threshold(tested, QUANTILE)
    share = proportion(memorised(drawn.distance, tested, QUANTILE), confidence)
    expected = max(QUANTILE, 1 / (len(tested) + 1))
    pairs = []
    for pair in closest(drawn, DRAWN):
        train, view = space.named[pair.train]
        near = {"sample": ids[pair.sample], "train": train, "view": view, "distance": pair.distance}
        pairs.append({**near, "ratio": pair.distance / limit if limit else None})
    reading = (
        f"{space.label}: {share.text('%')} of the samples lie nearer to a train volume than the "
        f"{100 * QUANTILE:g} % quantile of {len(tested)} test volumes; {100 * expected:.1f} % are expected"
    )
    return {
        "label": space.label,
        "share": share.to_json(),
        "expected": expected,
        "threshold": limit,
        "median_test": float(np.median(tested)),
        "median_samples": float(np.median(drawn.distance)),
        "n_train": len({one for one, _ in space.named}),
        "n_test": len(tested),
        "pairs": pairs,
        "reading": reading,
    }
