"""Rule collect_voxels."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapter import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as settings:
    from voxgen.stages.collect_voxels import collect_voxels

    splits = ("train", "val", "test")
    collect_voxels(
        shards=[Path(shard) for shard in snakemake.input.shards],
        split=Path(snakemake.input.split),
        manifests={split: Path(snakemake.output[split]) for split in splits},
        folders={split: Path(snakemake.output[f"{split}_folder"]) for split in splits},
        intensity=Path(snakemake.output.intensity),
        law=settings.data.intensity.law,
        quantile=settings.data.intensity.quantile,
    )
