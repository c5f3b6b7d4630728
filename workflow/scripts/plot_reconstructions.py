"""Rule plot_reconstructions."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.plot_reconstructions import plot_reconstructions

    plot_reconstructions(
        scores=Path(snakemake.input.scores),
        manifest=Path(snakemake.input.manifest),
        folder=Path(snakemake.input.folder),
        reconstructions=Path(snakemake.input.volumes),
        grid=Path(snakemake.input.grid),
        out=Path(snakemake.output[0]),
    )
