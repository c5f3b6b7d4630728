"""Rule index_clouds."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job
from voxgen.settings.data import reading

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.index_clouds import index_clouds

    named = (settings.data.split.group, settings.data.split.stratify)
    index_clouds(
        raw=[Path(file) for file in snakemake.input.raw],
        name=snakemake.wildcards.f,
        out=Path(snakemake.output[0]),
        reading=reading(settings.data),
        label=settings.data.label,
        carry=[name for name in named if name not in (None, "file", "label")],
    )
