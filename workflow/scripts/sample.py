"""Rule sample."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job
from voxgen.settings.data import reading

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.sample import sample

    sample(
        shards=[Path(shard) for shard in snakemake.input.shards],
        raw=[Path(file) for file in snakemake.input.raw],
        grid=Path(snakemake.input.grid),
        train=(Path(snakemake.input.train), Path(snakemake.input.train_folder)),
        out=Path(snakemake.output.folder),
        reading=reading(settings.data),
        seed=settings.seed,
    )
