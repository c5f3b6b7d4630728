"""Encode the volumes of a split once, in every view that the training may draw."""

from pathlib import Path

import numpy as np

from voxgen.autoencoder.codec import load_autoencoder
from voxgen.data.volumes import Volumes, mirrored
from voxgen.errors import InputError
from voxgen.io.files import digest, read_json, write_json, write_table
from voxgen.io.latents import COLUMNS, write_latents
from voxgen.io.models import refuse_mismatch
from voxgen.settings.sections import Machine

SHARD_VOLUMES = 1024
GRID_CONTRACT = ("shape", "spacing", "unit", "method", "sigma", "placement")


def encode_latents(
    split: tuple[Path, Path],
    grid: Path,
    intensity: Path,
    autoencoder: Path,
    out: Path,
    flips: tuple[str, ...],
    machine: Machine,
) -> None:
    """Write latent shards, index.csv and config.json into `out`.

    `split` is a manifest and the folder of its volumes; view v mirrors the axes of the bits of v.

    Raises:
        InputError: the split is empty, or the autoencoder was made for another grid or intensity law.
    """
    model = load_autoencoder(autoencoder, machine)
    refuse_mismatch(autoencoder, model.config["grid"], read_json(grid), GRID_CONTRACT)
    refuse_mismatch(autoencoder, model.config["intensity"], read_json(intensity), ("law",))
    volumes = Volumes(*split, model.intensity, cache_gb=machine.cache_gb)
    if not len(volumes):
        raise InputError(f"{split[0]}: no volumes to encode; give its split a larger share in data.split")
    rows = []
    for view in range(2 ** len(flips)):
        for first in range(0, len(volumes), SHARD_VOLUMES):
            items = range(first, min(first + SHARD_VOLUMES, len(volumes)))
            shard = f"{view}-{first // SHARD_VOLUMES:04d}.safetensors"
            batches = [
                model.encode(np.stack([mirrored(volumes[i], flips, view) for i in batch]))
                for batch in (items[i : i + machine.batch] for i in range(0, len(items), machine.batch))
            ]
            mean, std = (np.concatenate(part) for part in zip(*batches, strict=True))
            write_latents(out / shard, mean, std)
            rows += [
                {"shard": shard, "position": position, "view": view, "id": volumes.ids[i]}
                for position, i in enumerate(items)
            ]
    write_json(
        out / "config.json",
        {
            "made_from": {"autoencoder": model.digest, "volumes": digest(split[0])},
            "grid": model.grid.to_json(),
            "intensity": model.intensity.to_json(),
            "shape": list(mean.shape[1:]),
            "flips": flips,
        },
    )
    write_table(out / "index.csv", rows, COLUMNS)
