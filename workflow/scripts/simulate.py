"""Rule simulate."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.simulate import simulate

    name = snakemake.wildcards.f
    simulate(
        out=Path(snakemake.output[0]),
        index=int(name.rpartition("-")[2]),
        settings=settings.data.synthetic,
        seed=settings.seed,
    )
