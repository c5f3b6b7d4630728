"""voxgen in Python: trained models without the workflow (docs/python.md).

import voxgen
model = voxgen.load("results")
model.sample(1)[0].save("sample.nii.gz")

Importing it is light; `load` imports torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from voxgen.generation.generative_model import Model
    from voxgen.generation.volume import Volume

__all__ = ["load", "read"]


def load(
    folder: str | Path,
    *,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    batch: int = 16,
) -> "Model":
    """The trained model in a results folder, or in a copy of results/model.

    `device`, `precision` and `batch`, the volumes at once, are as in section `machine` of the settings; torch
    has as many threads as it has already.

    Raises:
        voxgen.errors.InputError: the folder holds no model, or its parts do not belong together.
    """
    import torch

    from voxgen.generation.generative_model import load_model
    from voxgen.settings.loading import checked
    from voxgen.settings.machine import Inference

    given = {"device": device, "precision": precision, "batch": batch, "threads": torch.get_num_threads()}
    return load_model(Path(folder), checked(Inference, given))


def read(path: str | Path) -> "Volume":
    """A volume from a NIfTI file that voxgen wrote; what is in nm comes back in um, since NIfTI has no nm.

    Raises:
        voxgen.errors.InputError: the file cannot be read, or its axes are not those of the world.
    """
    from voxgen.generation.volume import read_volume_file

    return read_volume_file(Path(path))
