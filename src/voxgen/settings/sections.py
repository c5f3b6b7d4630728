"""The typed settings: one class a section, every key with its meaning, unit and bounds.

There are no defaults here: `config/config.yaml` is their only place. Science sections change results
and make stages stale; the section `machine` says how to compute them and never does.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Interval = tuple[float, float]
Axis = Literal["x", "y", "z"]
Unit = Literal["nm", "um", "mm", "unitless"]

DDPM_STEPS = 1000


class Section(BaseModel):
    """A section of the settings: strict types, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Synthetic(Section):
    """Simulated localisation clouds of bent filaments (used when `data.source` is synthetic)."""

    files: Count = Field(description="raw files to write")
    clouds: Count = Field(description="clouds in each file")
    points: Count = Field(description="localisations in each cloud")
    box: tuple[Positive, Positive, Positive] = Field(description="field of view along x, y, z [nm]")
    filaments: tuple[Count, Count] = Field(description="fewest and most filaments in a cloud")
    persistence: Positive = Field(description="persistence length of a filament [nm]")
    diameter: Positive = Field(description="diameter of a filament [nm]")
    precision: tuple[Positive, Positive] = Field(
        description="localisation precision (standard deviation) across x, y and along z [nm]"
    )
    clutter: Fraction = Field(description="share of localisations that belong to no filament")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.filaments[0] > self.filaments[1]:
            raise ValueError(
                f"filaments: the fewest ({self.filaments[0]}) exceed the most ({self.filaments[1]})"
            )
        return self


class Split(Section):
    """Shares of the clouds in each split; they sum to 1."""

    train: Share = Field(description="share that models are trained on")
    val: Share = Field(description="share that watches the training")
    test: Share = Field(description="share that only the evaluation sees")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test is {total:g}, expected 1")
        return self


class GridSettings(Section):
    """The voxel grid and how points become counts in it."""

    shape: tuple[Count, Count, Count] = Field(description="voxels along x, y, z")
    bounds: Literal["train", "cloud"] | tuple[Interval, Interval, Interval] = Field(
        description="[min, max] along x, y, z in data.unit; or train: the extent of the train split; "
        "or cloud: each cloud is centred and scaled to the grid"
    )
    method: Literal["occupancy", "density", "gaussian"] = Field(
        description="0/1 per voxel, points per voxel, or points per voxel smoothed by a Gaussian"
    )
    sigma: Positive = Field(description="standard deviation of that Gaussian [voxels]")

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        if not isinstance(self.bounds, str):
            for axis, (low, high) in zip("xyz", self.bounds, strict=True):
                if not low < high:
                    raise ValueError(f"bounds along {axis}: min {low:g} is not below max {high:g}")
        return self


class IntensitySettings(Section):
    """The law that takes counts to the network's range, and back."""

    law: Literal["linear", "log1p"] = Field(description="counts, or log(1 + counts), then divided")
    quantile: Annotated[float, Field(gt=0, le=1)] = Field(
        description="quantile of a train volume's foreground voxels that maps to 1 (median over volumes)"
    )


class DataSettings(Section):
    """Where the clouds come from and how they become volumes."""

    source: Literal["synthetic", "h5"] = Field(description="simulated clouds, or the HDF5 files below")
    files: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")], str] = Field(
        description="name: path of each HDF5 file; the name marks everything made from it"
    )
    key: str = Field(
        description="dataset of shape (N, P, 3); or, with one group a cloud, the dataset in each group"
    )
    label: str | None = Field(description="dataset with one label a cloud, carried into the index")
    unit: Unit = Field(description="unit of the coordinates")
    min_points: Count = Field(description="clouds with fewer points are bad")
    on_bad_cloud: Literal["error", "skip"] = Field(
        description="stop, or leave the cloud out and list it in dropped.csv"
    )
    synthetic: Synthetic
    split: Split
    grid: GridSettings
    intensity: IntensitySettings
    flips: tuple[Axis, ...] = Field(
        description="axes along which a mirrored volume is as likely as the volume itself"
    )

    @model_validator(mode="after")
    def _has_files(self) -> Self:
        if self.source == "h5" and not self.files:
            raise ValueError("files: empty, but source is h5: give name: path of at least one file")
        return self

    @model_validator(mode="after")
    def _flips_differ(self) -> Self:
        if len(set(self.flips)) < len(self.flips):
            raise ValueError(f"flips: {', '.join(self.flips)} names an axis twice; name each once")
        return self


class Training(Section):
    """One training: its length, optimiser and averaging."""

    epochs: Count = Field(description="passes over the train split; raising it continues the training")
    schedule_epochs: Count = Field(description="epochs after which the cosine reaches its floor")
    batch: Count = Field(description="items in a step")
    learning_rate: Positive = Field(description="peak learning rate of AdamW")
    floor: Fraction = Field(description="final learning rate as a share of the peak")
    warmup_steps: Annotated[int, Field(ge=0)] = Field(description="steps of linear warm-up")
    weight_decay: Annotated[float, Field(ge=0)] = Field(description="decoupled weight decay")
    clip: Positive = Field(description="largest norm of the gradient")
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(description="decay of the averaged weights")


class AutoencoderNetwork(Section):
    """MONAI's AutoencoderKL; every level but the last halves the grid."""

    channels: tuple[Count, ...] = Field(description="width of each level")
    latent_channels: Count = Field(description="channels of the latent")
    res_blocks: Count = Field(description="residual blocks in a level")
    attention_levels: tuple[bool, ...] = Field(description="self-attention, for each level")
    norm_groups: Count = Field(description="groups of the group normalisation")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_levels(self.channels, self.attention_levels, self.norm_groups)
        return self

    @property
    def factor(self) -> int:
        """How many voxels along an axis share a latent."""
        return int(2 ** (len(self.channels) - 1))


class AutoencoderSettings(Section):
    """The first stage: volumes to latents and back."""

    source: str = Field(description="train, or the folder of a trained autoencoder")
    network: AutoencoderNetwork
    foreground_weight: Positive = Field(
        description="weight of a voxel of intensity 1 in the L1 loss (empty: 1)"
    )
    kl_weight: Annotated[float, Field(ge=0)] = Field(
        description="weight of the KL divergence per latent element"
    )
    training: Training


class DenoiserNetwork(Section):
    """MONAI's DiffusionModelUNet; every level but the last halves the latent."""

    channels: tuple[Count, ...] = Field(description="width of each level")
    res_blocks: Count = Field(description="residual blocks in a level")
    attention_levels: tuple[bool, ...] = Field(description="self-attention, for each level")
    head_channels: Count = Field(description="channels of an attention head")
    norm_groups: Count = Field(description="groups of the group normalisation")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_levels(self.channels, self.attention_levels, self.norm_groups)
        for width, attends in zip(self.channels, self.attention_levels, strict=True):
            if attends and width % self.head_channels:
                raise ValueError(f"head_channels {self.head_channels} does not divide the width {width}")
        return self

    @property
    def factor(self) -> int:
        """How many latents along an axis share the coarsest feature."""
        return int(2 ** (len(self.channels) - 1))


class DiffusionSettings(Section):
    """The second stage: noise to latents."""

    process: Literal["flow", "ddpm"] = Field(description="rectified flow, or DDPM that predicts the noise")
    posterior: Literal["draw", "mean"] = Field(description="train on posterior draws or on posterior means")
    network: DenoiserNetwork
    training: Training


class SamplingSettings(Section):
    """New volumes."""

    samples: Count = Field(description="volumes to draw")
    steps: Count = Field(description="steps of the sampler (Heun: two evaluations a step; DDIM: one)")


class EvaluationSettings(Section):
    """How reconstructions and samples are judged."""

    ssim_window: Annotated[int, Field(ge=3)] = Field(description="edge of the SSIM window [voxels], odd")
    dilation: Annotated[int, Field(ge=0)] = Field(
        description="voxels by which the foreground mask is dilated"
    )
    blur: Positive = Field(description="sigma of the blurred baseline [voxels]")
    points: Count = Field(description="points a cloud in the Chamfer distance")
    bootstrap: Count = Field(description="resamples behind each interval")
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(description="coverage of the intervals")

    @model_validator(mode="after")
    def _window_is_odd(self) -> Self:
        if self.ssim_window % 2 == 0:
            raise ValueError(
                f"ssim_window: {self.ssim_window} is even; windows are centred, give an odd edge"
            )
        return self


class Machine(Section):
    """How to compute, on this machine. Nothing here changes what is computed."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        description="where networks run; auto: a GPU if there is one"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        description="arithmetic of the networks; auto: bf16 where the processor has it"
    )
    threads: Count = Field(description="CPU threads of a network stage, at most --cores")
    compile: bool = Field(description="torch.compile the networks (minutes of warm-up)")
    batch: Count = Field(description="volumes at once where no gradient is needed")
    cache_gb: Positive = Field(description="volumes kept in memory during training [GB]")
    checkpoint_minutes: Positive = Field(
        description="a training's state is saved this often, and at every epoch"
    )
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
    diffusion: DiffusionSettings
    sampling: SamplingSettings
    evaluation: EvaluationSettings
    machine: Machine

    @model_validator(mode="after")
    def _ddim_steps_are_even(self) -> Self:
        if self.diffusion.process == "ddpm" and DDPM_STEPS % self.sampling.steps:
            raise ValueError(
                f"sampling.steps: {self.sampling.steps} does not divide the {DDPM_STEPS} steps of the DDPM; "
                "try 50 or 100"
            )
        return self

    @model_validator(mode="after")
    def _factors_divide(self) -> Self:
        factor = self.autoencoder.network.factor
        coarsest = factor * self.diffusion.network.factor
        for axis, size in zip("xyz", self.data.grid.shape, strict=True):
            if size % coarsest:
                raise ValueError(
                    f"data.grid.shape: {size} voxels along {axis} cannot be halved as often as the networks "
                    f"do: expected a multiple of {coarsest} (autoencoder {factor} x denoiser "
                    f"{coarsest // factor}); try {max(1, round(size / coarsest)) * coarsest}, or fewer "
                    "levels in autoencoder.network.channels or diffusion.network.channels"
                )
        return self


def _check_levels(channels: tuple[int, ...], attention: tuple[bool, ...], groups: int) -> None:
    if not channels:
        raise ValueError("channels: empty, expected the width of at least one level")
    if len(channels) != len(attention):
        raise ValueError(f"channels has {len(channels)} levels, attention_levels {len(attention)}")
    for width in channels:
        if width % groups:
            raise ValueError(f"norm_groups {groups} does not divide the width {width}")


def raw_files(data: DataSettings, results: Path) -> dict[str, str]:
    """Name and path of each raw file, simulated or given."""
    if data.source == "synthetic":
        names = [f"filaments-{i}" for i in range(data.synthetic.files)]
        return {name: str(results / "raw" / f"{name}.h5") for name in names}
    return dict(data.files)
