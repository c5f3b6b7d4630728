"""Rule encode_latents."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.encode_latents import encode_latents

    encode_latents(
        split=(Path(snakemake.input.manifest), Path(snakemake.input.folder)),
        grid=Path(snakemake.input.grid),
        intensity=Path(snakemake.input.intensity),
        autoencoder=Path(snakemake.input.model).parent,
        out=Path(snakemake.output.folder),
        flips=settings.data.flips if snakemake.wildcards.split == "train" else (),
        rotations=settings.data.rotations if snakemake.wildcards.split == "train" else (),
        machine=settings.machine,
    )
