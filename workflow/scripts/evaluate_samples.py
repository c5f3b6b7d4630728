"""Rule evaluate_samples."""

from adapter import job

with job() as call:
    from voxgen.stages.evaluate_samples import evaluate_samples

    call(evaluate_samples)
