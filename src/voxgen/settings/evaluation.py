"""The section `evaluation`: what is measured, and what the verdicts are held against."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Count, Fraction, Positive, Section

Similarity = Annotated[float, Field(ge=-1, le=1)]
Limits = tuple[Fraction, Fraction]


class Gates(Section):
    """Limits of the verdicts, each (pass, fail); shares, so 0.05 is 5 %.

    A value as good as the first passes; one whose whole interval is worse than the second fails; between
    them somebody has to look.
    """

    ssim: tuple[Similarity, Similarity] = Field(description="of reconstructions, at least")
    count_error: Limits = Field(description="of reconstructions, at most (share; volumes of counts)")
    occupancy: Limits = Field(description="of samples, relative difference at most, up or down")
    sharpness: Limits = Field(description="of samples, relative difference at most, up or down")
    nearest_neighbour: Limits = Field(
        description="1-NNA of samples, at most this much farther from 0.5 than the floor (volumes of counts)"
    )
    latent_std: Limits = Field(description="of sampled latents, deviation from 1 at most")
    memorised: Limits = Field(
        description="share of samples too near to train volumes, at most this much above what is expected"
    )

    @model_validator(mode="after")
    def _fail_is_worse(self) -> Self:
        for name, (passes, fails) in self:
            if (fails > passes) == (name == "ssim") and fails != passes:
                order = "below" if name == "ssim" else "above"
                raise ValueError(
                    f"{name}: [{passes}, {fails}]: the second, where it fails, lies {order} the first"
                )
        return self


class Measures(Section):
    """How reconstructions and samples are measured."""

    ssim_window: Annotated[int, Field(ge=3)] = Field(description="edge of the SSIM window [voxels], odd")
    dilation: Annotated[int, Field(ge=0)] = Field(
        description="voxels by which the foreground mask is dilated"
    )
    blur: Positive = Field(description="sigma of the blurred baseline [voxels]")
    points: Count = Field(description="points a cloud in the Chamfer distance")
    matched_points: Count = Field(
        description="points a cloud in the earth mover's distance, at most `points`"
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


class EvaluationSettings(Measures):
    """How reconstructions and samples are measured and judged."""

    gates: Gates
    stop_on_fail: bool = Field(description="a verdict `fail` ends the run with an error, after the report")


def measures(section: Any) -> Measures:
    """The part of a section, or of what `settings.loading.only` leaves of it, that measures."""
    return Measures(**{name: getattr(section, name) for name in Measures.model_fields})
