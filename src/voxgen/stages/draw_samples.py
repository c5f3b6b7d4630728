"""Draw one shard of new volumes."""

import logging
from pathlib import Path

import numpy as np

from voxgen.autoencoder.codec import Codec, load_autoencoder
from voxgen.diffusion.model import load_diffusion
from voxgen.io.files import read_json, write_table
from voxgen.io.models import refuse_mismatch
from voxgen.io.nifti import write_volume
from voxgen.scale import LatentScale
from voxgen.settings.sections import Machine, SamplingSettings
from voxgen.voxels import occupied_above

log = logging.getLogger(__name__)

COLUMNS = ("id", "seed", "index", "sum", "max", "occupied", "latent_mean", "latent_std")


def draw_samples(
    autoencoder: Path,
    diffusion: Path,
    scale: Path,
    out: Path,
    shard: int,
    shards: int,
    settings: SamplingSettings,
    seed: int,
    machine: Machine,
) -> None:
    """Write the shard's volumes as NIfTI in counts, and manifest.csv, into `out`.

    Sample i is the same in whichever shard and batch it is drawn.

    Raises:
        InputError: the denoiser was trained on another autoencoder's latents, or with another scale.
    """
    first_stage, denoiser = load_autoencoder(autoencoder, machine), load_diffusion(diffusion, machine)
    recorded = read_json(scale)
    refuse_mismatch(
        diffusion, denoiser.config["made_from"], {"autoencoder": first_stage.digest}, ("autoencoder",)
    )
    refuse_mismatch(diffusion, denoiser.config, {"scale": recorded}, ("scale",))
    codec = Codec(first_stage, LatentScale.from_json(recorded))
    grid, threshold = first_stage.grid, occupied_above(first_stage.grid)
    mine = range(settings.samples)[
        settings.samples * shard // shards : settings.samples * (shard + 1) // shards
    ]
    rows = []
    for start in range(0, len(mine), machine.batch):
        indices = mine[start : start + machine.batch]
        latents = denoiser.sample(indices, settings.steps, seed)
        volumes = first_stage.intensity.to_counts(codec.decode(latents))
        for index, latent, volume in zip(indices, latents, volumes, strict=True):
            name = f"sample-{index:06d}"
            write_volume(out / f"{name}.nii.gz", volume, grid.origin, grid.spacing, grid.unit)
            figures = (volume.sum(dtype=np.float64), volume.max(), np.mean(volume > threshold))
            values = (*figures, latent.mean(), latent.std())
            rows.append(dict(zip(COLUMNS, (name, seed, index, *map(float, values)), strict=True)))
        log.info("drew %d of %d samples", start + len(indices), len(mine))
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / "manifest.csv", rows, COLUMNS)
