"""Rule report."""

from adapter import job

with job() as call:
    from voxgen.stages.report import report

    call(report)
