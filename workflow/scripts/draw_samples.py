"""Rule draw_samples."""

from adapter import job

with job() as call:
    from voxgen.stages.draw_samples import draw_samples

    call(draw_samples)
