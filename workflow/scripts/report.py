"""Rule report."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.report import report

    report(
        out=Path(snakemake.output[0]),
        title="voxgen report",
        settings=json.loads(snakemake.params.science)["settings"],
        reconstruction=Path(snakemake.input.reconstruction),
        samples=Path(snakemake.input.samples),
        preview=Path(snakemake.input.preview),
        reconstructions=Path(snakemake.input.reconstructions),
        histories={Path(path).stem.capitalize(): Path(path) for path in snakemake.input.histories},
    )
