"""Rule evaluate_conditions."""

from adapter import job

with job() as call:
    from voxgen.stages.evaluate_conditions import evaluate_conditions

    call(evaluate_conditions)
