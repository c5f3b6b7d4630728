"""Rule measure_loader."""

from adapter import job

with job() as call:
    from voxgen.stages.measure_loader import measure_loader

    call(measure_loader)
