"""Rule sample."""

from adapter import job

with job() as call:
    from voxgen.stages.sample import sample

    call(sample)
