"""Rule plot_memorisation."""

from adapter import job

with job() as call:
    from voxgen.stages.plot_memorisation import plot_memorisation

    call(plot_memorisation)
