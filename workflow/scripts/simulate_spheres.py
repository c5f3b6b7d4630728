"""Rule simulate_spheres."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.simulate_spheres import simulate_spheres

    simulate_spheres(
        out=Path(snakemake.output[0]),
        index=int(snakemake.wildcards.f.rpartition("-")[2]),
        settings=settings.data.spheres,
        shape=settings.data.grid.shape,
        seed=settings.seed,
    )
