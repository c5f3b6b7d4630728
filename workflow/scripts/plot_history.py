"""Rule plot_history."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.plot_history import plot_history

    plot_history(
        history=Path(snakemake.input[0]),
        out=Path(snakemake.output[0]),
        title=f"Training of the {snakemake.wildcards.training}",
    )
