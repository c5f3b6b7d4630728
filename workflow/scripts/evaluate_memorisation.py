"""Rule evaluate_memorisation."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.evaluate_memorisation import evaluate_memorisation

    evaluate_memorisation(
        samples=(Path(snakemake.input.table), Path(snakemake.input.samples)),
        train=(Path(snakemake.input.train), Path(snakemake.input.train_folder)),
        test=(Path(snakemake.input.test), Path(snakemake.input.test_folder)),
        latents=Path(snakemake.input.latents),
        scale=Path(snakemake.input.scale),
        grid=Path(snakemake.input.grid),
        intensity=Path(snakemake.input.intensity),
        autoencoder=Path(snakemake.input.model).parent,
        scores=Path(snakemake.output.scores),
        longest=settings.evaluation.pooled,
        confidence=settings.evaluation.confidence,
        machine=settings.machine,
    )
