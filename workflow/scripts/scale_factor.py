"""Rule scale_factor."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.scale_factor import scale_factor

    scale_factor(
        latents=Path(snakemake.input.folder),
        out=Path(snakemake.output[0]),
        posterior=settings.prior.posterior,
    )
