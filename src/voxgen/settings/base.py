"""What every section of the settings shares: strictness and the types of its values."""

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Interval = tuple[float, float]
Axis = Literal["x", "y", "z"]
Plane = Literal["xy", "xz", "yz"]
Unit = Literal["nm", "um", "mm", "unitless"]
Stored = dict[str, Any]

WHOLE = {"whole": True}  # context of a dump that is to be read again: nothing is left out


class Section(BaseModel):
    """A section of the settings: strict types, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Kinds(Section):
    """A section with one section for each `kind`, side by side; what is stored holds the chosen one alone."""

    @model_serializer(mode="wrap")
    def _chosen_alone(self, serialize: SerializerFunctionWrapHandler, info: SerializationInfo) -> Stored:
        others = {*get_args(type(self).model_fields["kind"].annotation)} - {self.kind}  # type: ignore[attr-defined]
        others = set() if info.context == WHOLE else others
        return {name: value for name, value in serialize(self).items() if name not in others}


class Sparse(Section):
    """A section without its null values where it is stored: a key that came later makes nothing stale."""

    @model_serializer(mode="wrap")
    def _without_nulls(self, serialize: SerializerFunctionWrapHandler, info: SerializationInfo) -> Stored:
        whole = info.context == WHOLE
        return {name: value for name, value in serialize(self).items() if whole or value is not None}
