"""Rule prepare_volumes."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.prepare_volumes import prepare_volumes

    chunk, chunks = map(int, snakemake.wildcards.k.split("of"))
    prepare_volumes(
        raw=[Path(file) for file in snakemake.input.raw],
        listing=Path(snakemake.input.listing) if snakemake.input.listing else None,
        name=snakemake.wildcards.f,
        grid=Path(snakemake.input.grid),
        chunk=chunk,
        chunks=chunks,
        out=Path(snakemake.output.folder),
        settings=settings.data,
        quantile=settings.data.intensity.quantile,
        compression=settings.machine.compression,
        seed=settings.seed,
    )
