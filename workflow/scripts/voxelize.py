"""Rule voxelize."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.voxelize import voxelize

    voxelize(
        raw=Path(snakemake.input.raw),
        index=Path(snakemake.input.index),
        grid=Path(snakemake.input.grid),
        chunk=int(snakemake.wildcards.k),
        chunks=settings.machine.shards_per_file,
        out=Path(snakemake.output.folder),
        settings=settings.data,
        quantile=settings.data.intensity.quantile,
    )
