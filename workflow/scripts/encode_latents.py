"""Rule encode_latents."""

from adapter import job

with job() as call:
    from voxgen.stages.encode_latents import encode_latents

    call(encode_latents)
