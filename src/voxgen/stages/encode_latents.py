"""Encode the volumes of a split once, in every view that the training may draw."""

from pathlib import Path

import numpy as np

from voxgen.batches.views import View, views
from voxgen.batches.volume_batches import Volumes
from voxgen.errors import InputError
from voxgen.io.files import digest, read_json, read_table, write_json, write_table
from voxgen.io.latent_shards import COLUMNS, write_latents
from voxgen.machine.ahead import ahead
from voxgen.models.codec import Array, Autoencoder, load_autoencoder
from voxgen.models.folder import refuse_mismatch
from voxgen.settings.machine import Machine
from voxgen.volumes.manifest import Split

SHARD_VOLUMES = 1024
GRID_CONTRACT = ("shape", "spacing", "unit", "method", "sigma", "placement")


def encode_latents(
    split: str,
    source: Split,
    grid: Path,
    intensity: Path,
    autoencoder: Path,
    out: Path,
    flips: tuple[str, ...],
    rotations: tuple[str, ...],
    machine: Machine,
) -> None:
    """Write latent shards, index.csv and config.json into `out`.

    `source` holds the volumes of the `split`. View v is `views(flips, rotations)[v]`; only the train split
    has more than the first.

    Raises:
        InputError: the split is empty, or the autoencoder was made for another grid or intensity law.
    """
    flips, rotations = (flips, rotations) if split == "train" else ((), ())
    model = load_autoencoder(autoencoder, machine)
    refuse_mismatch(autoencoder, model.config["grid"], read_json(grid), GRID_CONTRACT)
    refuse_mismatch(autoencoder, model.config["intensity"], read_json(intensity), ("law",))
    volumes = Volumes(*source, model.intensity, machine.cache_gb, machine.readers)
    if not len(volumes):
        raise InputError(f"{source[0]}: no volumes to encode; give its split a larger share in data.split")
    known = {
        row["id"]: {name: row.get(name, "") for name in ("id", "label", "attributes")}
        for row in read_table(source[0])
    }
    rows = []
    for number, view in enumerate(views(flips, rotations)):
        for first in range(0, len(volumes), SHARD_VOLUMES):
            items = range(first, min(first + SHARD_VOLUMES, len(volumes)))
            shard = f"{number}-{first // SHARD_VOLUMES:04d}.safetensors"
            mean, spread = _encoded(model, volumes, items, view, machine.batch)
            write_latents(out / shard, mean, spread)
            rows += [
                {"shard": shard, "position": position, "view": number, **known[volumes.ids[i]]}
                for position, i in enumerate(items)
            ]
    write_json(
        out / "config.json",
        {
            "made_from": {"autoencoder": model.digest, "volumes": digest(source[0])},
            "grid": model.grid.to_json(),
            "intensity": model.intensity.to_json(),
            "shape": list(mean.shape[1:]),
            "flips": flips,
            "rotations": rotations,
        },
    )
    write_table(out / "index.csv", rows, COLUMNS)


def _encoded(
    model: Autoencoder, volumes: Volumes, items: range, view: View, batch: int
) -> tuple[Array, Array | None]:
    """Latents (N, C, x, y, z) of some volumes in one view: mean, and spread where they have one."""
    asked = (items[i : i + batch] for i in range(0, len(items), batch))
    with ahead(volumes.read, asked) as batches:
        encoded = [model.encode(np.stack([view(volume) for volume in read])) for read in batches]
    mean, spread = (list(part) for part in zip(*encoded, strict=True))
    return np.concatenate(mean), None if spread[0] is None else np.concatenate(spread)
