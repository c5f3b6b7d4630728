"""Rule summarise."""

from adapter import job

with job() as call:
    from voxgen.stages.summarise import summarise

    call(summarise)
