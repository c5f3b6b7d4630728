"""The section `data.grid`: voxels."""

from typing import Literal, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Count, Interval, Positive, Section


class GridSettings(Section):
    """The voxel grid and how points become counts in it."""

    shape: tuple[Count, Count, Count] = Field(description="voxels along x, y, z")
    bounds: Literal["train", "cloud"] | tuple[Interval, Interval, Interval] = Field(
        description="[min, max] along x, y, z in data.unit; or train: the extent of the train split; "
        "or cloud: each cloud is centred and scaled to the grid (volume sources: see data.scans.spacing)"
    )
    method: Literal["occupancy", "density", "gaussian"] = Field(
        description="0/1 per voxel, points per voxel, or points per voxel smoothed by a Gaussian"
    )
    sigma: Positive = Field(description="standard deviation of that Gaussian [voxels]")
    dtype: Literal["auto", "uint8", "uint16", "float32"] = Field(
        description="type of stored voxels; auto: uint8 for occupancy, else float32"
    )

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        if not isinstance(self.bounds, str):
            for axis, (low, high) in zip("xyz", self.bounds, strict=True):
                if not low < high:
                    raise ValueError(f"bounds along {axis}: min {low:g} is not below max {high:g}")
        return self

    @model_validator(mode="after")
    def _type_holds_the_counts(self) -> Self:
        if self.method == "gaussian" and self.dtype.startswith("uint"):
            raise ValueError(f"dtype: {self.dtype} cannot hold gaussian counts, which are fractions")
        return self
