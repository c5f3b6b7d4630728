"""The section `machine`: how to compute. Nothing in it changes a result."""

from typing import Annotated, Literal

from pydantic import Field

from voxgen.settings.base import Count, Positive, Section


class Inference(Section):
    """How to compute where nothing is trained."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        description="where networks run; auto: a GPU if there is one"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        description="arithmetic of the networks; auto: bf16 where the processor has it"
    )
    threads: Count = Field(description="CPU threads of a network stage, at most --cores")
    batch: Count = Field(description="volumes at once where no gradient is needed")


class Machine(Inference):
    """How to compute, on this machine. Nothing here changes what is computed."""

    gpus: Count = Field(description="GPUs of a training on each node, a process each (device cpu: processes)")
    nodes: Count = Field(description="nodes of a training; more than one are started by srun")
    compile: bool = Field(description="torch.compile the networks, block by block (minutes; slower on a CPU)")
    recompute: bool = Field(description="compute activations again in the backward pass: less memory, slower")
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
        description="voxelize jobs per raw file (names files: changing it redoes them)"
    )
    sample_shards: Count = Field(description="draw_samples jobs (names files: changing it redoes them)")
    memory_mb: Count = Field(description="memory a network stage asks of a scheduler [MB]")
    runtime_minutes: Count = Field(description="time a network stage asks of a scheduler [minutes]")
