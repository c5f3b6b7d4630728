"""What the networks of all models share."""

from typing import Self

from pydantic import Field, model_validator

from voxgen.settings.base import Count, Section


class LevelsSettings(Section):
    """The levels of a network; every one but the last halves each axis that has several voxels."""

    channels: tuple[Count, ...] = Field(description="width of each level")
    res_blocks: Count = Field(description="residual blocks per level")
    attention_levels: tuple[bool, ...] = Field(description="self-attention, per level")
    norm_groups: Count = Field(description="groups of the group normalisation")

    @property
    def factor(self) -> int:
        """Voxels of the first level per voxel of the last, along an axis of several voxels."""
        return 1 << (len(self.channels) - 1)

    @model_validator(mode="after")
    def _levels_fit_each_other(self) -> Self:
        if not self.channels:
            raise ValueError("channels: empty, expected the width of at least one level")
        if len(self.channels) != len(self.attention_levels):
            raise ValueError(
                f"channels has {len(self.channels)} levels, attention_levels {len(self.attention_levels)}"
            )
        for width in self.channels:
            if width % self.norm_groups:
                raise ValueError(f"norm_groups {self.norm_groups} does not divide the width {width}")
        return self
