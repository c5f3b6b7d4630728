"""Rule plot_reconstructions."""

from adapter import job

with job() as call:
    from voxgen.stages.plot_reconstructions import plot_reconstructions

    call(plot_reconstructions)
