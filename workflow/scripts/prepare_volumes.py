"""Rule prepare_volumes."""

from adapter import job

with job() as call:
    from voxgen.stages.prepare_volumes import prepare_volumes

    call(prepare_volumes)
