"""What a prior is told of items, and how samples go by it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Fraction, Section

LABEL = "label"  # a column of tables, beside those called as covariates


class ConditionSettings(Section):
    """What of the index a prior is conditioned on."""

    label: bool = Field(description="whether on the class that data.label names")
    covariates: tuple[str, ...] = Field(
        description="numbers in the index: attributes, columns of data.covariates or of a list of scans"
    )
    dropped: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="share of items that are shown without their condition, drawn anew in each epoch; "
        "guidance needs some"
    )

    @property
    def names(self) -> tuple[str, ...]:
        """What is told of an item, under the names that columns of a table have."""
        return (*((LABEL,) if self.label else ()), *self.covariates)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.names:
            raise ValueError("label: false, and no covariates; name some, or set condition to null")
        if LABEL in self.covariates or len(set(self.names)) < len(self.names):
            raise ValueError(
                f"covariates: {', '.join(self.covariates)}; name each once, and the class by label: true"
            )
        return self


class Guidance(Section):
    """Classifier-free guidance: how far samples go along what the condition changes."""

    scale: Annotated[float, Field(ge=0)] = Field(
        description="0: as without a condition, 1: as with it, above: further"
    )
    interval: tuple[Fraction, Fraction] = Field(
        description="times, from 0 (latents) to 1 (noise), between which it acts"
    )

    @model_validator(mode="after")
    def _interval_is_one(self) -> Self:
        if self.interval[0] >= self.interval[1]:
            raise ValueError(
                f"interval: {self.interval[0]:g} to {self.interval[1]:g}; give the smaller first"
            )
        return self
