"""Rule split_clouds."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.split_clouds import split_clouds

    split_clouds(
        parts=[Path(part) for part in snakemake.input.parts],
        split=Path(snakemake.output.split),
        dropped=Path(snakemake.output.dropped),
        settings=settings.data,
        seed=settings.seed,
    )
