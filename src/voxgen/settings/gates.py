"""The section `gates`: what the scores are held against."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Fraction, Section

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
    stop_on_fail: bool = Field(description="a verdict `fail` ends the run with an error, after the report")

    @model_validator(mode="after")
    def _fail_is_worse(self) -> Self:
        for name, (passes, fails) in self.model_dump(exclude={"stop_on_fail"}).items():
            if (fails > passes) == (name == "ssim") and fails != passes:
                order = "below" if name == "ssim" else "above"
                raise ValueError(
                    f"{name}: [{passes}, {fails}]: the second, where it fails, lies {order} the first"
                )
        return self
