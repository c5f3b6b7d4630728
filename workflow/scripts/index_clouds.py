"""Rule index_clouds."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.index_clouds import index_clouds

    index_clouds(
        raw=Path(snakemake.input.raw),
        name=snakemake.wildcards.f,
        out=Path(snakemake.output[0]),
        settings=settings.data,
    )
