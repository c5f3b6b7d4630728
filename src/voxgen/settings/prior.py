"""The section `prior`: the second stage, which draws new latents."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from voxgen.errors import InputError
from voxgen.least_steps import refuse_steps
from voxgen.settings.base import Count, Kinds, Positive, Sparse
from voxgen.settings.conditions import ConditionSettings
from voxgen.settings.networks import LevelsSettings
from voxgen.settings.training import Training
from voxgen.settings.transformer import TransformerSettings

OF_PROCESS = {"flow": ("coupling",), "ddpm": ("prediction", "schedule", "min_snr", "zero_snr")}


class UNetSettings(LevelsSettings):
    """The network of a denoiser, with the layers of MONAI's DiffusionModelUNet.

    Every level but the last halves each axis that has several voxels.
    """

    head_channels: Count = Field(description="channels per attention head")

    @property
    def factor(self) -> int:
        """Voxels of the first level per voxel of the last, along an axis of several voxels."""
        return 1 << (len(self.channels) - 1)

    @model_validator(mode="after")
    def _heads_fit_the_width(self) -> Self:
        for width, attends in zip(self.channels, self.attention_levels, strict=True):
            if attends and width % self.head_channels:
                raise ValueError(f"head_channels {self.head_channels} does not divide the width {width}")
        return self


class DiffusionSettings(Sparse):
    """A denoiser that takes noise to latents in steps (kind diffusion)."""

    process: Literal["flow", "ddpm"] = Field(description="rectified flow, or DDPM in 1000 steps")
    times: Literal["uniform", "logit_normal", "stratified"] | None = Field(
        description="how the times of training are drawn; stratified: evenly over each batch; null: uniform"
    )
    coupling: Annotated[int, Field(ge=2)] | None = Field(
        description="flow: items among which noise is given to latents by optimal transport; null: by chance"
    )
    prediction: Literal["epsilon", "v", "x0"] | None = Field(
        description="ddpm: what the denoiser predicts; null: epsilon"
    )
    schedule: Literal["scaled_linear", "linear", "cosine"] | None = Field(
        description="ddpm: how the latents fade; null: scaled_linear"
    )
    min_snr: Positive | None = Field(
        description="ddpm: signal-to-noise ratio up to which errors of the latents are weighted by it "
        "(usual: 5); null: errors of what is predicted count alike"
    )
    zero_snr: bool | None = Field(
        description="ddpm: whether the schedule is rescaled to end at noise alone; null: false"
    )
    network: UNetSettings
    training: Training

    @model_validator(mode="after")
    def _keys_suit_the_process(self) -> Self:
        for process, keys in OF_PROCESS.items():
            for key in keys:
                if process != self.process and getattr(self, key) is not None:
                    raise ValueError(
                        f"{key}: {getattr(self, key)}, but process {self.process} has none; set it to null, "
                        f"or process: {process}"
                    )
        if self.zero_snr and self.prediction in (None, "epsilon"):
            raise ValueError(
                "zero_snr: true, but where nothing of the latents is left the noise (prediction epsilon) "
                "does not tell them; set prediction: v or x0"
            )
        if self.zero_snr and self.min_snr:
            raise ValueError(
                f"zero_snr: true, but min_snr: {self.min_snr} gives the step of noise alone no weight, and "
                "sampling would start untrained; set one of them to null"
            )
        return self

    def refuse(self, sampling: dict[str, Any]) -> None:
        """Let no section `sampling` pass, plain, that does not suit.

        Raises:
            InputError: the sampler makes no sense along the process, or needs more steps or fewer; or a key
                is of another kind of prior.
        """
        for key, usual in (("temperature", 1.0), ("top_k", None)):
            if sampling.get(key, usual) != usual:
                raise InputError(
                    f"sampling.{key}: {sampling[key]}, but prior.kind diffusion has none; set it to "
                    f"{'null' if usual is None else usual}"
                )
        refuse_steps(self.model_dump(mode="json"), sampling)


class PriorSettings(Kinds):
    """The second stage: new latents."""

    source: str = Field(description="train, or the folder of a trained prior, which brings its scale")
    kind: Literal["diffusion", "transformer"] = Field(
        description="which kind is trained; each has a section of its own"
    )
    posterior: Literal["draw", "mean"] = Field(description="train on posterior draws or on posterior means")
    condition: ConditionSettings | None = Field(
        description="what it is told of each item; null: nothing. With `source`: what that prior is told"
    )
    diffusion: DiffusionSettings
    transformer: TransformerSettings

    @property
    def chosen(self) -> DiffusionSettings | TransformerSettings:
        """The section of `kind`."""
        section: DiffusionSettings | TransformerSettings = getattr(self, self.kind)
        return section
