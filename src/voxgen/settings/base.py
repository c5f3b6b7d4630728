"""What every section of the settings shares: strictness and the types of its values."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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
