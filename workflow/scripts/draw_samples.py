"""Rule draw_samples."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.draw_samples import draw_samples

    shard, shards = map(int, snakemake.wildcards.k.split("of"))
    draw_samples(
        autoencoder=Path(snakemake.input.autoencoder).parent,
        prior=Path(snakemake.input.prior).parent,
        scale=Path(snakemake.input.scale),
        grid=Path(snakemake.input.grid),
        out=Path(snakemake.output.folder),
        shard=shard,
        shards=shards,
        settings=settings.sampling,
        seed=settings.seed,
        machine=settings.machine,
    )
