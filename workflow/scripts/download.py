"""Rule download."""

from adapter import job

with job() as call:
    from voxgen.stages.download import download

    call(download)
