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
        outside=[Path(table) for table in snakemake.input.outside],
        split=Path(snakemake.input.split),
        stored=Path(snakemake.input.grid),
        grid=Path(snakemake.output.grid),
        manifests={split: Path(snakemake.output[split]) for split in splits},
        folders={split: Path(snakemake.output[f"{split}_folder"]) for split in splits},
        intensity=Path(snakemake.output.intensity),
        dropped=Path(snakemake.output.dropped),
        settings=settings.data,
        compression=settings.machine.compression,
    )
