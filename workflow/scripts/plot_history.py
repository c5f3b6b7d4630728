"""Rule plot_history."""

from adapter import job

with job() as call:
    from voxgen.stages.plot_history import plot_history

    call(plot_history)
