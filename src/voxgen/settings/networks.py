"""What the networks of all models share, and those of first stages."""

from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from voxgen.factors import Factors, stem_of_itself, steps_between
from voxgen.settings.base import Count, Section, Sparse


def _as_steps(given: Any) -> Any:
    """Tuples of what JSON has as lists, where these are factors.

    Raises:
        PydanticCustomError: they are none; one message for all that can be wrong.
    """
    steps = given if isinstance(given, list | tuple) else [given]
    along = [step if isinstance(step, list | tuple) and len(step) == 3 else [step] for step in steps]
    if given is None:
        return None
    if steps is not given or not all(type(factor) is int and factor >= 1 for factor in chain(*along)):
        raise PydanticCustomError(
            "factors",
            "expected a list with one entry for each step between levels, each a whole number from 1 on, or "
            "three along x, y, z, such as [4, 2] or [[4, 4, 2], [2, 2, 1]]",
        )
    return tuple(step if isinstance(step, int) else tuple(step) for step in steps)


Steps = Annotated[tuple[Count | tuple[Count, Count, Count], ...] | None, BeforeValidator(_as_steps)]


class LevelsSettings(Section):
    """The levels of a network."""

    channels: tuple[Count, ...] = Field(description="width of each level")
    res_blocks: Count = Field(description="residual blocks per level")
    attention_levels: tuple[bool, ...] = Field(description="self-attention, per level")
    norm_groups: Count = Field(description="groups of the group normalisation")

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


class StemSettings(Section):
    """What becomes of volumes before the first level of a first stage."""

    stem: Literal["auto"] | tuple[Count, Count, Count] = Field(
        description="voxels along x, y, z that are folded into channels before the first level; an axis that "
        "has one voxel then is neither convolved along nor shrunk; auto: 2, and all of a thin axis (at most "
        "8 voxels and a quarter of the longest)"
    )

    def stem_for(self, shape: Sequence[int]) -> Sequence[int]:
        """The stem of volumes (X, Y, Z)."""
        return self.stem if self.stem != "auto" else stem_of_itself(shape)


class VolumeNetwork(StemSettings, LevelsSettings, Sparse):
    """The network of a first stage, which shrinks volumes before the first level and between levels."""

    factors: Steps = Field(
        description="voxels of a level per voxel of the next, for each step between levels: a number, or "
        "three along x, y, z; null: 2"
    )

    @property
    def steps(self) -> tuple[Factors, ...]:
        """The factors along x, y, z of each step between levels."""
        return steps_between(len(self.channels), self.factors)

    @model_validator(mode="after")
    def _factors_fit_the_levels(self) -> Self:
        if self.factors is not None and len(self.factors) != len(self.channels) - 1:
            raise ValueError(
                f"factors: {len(self.factors)} for the {len(self.channels)} levels of channels, expected "
                f"{len(self.channels) - 1}, one for each step from a level to the next; null: 2 everywhere"
            )
        return self
