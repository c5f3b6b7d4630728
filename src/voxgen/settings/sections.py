"""The typed settings: one class a section, every key with its meaning, unit and bounds.

There are no defaults here: `config/config.yaml` is their only place. Science sections change results
and make stages stale; the section `machine` says how to compute them and never does.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from voxgen.settings.autoencoder import AutoencoderSettings
from voxgen.settings.base import Count, Positive, Section
from voxgen.settings.data import DataSettings
from voxgen.settings.evaluation import EvaluationSettings
from voxgen.settings.prior import PriorSettings


class SamplingSettings(Section):
    """New volumes."""

    samples: Count = Field(description="volumes to draw")
    steps: Count = Field(description="steps of the sampler (Heun: two evaluations a step; DDIM: one)")


class Machine(Section):
    """How to compute, on this machine. Nothing here changes what is computed."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        description="where networks run; auto: a GPU if there is one"
    )
    gpus: Count = Field(description="GPUs of a training on each node, a process each (device cpu: processes)")
    nodes: Count = Field(description="nodes of a training; more than one are started by srun")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        description="arithmetic of the networks; auto: bf16 where the processor has it"
    )
    threads: Count = Field(description="CPU threads of a network stage, at most --cores")
    compile: bool = Field(description="torch.compile the networks, block by block (minutes; slower on a CPU)")
    recompute: bool = Field(description="compute activations again in the backward pass: less memory, slower")
    batch: Count = Field(description="volumes at once where no gradient is needed")
    micro_batch: Count | None = Field(
        description="items at once in a step of a training, by accumulation of gradients; null: all"
    )
    compression: Annotated[int, Field(ge=0, le=3)] = Field(
        description="gzip level of the volumes: 0 fast and large, 3 slow and small"
    )
    cache_gb: Positive = Field(description="volumes kept in memory during training [GB]")
    readers: Count = Field(description="threads that read volumes ahead of a training, beyond the cache")
    checkpoint_minutes: Positive = Field(
        description="a training's state is saved this often, and at every epoch"
    )
    keep: Literal["all", "best"] | Count = Field(
        description="states of finished epochs that are kept beside the latest: all, so many, or the best"
    )
    max_minutes: Positive | None = Field(
        description="a training saves its state and stops after this long, to be started again; null: never"
    )
    retries: Annotated[int, Field(ge=0)] = Field(
        description="times that a training is started again by itself"
    )
    bad_steps: Count = Field(
        description="steps in a row, not finite in loss or gradient, that end a training; fewer are skipped"
    )
    log_steps: Count = Field(description="steps between two points of a training's curves in TensorBoard")
    picture_minutes: Positive = Field(
        description="pictures for TensorBoard are made this often, after an epoch, and at the end"
    )
    profile: bool = Field(description="write a trace of some steps of a training, and its slowest operators")
    shards_per_file: Count = Field(
        description="voxelize jobs a raw file (names files: changing it redoes them)"
    )
    sample_shards: Count = Field(description="draw_samples jobs (names files: changing it redoes them)")
    memory_mb: Count = Field(description="memory a network stage asks of a scheduler [MB]")
    runtime_minutes: Count = Field(description="time a network stage asks of a scheduler [minutes]")


class Settings(Section):
    """Everything that can be set."""

    seed: Annotated[int, Field(ge=0)] = Field(description="seed of every draw")
    data: DataSettings
    autoencoder: AutoencoderSettings
    prior: PriorSettings
    sampling: SamplingSettings
    evaluation: EvaluationSettings
    machine: Machine

    @model_validator(mode="after")
    def _patch_fits_the_grid(self) -> Self:
        for axis, size, whole in zip("xyz", self.autoencoder.patch or (), self.data.seen_shape, strict=False):
            if size > whole:
                raise ValueError(f"autoencoder.patch: {size} voxels along {axis}, but volumes have {whole}")
        return self

    @model_validator(mode="after")
    def _factors_divide(self) -> Self:
        first, second = self.autoencoder.chosen, self.prior.chosen
        factors = zip("xyz", self.data.seen_shape, first.factors, second.factors, strict=True)
        for axis, size, factor, further in factors:
            coarsest = factor * further
            if size % coarsest:
                name = "data.train_shape" if self.data.train_shape else "data.grid.shape"
                raise ValueError(
                    f"{name}: {size} voxels along {axis} cannot be halved as often as the networks "
                    f"do: expected a multiple of {coarsest} (autoencoder {factor} x denoiser {further}); "
                    f"try {max(1, round(size / coarsest)) * coarsest}, or fewer levels in "
                    f"autoencoder.{self.autoencoder.kind}.network.channels or "
                    f"prior.{self.prior.kind}.network.channels"
                )
        return self
