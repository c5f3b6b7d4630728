"""Rule train_diffusion."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.training.distributed.attempts import attempt

    state = Path("results/state/prior")
    with attempt(state, snakemake.resources.attempt):
        from voxgen.stages.train_diffusion import train_diffusion
        from voxgen.training.distributed.processes import together

        together(
            train_diffusion,
            Path("results/logs/environment.json"),
            train=Path(snakemake.input.train),
            val=Path(snakemake.input.val),
            scale=Path(snakemake.input.scale),
            autoencoder=Path(snakemake.input.autoencoder).parent,
            out=Path(snakemake.output.model).parent,
            state=state,
            settings=settings.prior,
            seed=settings.seed,
            machine=settings.machine,
        )
