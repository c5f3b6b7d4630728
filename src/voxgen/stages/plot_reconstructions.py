"""Stage plot_reconstructions: the best, the median and the worst reconstruction."""

from pathlib import Path

from voxgen.figures.sheet import Quantity
from voxgen.figures.volumes import Reconstructed, save_reconstructions
from voxgen.io.files import read_json, read_table
from voxgen.io.nifti import read_volume
from voxgen.voxels import Grid


def plot_reconstructions(
    scores: Path, manifest: Path, folder: Path, reconstructions: Path, grid: Path, out: Path
) -> None:
    """Draw input, reconstruction and difference of the best, median and worst volume by SSIM into `out`.

    `scores` is reconstruction.json; `manifest` and `folder` hold the originals, `reconstructions` the
    reconstructed volumes; `grid` (grid.json) says what their values are.
    """
    ranked = sorted(read_json(scores)["volumes"], key=lambda volume: volume["ssim"], reverse=True)
    places = {0: "best", len(ranked) // 2: "median", len(ranked) - 1: "worst"}
    cases = [
        Reconstructed(
            f"{places[place]}: SSIM {ranked[place]['ssim']:.3f}\n{ranked[place]['id']}",
            read_volume(folder / f"{ranked[place]['id']}.nii.gz"),
            read_volume(reconstructions / f"{ranked[place]['id']}.nii.gz"),
        )
        for place in sorted(places)
    ]
    geometry = {row["id"]: row for row in read_table(manifest)}[ranked[0]["id"]]
    spacing = [float(geometry[f"spacing_{axis}"]) for axis in "xyz"]
    counts = Grid.from_json(read_json(grid)).holds_counts
    quantity: Quantity = "counts in a voxel" if counts else "intensity"
    save_reconstructions(out, cases, spacing, geometry["unit"], quantity)
