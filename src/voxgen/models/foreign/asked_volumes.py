"""The volumes that a network was trained on, of which its weights tell nothing."""

from pathlib import Path
from typing import get_args

from voxgen.io.files import read_json
from voxgen.models.foreign.answers import Answers
from voxgen.settings.base import Count, Positive, Unit
from voxgen.volumes.grid import Grid, Method
from voxgen.volumes.intensity import IDENTITY, Intensity

Triple = tuple[Positive, Positive, Positive]
IN_A_RUN = "a run on the same volumes has all of it: voxels=results/voxels instead"


def asked_volumes(answers: Answers, halved: int) -> tuple[Grid, Intensity]:
    """Grid and intensity law of volumes that a network halves so often, and with them the last answers.

    Raises:
        InputError: answers are missing or wrong, or there is no such folder of a run.
    """
    if "voxels" in answers:
        folder = Path(answers.take("voxels", str, "folder with grid.json and intensity.json"))
        for name in ("grid.json", "intensity.json"):
            if not (folder / name).is_file():
                answers.refuse("voxels", f"no {name} there; expected results/voxels of a run")
        answers.settle()
        grid, law = (
            Grid.from_json(read_json(folder / "grid.json")),
            Intensity.from_json(read_json(folder / "intensity.json")),
        )
        _refuse_uneven(answers, "voxels", grid.shape, halved)
        answers.settle()
        return grid, law
    shape = answers.take("shape", tuple[Count, Count, Count], "voxels along x, y, z, as [64, 64, 32]")
    spacing = answers.take("spacing", Triple, "edges of a voxel along x, y, z [unit]")
    unit = answers.take("unit", str, "unit of the spacing", get_args(Unit))
    method = answers.take("method", str, "what voxels hold; intensity: values of scans", get_args(Method))
    smoothed, scans = method == "gaussian", method == "intensity"
    sigma = answers.take("sigma", Positive, "of the Gaussian [voxels]", () if smoothed else (1.0,))
    placements = ("cloud",) if scans else ("fixed", "cloud")
    placement = answers.take("placement", str, "one grid for all, or one around each cloud", placements)
    laws = ("identity",) if scans else ("linear", "log1p")
    law = answers.take("law", str, "networks see law(counts) / divisor", laws)
    divisor = answers.take("divisor", Positive, "of the law", (1.0,) if scans else ())
    if shape is not None:
        _refuse_uneven(answers, "shape", shape, halved)
    answers.settle(hint=IN_A_RUN)
    grid = Grid(shape, (0.0, 0.0, 0.0), spacing, unit, method, sigma, placement)
    return grid, IDENTITY if scans else Intensity(law, divisor)


def _refuse_uneven(answers: Answers, key: str, shape: tuple[int, ...], halved: int) -> None:
    along = zip("xyz", shape, strict=True)
    bad = [f"{size} voxels along {axis}" for axis, size in along if size == 1 or size % 2**halved]
    if bad:
        answers.refuse(key, f"{', '.join(bad)}; the network sees two or more, multiples of {2**halved}")
