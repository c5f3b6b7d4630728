"""Rule simulate."""

from adapter import job

with job() as call:
    from voxgen.stages.simulate import simulate

    call(simulate)
