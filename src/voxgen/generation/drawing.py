"""From indices to new volumes: latents of a trained prior, decoded and taken back to what is stored.

Shapes: C channels, X Y Z grid, x y z latent axes.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.models.codec import Codec, load_autoencoder
from voxgen.models.folder import refuse_mismatch
from voxgen.models.trained_prior import TrainedPrior, load_prior
from voxgen.models.whitening import Whitening
from voxgen.randomness import generator
from voxgen.settings.machine import Inference

Array = NDArray[np.float32]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A sample.

    Attributes:
        index: which one of its seed.
        latent: (C, x, y, z), whitened.
        decoded: (X, Y, Z) in stored units; where counts are drawn, their rates.
        volume: (X, Y, Z) as it is stored.
    """

    index: int
    latent: Array
    decoded: Array
    volume: Array


def load_models(
    autoencoder: Path, prior: Path, scale: Mapping[str, Any], machine: Inference
) -> tuple[Codec, TrainedPrior]:
    """The codec and the prior of two model folders, under the whitening `scale` (of scale.json).

    Raises:
        InputError: the prior was trained on another autoencoder's latents, or with another scale.
    """
    first_stage, drawing = load_autoencoder(autoencoder, machine), load_prior(prior, machine)
    made_with = drawing.config["made_from"]
    refuse_mismatch(prior, made_with, {"autoencoder": first_stage.digest}, ("autoencoder",))
    refuse_mismatch(prior, drawing.config, {"scale": scale}, ("scale",))
    return Codec(first_stage, Whitening.from_json(dict(scale))), drawing


def draw(
    codec: Codec,
    prior: TrainedPrior,
    indices: Sequence[int],
    seed: int,
    sampling: Mapping[str, Any],
    batch: int,
    given: Mapping[str, NDArray[Any]],
) -> Iterator[Drawn]:
    """One sample per index, of which a batch is held at a time.

    Sample i is the same in whichever batch it is drawn; `sampling` is a section of that name, plain, and
    `given` what the prior is told of each index, by its name in a batch.
    """
    for start in range(0, len(indices), batch):
        together = indices[start : start + batch]
        told = {name: values[start : start + batch] for name, values in given.items()}
        latents = prior.sample(together, seed, sampling, told)
        volumes = codec.decode_stored(latents)
        for index, latent, decoded in zip(together, latents, volumes, strict=True):
            yield Drawn(index, latent, decoded, as_drawn(codec, decoded, seed, index))
        log.info("drew %d of %d samples", start + len(together), len(indices))


def as_drawn(codec: Codec, decoded_XYZ: Array, seed: int, index: int) -> Array:
    """A volume as it is stored, from one that was decoded; where that holds rates, counts at this address."""
    return codec.autoencoder.drawn(decoded_XYZ, generator(seed, "counts", index))
