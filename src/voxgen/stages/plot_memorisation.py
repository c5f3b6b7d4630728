"""Stage plot_memorisation: samples beside the train volumes that they are nearest to."""

from pathlib import Path
from typing import Any

from voxgen.batches.views import views
from voxgen.figures.sheet import quantity_of
from voxgen.figures.volume_sheets import Paired, save_pairs
from voxgen.io.files import read_json
from voxgen.volumes.grid import Grid
from voxgen.volumes.nifti import read_volume

SHOWN = 3  # pairs of each space


def plot_memorisation(scores: Path, samples: Path, train: Path, latents: Path, grid: Path, out: Path) -> None:
    """Draw the nearest pairs of memorisation.json into the PNG `out`.

    `samples` and `train` are folders of volumes; the config.json in `latents` says which views were allowed:
    each train volume is drawn in the one that is nearest.
    """
    frame, config = Grid.from_json(read_json(grid)), read_json(latents / "config.json")
    allowed = views(config["flips"], config["rotations"])

    def paired(space: str, pair: dict[str, Any]) -> Paired:
        return Paired(
            f"{space}: {pair['ratio']:.2f}\n{pair['sample']}",
            read_volume(samples / f"{pair['sample']}.nii.gz"),
            pair["train"],
            allowed[pair["view"]](read_volume(train / f"{pair['train']}.nii.gz")),
        )

    spaces = read_json(scores)["spaces"]
    shown = [paired(name, pair) for name, space in spaces.items() for pair in space["pairs"][:SHOWN]]
    save_pairs(out, shown, frame.spacing, frame.unit, quantity_of(frame.holds_counts))
