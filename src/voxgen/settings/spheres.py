"""The section `data.spheres`: simulated volumes."""

from typing import Self

from pydantic import Field, model_validator

from voxgen.settings.base import Count, Interval, Positive, Section


class Spheres(Section):
    """Simulated volumes, each with one sphere of normally distributed values (source spheres)."""

    files: Count = Field(description="tables of spheres to write")
    volumes: Count = Field(description="volumes of each table")
    radius: tuple[Positive, Positive] = Field(description="smallest and largest radius [voxels]")
    mean: Interval = Field(description="smallest and largest mean of the values inside")
    deviation: tuple[Positive, Positive] = Field(
        description="smallest and largest standard deviation of the values inside"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("radius", "mean", "deviation"):
            low, high = getattr(self, name)
            if not low < high:
                raise ValueError(f"{name}: the smallest ({low:g}) is not below the largest ({high:g})")
        return self
