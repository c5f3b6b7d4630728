"""The section `gates`: what the scores are held against."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Fraction, Section

Similarity = Annotated[float, Field(ge=-1, le=1)]
Limit = Annotated[float, Field(ge=0)]
Limits = tuple[Fraction, Fraction]


class Gates(Section):
    """What decides the verdicts; shares, so 0.05 is 5 %.

    A score of samples passes where its permutation test finds no difference from the test volumes; a
    difference beyond the score's limit fails; for a smaller one somebody has to look. What has no test has
    limits (pass, fail): a value as good as the first passes; one whose whole interval is worse than the
    second fails.
    """

    level: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="corrected p-value below which a difference is found: the share of false alarms"
    )
    counts: Limit = Field(description="of samples, total counts: relative difference (volumes of counts)")
    occupancy: Limit = Field(description="of samples: relative difference, up or down")
    sharpness: Limit = Field(description="of samples: relative difference, up or down")
    specks: Limit = Field(description="of samples: relative difference of their number, up or down")
    pieces: Limit = Field(description="of samples: relative difference of their number, up or down")
    length: Limit = Field(description="of samples, all skeletons: relative difference, up or down")
    longest: Limit = Field(description="of samples, longest skeleton: relative difference, up or down")
    thickness: Limit = Field(description="of samples: relative difference, up or down")
    diversity: Limit = Field(description="of samples: mean MS-SSIM between them less that of test volumes")
    classifier: Limit = Field(description="accuracy of a classifier, samples or not: away from 0.5")
    nearest_neighbour: Limit = Field(description="1-NNA of samples: away from 0.5 (volumes of counts)")
    memorised: Limit = Field(description="share of samples that are too close to one train volume")
    ssim: tuple[Similarity, Similarity] = Field(description="of reconstructions, at least")
    count_error: Limits = Field(description="of reconstructions, at most (share; volumes of counts)")
    latent_std: Limits = Field(description="of sampled latents, deviation from 1 at most")
    stop_on_fail: bool = Field(description="a verdict `fail` ends the run with an error, after the report")

    @property
    def level_of_copies(self) -> float:
        """The part of the level that the test for copies gets: 3 copies among 64 samples have p = 0.006."""
        return self.level / 4

    @property
    def level_of_samples(self) -> float:
        """The part that the other scores of samples get together."""
        return self.level - self.level_of_copies

    def limits(self) -> dict[str, tuple[float, float]]:
        """The limits (pass, fail) of what has no test, by name."""
        return {name: limits for name, limits in self if isinstance(limits, tuple)}

    @model_validator(mode="after")
    def _fail_is_worse(self) -> Self:
        for name, (passes, fails) in self.limits().items():
            if (fails > passes) == (name == "ssim") and fails != passes:
                order = "below" if name == "ssim" else "above"
                raise ValueError(
                    f"{name}: [{passes}, {fails}]: the second, where it fails, lies {order} the first"
                )
        return self
