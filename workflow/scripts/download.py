"""Rule download."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.download import download

    download(task=snakemake.wildcards.f, out=Path(snakemake.output.folder))
