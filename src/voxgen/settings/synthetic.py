"""The section `data.synthetic`: simulated localisation clouds."""

from typing import Self

from pydantic import Field, model_validator

from voxgen.settings.base import Count, Fraction, Positive, Section


class Synthetic(Section):
    """Simulated localisation clouds of bent filaments (source synthetic)."""

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
