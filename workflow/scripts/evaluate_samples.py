"""Rule evaluate_samples."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.evaluate_samples import evaluate_samples

    evaluate_samples(
        samples=Path(snakemake.input.samples),
        table=Path(snakemake.input.table),
        train=(Path(snakemake.input.train), Path(snakemake.input.train_folder)),
        test=(Path(snakemake.input.test), Path(snakemake.input.test_folder)),
        grid=Path(snakemake.input.grid),
        intensity=Path(snakemake.input.intensity),
        scores=Path(snakemake.output.scores),
        evaluation=settings.evaluation,
        seed=settings.seed,
        machine=settings.machine,
    )
