"""Rule plot_memorisation."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    from voxgen.stages.plot_memorisation import plot_memorisation

    plot_memorisation(
        scores=Path(snakemake.input.scores),
        samples=Path(snakemake.input.samples),
        train=Path(snakemake.input.train),
        latents=Path(snakemake.input.latents),
        grid=Path(snakemake.input.grid),
        out=Path(snakemake.output[0]),
    )
