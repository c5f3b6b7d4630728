"""The section `data.scans`: image volumes."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Positive, Section


class Scans(Section):
    """How image volumes are brought onto the grid (sources nifti and decathlon)."""

    spacing: tuple[Positive, Positive, Positive] = Field(description="edges of a voxel along x, y, z [mm]")
    channel: Annotated[int, Field(ge=0)] | str | None = Field(
        description="volume of 4D files: its number from 0, or its name in dataset.json; null: files are 3D"
    )
    channel_axis: Literal["first", "last"] | None = Field(
        description="which axis of 4D files numbers the volumes: first (channel, x, y, z), last (x, y, z, "
        "channel); null: the last, but files whose first axis may be it are refused"
    )
    percentiles: tuple[Annotated[float, Field(ge=0, le=100)], Annotated[float, Field(ge=0, le=100)]] = Field(
        description="percentiles of each volume that become 0 and 1"
    )
    task: str | None = Field(
        description="task of the Medical Segmentation Decathlon to download where data.files is empty, "
        "for example Task01_BrainTumour"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.percentiles
        if not low < high:
            raise ValueError(f"percentiles: the lower ({low:g}) is not below the upper ({high:g})")
        return self
