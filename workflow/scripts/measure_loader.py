"""Rule measure_loader."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.measure_loader import measure_loader

    measure_loader(
        train=(Path(snakemake.input.train), Path(snakemake.input.train_folder)),
        intensity=Path(snakemake.input.intensity),
        table=Path(snakemake.output.table),
        figure=Path(snakemake.output.figure),
        settings=settings.autoencoder,
        flips=settings.data.flips,
        rotations=settings.data.rotations,
        seed=settings.seed,
        machine=settings.machine,
    )
