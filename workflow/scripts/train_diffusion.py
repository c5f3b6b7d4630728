"""Rule train_diffusion."""

from adapter import training

with training() as call:
    from voxgen.stages.train_diffusion import train_diffusion

    call(train_diffusion)
