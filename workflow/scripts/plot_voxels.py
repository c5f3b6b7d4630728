"""Rule plot_voxels."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.plot_voxels import plot_voxels

    splits = ("train", "val", "test")
    plot_voxels(
        manifests={split: Path(snakemake.input[split]) for split in splits},
        folders={split: Path(snakemake.input[f"{split}_folder"]) for split in splits},
        preview=Path(snakemake.output.preview),
        statistics=Path(snakemake.output.statistics),
        figure=Path(snakemake.output.figure),
    )
