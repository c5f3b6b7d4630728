"""Rule train_diffusion."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.train_diffusion import train_diffusion

    train_diffusion(
        train=Path(snakemake.input.train),
        val=Path(snakemake.input.val),
        scale=Path(snakemake.input.scale),
        out=Path(snakemake.output.model).parent,
        state=Path("results/state/diffusion"),
        settings=settings.diffusion,
        seed=settings.seed,
        machine=settings.machine,
    )
