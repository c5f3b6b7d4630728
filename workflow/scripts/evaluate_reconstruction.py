"""Rule evaluate_reconstruction."""

from adapter import job

with job() as call:
    from voxgen.stages.evaluate_reconstruction import evaluate_reconstruction

    call(evaluate_reconstruction)
