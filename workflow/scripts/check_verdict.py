"""Rule check_verdict."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    from voxgen.stages.check_verdict import check_verdict

    check_verdict(Path(snakemake.input.summary), Path(snakemake.output[0]))
