"""Stage plot_reconstructions: the best, the median and the worst reconstruction."""

from pathlib import Path

from voxgen.figures.sheet import quantity_of
from voxgen.figures.volume_sheets import Reconstructed, save_reconstructions
from voxgen.io.files import read_json, read_table
from voxgen.volumes.grid import Grid
from voxgen.volumes.manifest import Split, grid_of
from voxgen.volumes.nifti import read_volume


def plot_reconstructions(scores: Path, test: Split, reconstructions: Path, grid: Path, out: Path) -> None:
    """Draw input, reconstruction and difference of the best, median and worst volume by SSIM into `out`.

    `scores` is reconstruction.json; `test` holds the originals, `reconstructions` the reconstructed volumes;
    `grid` (grid.json) says what their values are.
    """
    manifest, folder = test
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
    row = next(row for row in read_table(manifest) if row["id"] == ranked[0]["id"])
    own = grid_of(row, Grid.from_json(read_json(grid)))
    save_reconstructions(out, cases, own.spacing, own.unit, quantity_of(own.holds_counts))
