"""Rule plot_spectrum."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    from voxgen.stages.plot_spectrum import plot_spectrum

    plot_spectrum(Path(snakemake.input[0]), Path(snakemake.output[0]))
