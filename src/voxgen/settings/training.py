"""What the trainings of all networks share."""

from typing import Annotated, Literal

from pydantic import Field

from voxgen.settings.base import Count, Fraction, Positive, Section


class Training(Section):
    """One training: its length, optimiser and averaging."""

    epochs: Count = Field(description="passes over the train split; raising it continues the training")
    schedule_epochs: Count = Field(description="epochs after which the learning rate reaches its floor")
    batch: Count = Field(description="items in a step")
    learning_rate: Positive = Field(
        description="peak learning rate of Muon, and of AdamW for what is no matrix"
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        description="way of the learning rate from its peak to its floor, after the warm-up"
    )
    floor: Fraction = Field(description="final learning rate as a share of the peak")
    warmup_steps: Annotated[int, Field(ge=0)] = Field(description="steps of linear warm-up")
    weight_decay: Annotated[float, Field(ge=0)] = Field(description="decoupled weight decay")
    clip: Positive = Field(description="largest norm of the gradient")
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(description="decay of the averaged weights")
    patience: Count | None = Field(
        description="epochs without a lower validation loss that end the training; null: it goes to `epochs`"
    )
    weights: Literal["last", "best"] = Field(
        description="averaged weights that are kept: after the last epoch, or of the lowest validation loss"
    )
    fast_dev_run: bool = Field(description="two steps and one batch of validation, to see that all works")
