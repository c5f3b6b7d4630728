"""Rule evaluate_memorisation."""

from adapter import job

with job() as call:
    from voxgen.stages.evaluate_memorisation import evaluate_memorisation

    call(evaluate_memorisation)
