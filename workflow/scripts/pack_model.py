"""Rule pack_model."""

from adapter import job

with job() as call:
    from voxgen.stages.pack_model import pack_model

    call(pack_model)
