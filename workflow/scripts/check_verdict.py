"""Rule check_verdict."""

from adapter import job

with job() as call:
    from voxgen.stages.check_verdict import check_verdict

    call(check_verdict)
