"""Rule report."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.pages.report_inputs import Data, Run, Scores
    from voxgen.stages.report import report

    given = snakemake.input
    report(
        out=Path(snakemake.output[0]),
        title="voxgen report",
        scores=Scores(
            summary=Path(given.summary),
            samples=Path(given.scores),
            reconstruction=Path(given.reconstruction),
            memorisation=Path(given.memorisation),
        ),
        data=Data(
            grid=Path(given.grid),
            splits={Path(path).stem: Path(path) for path in given.splits},
            test=Path(given.test),
            dropped=[Path(path) for path in given.dropped],
            samples=Path(given.samples),
        ),
        run=Run(
            settings=json.loads(snakemake.params.science)["settings"],
            artefacts={
                name: Path(given[name]) for name in ("grid", "intensity", "autoencoder", "scale", "diffusion")
            },
            environment=Path("results/logs/environment.json"),
            benchmarks=Path("results/benchmarks"),
        ),
        figures={
            "samples": Path(given.preview),
            "spectrum": Path(given.spectrum),
            "memorisation": Path(given.pairs),
            "reconstructions": Path(given.reconstructions),
            "data": Path(given.data),
        },
        histories={Path(path).parent.name.capitalize(): Path(path) for path in given.histories},
    )
