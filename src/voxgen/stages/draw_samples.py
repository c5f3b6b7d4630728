"""Draw one shard of new volumes."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.io.files import read_json, write_json, write_table
from voxgen.io.shards import Shard
from voxgen.models.codec import Codec, load_autoencoder
from voxgen.models.folder import refuse_mismatch, weights_digest
from voxgen.models.trained_prior import load_prior
from voxgen.models.whitening import Whitening
from voxgen.randomness import generator
from voxgen.settings.machine import Machine
from voxgen.settings.sections import SamplingSettings
from voxgen.volumes.grid import Grid, occupied_above
from voxgen.volumes.nifti import write_volume

Array = NDArray[np.float32]

log = logging.getLogger(__name__)

COLUMNS = ("id", "seed", "index", "sum", "max", "occupied", "latent_mean", "latent_std")


def draw_samples(
    autoencoder: Path,
    prior: Path,
    scale: Path,
    grid: Path,
    out: Path,
    shard: Shard,
    settings: SamplingSettings,
    seed: int,
    machine: Machine,
) -> None:
    """Write the shard's volumes as NIfTI, manifest.csv and config.json into `out`.

    Volumes are counts, or normalised intensities, as the train volumes are. Where the autoencoder decodes
    rates, counts are drawn from them, and `settings.rates` keeps the rates too, in the folder rates/.

    Sample i is the same in whichever shard and batch it is drawn. Volumes lie where `grid` (grid.json)
    says, also where the autoencoder was trained elsewhere.

    Raises:
        InputError: the prior was trained on another autoencoder's latents, or with another scale; or rates
            are asked for where there are none.
    """
    first_stage, drawing = load_autoencoder(autoencoder, machine), load_prior(prior, machine)
    recorded = read_json(scale)
    made_with = drawing.config["made_from"]
    refuse_mismatch(prior, made_with, {"autoencoder": first_stage.digest}, ("autoencoder",))
    refuse_mismatch(prior, drawing.config, {"scale": recorded}, ("scale",))
    if settings.rates and not first_stage.draws_counts:
        raise InputError(
            f"{autoencoder}: decodes volumes, not rates of counts, but sampling.rates is true; set it to "
            "false, or give an autoencoder of likelihood poisson"
        )
    placed = Grid.from_json(read_json(grid))
    codec = Codec(first_stage, Whitening.from_json(recorded))
    mine = range(settings.samples)[shard.part(settings.samples)]
    sampling = settings.model_dump(mode="json")
    rows = []
    for start in range(0, len(mine), machine.batch):
        indices = mine[start : start + machine.batch]
        latents = drawing.sample(indices, seed, sampling)
        decoded = first_stage.intensity.from_network(codec.decode(latents))
        for index, latent, rate in zip(indices, latents, decoded, strict=True):
            volume = first_stage.drawn(rate, generator(seed, "counts", index))
            rows.append(_written(out, index, seed, latent, volume, placed, machine.compression))
            if settings.rates:
                _write(out / "rates", index, rate, placed, machine.compression)
        log.info("drew %d of %d samples", start + len(indices), len(mine))
    write_table(out / "manifest.csv", rows, COLUMNS)
    config = {
        "kind": "samples",
        "sampling": sampling,
        "drawn": first_stage.draws_counts,
        "seed": seed,
        "grid": placed.to_json(),
        "intensity": first_stage.intensity.to_json(),
        "scale": recorded,
        "made_from": {"autoencoder": first_stage.digest, "prior": weights_digest(prior)},
    }
    write_json(out / "config.json", config)


def _written(
    out: Path, index: int, seed: int, latent: Array, volume: Array, grid: Grid, compression: int
) -> dict[str, Any]:
    """Write one volume (X, Y, Z) as it is stored and return its row of the manifest."""
    return {
        "id": _write(out, index, volume, grid, compression),
        "seed": seed,
        "index": index,
        "sum": float(volume.sum(dtype=np.float64)),
        "max": float(volume.max()),
        "occupied": float(np.mean(volume > occupied_above(grid))),
        "latent_mean": float(latent.mean()),
        "latent_std": float(latent.std()),
    }


def _write(folder: Path, index: int, volume: Array, grid: Grid, compression: int) -> str:
    """Write a volume (X, Y, Z) under the name of a sample, and return that."""
    name = f"sample-{index:06d}"
    place = (grid.origin, grid.spacing, grid.unit)
    write_volume(folder / f"{name}.nii.gz", volume, *place, compression=compression)
    return name
