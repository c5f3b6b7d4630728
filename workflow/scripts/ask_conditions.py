"""Rule ask_conditions."""

from adapter import job

with job() as call:
    from voxgen.stages.ask_conditions import ask_conditions

    call(ask_conditions)
