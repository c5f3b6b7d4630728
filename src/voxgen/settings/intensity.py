"""The section `data.intensity`: from counts to the network's range."""

from typing import Annotated, Literal

from pydantic import Field

from voxgen.settings.base import Section


class IntensitySettings(Section):
    """The law that takes counts to the network's range, and back."""

    law: Literal["linear", "log1p"] = Field(
        description="counts, or log(1 + counts), then divided; volumes that are no counts keep their values"
    )
    quantile: Annotated[float, Field(gt=0, le=1)] = Field(
        description="quantile of a train volume's foreground voxels that maps to 1 (median over volumes)"
    )
