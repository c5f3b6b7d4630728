"""Whether blended tiles leave seams: errors of reconstructions by their distance from the edges of tiles.

    snakemake --cores 2 --configfile config/mine.yaml --until evaluate_reconstruction
    python benchmarks/seams.py results --picture seams.png

The run has an autoencoder.patch. Tiles start every half a tile, so that a voxel lies at most a quarter of a
tile from an edge. A seam would be an error that jumps at an edge. The picture has inputs, reconstructions and
differences.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from voxgen.figures.tiles import tiled
from voxgen.io.files import read_json, read_table
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.nifti import read_volume


def by_distance(error_BXYZ: NDArray[np.float32], step: int) -> list[float]:
    """Mean error by the distance [voxels] from the nearest edge of a tile along x, away from faces."""
    inside = np.arange(step, error_BXYZ.shape[1] - step)
    distance = np.minimum(inside % step, step - 1 - inside % step)
    profile = error_BXYZ.mean((0, 2, 3))[inside]
    return [float(profile[distance == one].mean()) for one in range(step // 2)]


def main() -> None:
    """Print the table and write the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--picture", type=Path, help="PNG to write")
    options = parser.parse_args()
    voxels, rebuilt = options.results / "voxels", options.results / "evaluation" / "reconstructions"
    law = Intensity.from_json(read_json(voxels / "intensity.json"))
    ids = [row["id"] for row in read_table(voxels / "test.csv")]
    x_BXYZ, r_BXYZ = (
        np.stack([law.to_network(read_volume(folder / f"{one}.nii.gz")) for one in ids])
        for folder in (voxels / "test", rebuilt)
    )
    patch = read_json(options.results / "autoencoder" / "config.json")["settings"]["patch"]
    errors = by_distance(np.abs(r_BXYZ - x_BXYZ), patch[0] // 2)
    print(f"n = {len(ids)}\n\n| voxels from the edge of a tile | mean absolute error |\n|---|---:|")
    print("\n".join(f"| {distance} | {error:.5f} |" for distance, error in enumerate(errors)))
    if options.picture:
        rows = [list(volumes[:3]) for volumes in (x_BXYZ, r_BXYZ, r_BXYZ - x_BXYZ)]
        Image.fromarray(tiled(rows, "counts")).save(options.picture)


if __name__ == "__main__":
    main()
