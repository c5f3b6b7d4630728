"""Rule scale_factor."""

from adapter import job

with job() as call:
    from voxgen.stages.scale_factor import scale_factor

    call(scale_factor)
