"""Rule plot_spectrum."""

from adapter import job

with job() as call:
    from voxgen.stages.plot_spectrum import plot_spectrum

    call(plot_spectrum)
