"""Rule index_clouds."""

from adapter import job

with job() as call:
    from voxgen.stages.index_clouds import index_clouds

    call(index_clouds)
