"""What every section of the settings shares: strictness and the types of its values."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Interval = tuple[float, float]
Axis = Literal["x", "y", "z"]
Plane = Literal["xy", "xz", "yz"]
Unit = Literal["nm", "um", "mm", "unitless"]


class Section(BaseModel):
    """A section of the settings: strict types, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Kinds(Section):
    """A section with one section for each `kind`, side by side; what is stored holds the chosen one alone."""

    @model_serializer(mode="wrap")
    def _chosen_alone(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        others = {*get_args(type(self).model_fields["kind"].annotation)} - {self.kind}  # type: ignore[attr-defined]
        return {name: value for name, value in serialize(self).items() if name not in others}
