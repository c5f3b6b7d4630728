"""Rule voxelize."""

from adapter import job

with job() as call:
    from voxgen.stages.voxelize import voxelize

    call(voxelize)
