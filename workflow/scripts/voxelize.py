"""Rule voxelize."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job
from voxgen.settings.data import reading

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.voxelize import voxelize

    chunk, chunks = map(int, snakemake.wildcards.k.split("of"))
    voxelize(
        raw=[Path(file) for file in snakemake.input.raw],
        index=Path(snakemake.input.index),
        grid=Path(snakemake.input.grid),
        chunk=chunk,
        chunks=chunks,
        out=Path(snakemake.output.folder),
        reading=reading(settings.data),
        quantile=settings.data.intensity.quantile,
        compression=settings.machine.compression,
    )
