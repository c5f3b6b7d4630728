"""Rule fix_grid."""

from adapter import job

with job() as call:
    from voxgen.stages.fix_grid import fix_grid

    call(fix_grid)
