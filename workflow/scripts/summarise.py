"""Rule summarise."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.summarise import summarise

    summarise(
        reconstruction=Path(snakemake.input.reconstruction),
        samples=Path(snakemake.input.samples),
        memorisation=Path(snakemake.input.memorisation),
        out=Path(snakemake.output[0]),
        gates=settings.evaluation.gates,
        settings=json.loads(snakemake.params.science)["settings"],
    )
