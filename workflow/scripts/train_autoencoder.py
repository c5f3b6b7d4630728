"""Rule train_autoencoder."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.training.distributed.attempts import attempt

    state = Path("results/state/autoencoder")
    with attempt(state, snakemake.resources.attempt):
        from voxgen.stages.train_autoencoder import train_autoencoder
        from voxgen.training.distributed.processes import together

        together(
            train_autoencoder,
            Path("results/logs/environment.json"),
            train=(Path(snakemake.input.train), Path(snakemake.input.train_folder)),
            val=(Path(snakemake.input.val), Path(snakemake.input.val_folder)),
            grid=Path(snakemake.input.grid),
            intensity=Path(snakemake.input.intensity),
            out=Path(snakemake.output.model).parent,
            state=state,
            settings=settings.autoencoder,
            flips=settings.data.flips,
            rotations=settings.data.rotations,
            seed=settings.seed,
            machine=settings.machine,
        )
