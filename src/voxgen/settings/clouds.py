"""How clouds are found in raw files: the keys of the section `data` that say so."""

from typing import Literal, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Count, Positive, Section, Unit

Source = Literal["synthetic", "h5", "csv", "spheres", "nifti", "decathlon"]


class CloudSettings(Section):
    """How clouds are found in raw files; null: found out (`voxgen inspect FILE` shows what)."""

    source: Source = Field(
        description="clouds: synthetic (simulated), h5 or csv files; volumes: spheres (simulated), "
        "nifti files, or a decathlon task"
    )
    key: str | None = Field(
        description="HDF5 path of the coordinates: a dataset, or a pattern (cell*/points) of one per cloud"
    )
    columns: tuple[int | str, ...] | None = Field(
        description="columns of x, y, z (or x, y): numbers from 0, or names of fields, datasets, CSV headers"
    )
    group_by: str | None = Field(
        description="column or dataset whose values tell the clouds of a table apart; none: it is one cloud"
    )
    offsets: str | None = Field(description="dataset with the first point of each cloud of a table")
    counts: str | None = Field(
        description="dataset with the number of points of each cloud; until_repeat: up to where its last "
        "point is repeated; none: all rows are points"
    )
    mask: int | str | None = Field(
        description="dataset, or name or number of a column, that is true (not NAME: false) where a row is a "
        "point; none: nowhere"
    )
    missing: tuple[float, ...] | None = Field(
        description="numbers in the files that mean no coordinate: rows with one, with NaN or infinity are "
        "left out; null: they make a cloud bad, as do numbers that look so"
    )
    normalised: Literal["keep"] | None = Field(
        description="keep: take the numbers of normalised clouds as they are; null: give them back in their "
        "units by min_vals and max_vals, mean and std or the like beside them"
    )
    tile: tuple[Positive, ...] | None = Field(
        description="edges along x, y (and z) of the tiles that a table is cut into, a cloud each [data.unit]"
    )
    z: float | None = Field(description="z of every point where files have none [data.unit]")
    scale: Positive | tuple[Positive, Positive, Positive] | None = Field(
        description="factor from the files' numbers to data.unit, one or for x, y, z; null: from their units"
    )
    unit: Unit = Field(description="unit of the coordinates in all that voxgen makes")
    min_points: Count = Field(description="clouds with fewer points are bad; tiles with fewer are background")

    @property
    def columns_are_numbers(self) -> bool:
        """Whether columns are given, and by their numbers."""
        return self.columns is not None and all(isinstance(column, int) for column in self.columns)

    def named(self, setting: str) -> str | None:
        """What a setting names in the files; None where it is null or a word of its own."""
        value = getattr(self, setting)
        return None if value in (None, "none", "until_repeat") else str(value)

    @model_validator(mode="after")
    def _counts_of_axes(self) -> Self:
        if self.columns is not None and len(self.columns) not in (2, 3):
            raise ValueError(f"columns: {len(self.columns)} given, expected x, y, z (or x, y with data.z)")
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns: {', '.join(map(str, self.columns))} names one twice; name each once")
        if self.tile is not None and len(self.tile) not in (2, 3):
            raise ValueError(f"tile: {len(self.tile)} edges given, expected x, y or x, y, z")
        return self

    @model_validator(mode="after")
    def _one_way_to_tell_clouds_apart(self) -> Self:
        ways = [name for name in ("group_by", "offsets", "tile") if getattr(self, name) not in (None, "none")]
        if len(ways) > 1:
            raise ValueError(f"{ways[0]} and {ways[1]} both tell clouds apart; give one of them")
        return self
