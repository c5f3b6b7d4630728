"""Rule evaluate_reconstruction."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.settings.evaluation import measures
    from voxgen.stages.evaluate_reconstruction import evaluate_reconstruction

    evaluate_reconstruction(
        manifest=Path(snakemake.input.manifest),
        folder=Path(snakemake.input.folder),
        autoencoder=Path(snakemake.input.model).parent,
        scores=Path(snakemake.output.scores),
        reconstructions=Path(snakemake.output.volumes),
        evaluation=measures(settings.evaluation),
        seed=settings.seed,
        machine=settings.machine,
    )
