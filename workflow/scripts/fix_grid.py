"""Rule fix_grid."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.fix_grid import fix_grid

    fix_grid(
        parts=[Path(part) for part in snakemake.input.parts],
        split=Path(snakemake.input.split) if snakemake.input.split else None,
        out=Path(snakemake.output[0]),
        settings=settings.data,
    )
