"""The section `evaluation`: what is measured, and how."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Count, Positive, Section


class EvaluationSettings(Section):
    """How reconstructions and samples are measured."""

    ssim_window: Annotated[int, Field(ge=3)] = Field(description="edge of the SSIM window [voxels], odd")
    dilation: Annotated[int, Field(ge=0)] = Field(
        description="voxels by which the foreground mask is dilated"
    )
    blur: Positive = Field(description="sigma of the blurred baseline [voxels]")
    points: Count = Field(description="points per cloud in the Chamfer distance")
    matched_points: Count = Field(
        description="points per cloud in the earth mover's distance, at most `points`"
    )
    matched_clouds: Annotated[int, Field(ge=2)] = Field(
        description="clouds of a set in the earth mover's distance, at most"
    )
    diverse: Annotated[int, Field(ge=2)] = Field(
        description="volumes of a set that are compared with each other by MS-SSIM, at most"
    )
    pooled: Annotated[int, Field(ge=2)] = Field(
        description="voxels along the longest axis at which nearest train volumes are looked for"
    )
    medicalnet: str | None = Field(
        description="file of MedicalNet weights, for a second kind of features; null: none"
    )
    permutations: Annotated[int, Field(ge=999)] = Field(
        description="labellings behind each p-value: the smallest one is 1 / (1 + permutations)"
    )
    bootstrap: Annotated[int, Field(ge=20)] = Field(description="resamples behind each interval")
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(description="coverage of the intervals")

    @model_validator(mode="after")
    def _window_is_odd(self) -> Self:
        if self.ssim_window % 2 == 0:
            raise ValueError(
                f"ssim_window: {self.ssim_window} is even; windows are centred, give an odd edge"
            )
        return self

    @model_validator(mode="after")
    def _matched_are_points(self) -> Self:
        if self.matched_points > self.points:
            raise ValueError(f"matched_points: {self.matched_points} is more than points: {self.points}")
        return self
