"""Rule simulate_spheres."""

from adapter import job

with job() as call:
    from voxgen.stages.simulate_spheres import simulate_spheres

    call(simulate_spheres)
