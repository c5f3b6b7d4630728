"""Rule evaluate_samples."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.settings.evaluation import measures
    from voxgen.stages.evaluate_samples import evaluate_samples

    evaluate_samples(
        samples=(Path(snakemake.input.table), Path(snakemake.input.samples)),
        train=(Path(snakemake.input.train), Path(snakemake.input.train_folder)),
        test=(Path(snakemake.input.test), Path(snakemake.input.test_folder)),
        grid=Path(snakemake.input.grid),
        intensity=Path(snakemake.input.intensity),
        autoencoder=Path(snakemake.input.model).parent,
        medicalnet=Path(snakemake.input.medicalnet) if snakemake.input.medicalnet else None,
        scores=Path(snakemake.output.scores),
        evaluation=measures(settings.evaluation),
        seed=settings.seed,
        machine=settings.machine,
    )
