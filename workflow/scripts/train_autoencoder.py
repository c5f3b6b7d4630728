"""Rule train_autoencoder."""

from adapter import training

with training() as call:
    from voxgen.stages.train_autoencoder import train_autoencoder

    call(train_autoencoder)
