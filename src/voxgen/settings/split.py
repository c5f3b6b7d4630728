"""The section `data.split`: who is trained on, who watches, who is only tested."""

from typing import Self

from pydantic import Field, model_validator

from voxgen.settings.base import Section, Share


class SplitSettings(Section):
    """Shares of the clouds in each split; they sum to 1."""

    train: Share = Field(description="share that models are trained on")
    val: Share = Field(description="share that watches the training")
    test: Share = Field(description="share that only the evaluation sees")
    group: str | None = Field(
        description="label, attribute, column or file whose equal values share a split (patients, say)"
    )
    stratify: str | None = Field(
        description="label, attribute or column whose values are spread evenly over the splits"
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test is {total:g}, expected 1")
        return self
