"""Rule collect_voxels."""

from adapter import job

with job() as call:
    from voxgen.stages.collect_voxels import collect_voxels

    call(collect_voxels)
