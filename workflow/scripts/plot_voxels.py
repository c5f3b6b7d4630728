"""Rule plot_voxels."""

from adapter import job

with job() as call:
    from voxgen.stages.plot_voxels import plot_voxels

    call(plot_voxels)
