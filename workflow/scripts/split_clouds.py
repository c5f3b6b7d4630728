"""Rule split_clouds."""

from adapter import job

with job() as call:
    from voxgen.stages.split_clouds import split_clouds

    call(split_clouds)
