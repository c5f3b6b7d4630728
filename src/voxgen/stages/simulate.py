"""Stage `simulate`: settings -> a raw file of simulated clouds with their truth."""

from pathlib import Path

import numpy as np

from voxgen.settings.synthetic import Synthetic
from voxgen.sources.clouds.writing import Form, write_clouds
from voxgen.sources.filaments import simulate_filaments
from voxgen.sources.raw_files import index_of


def simulate(out: Path, name: str, settings: Synthetic, seed: int) -> None:
    """Write the raw file whose `name` ends in its index: `point_clouds` (N, P, 3) float32 [nm], and truth.

    One value per cloud: `truth/filaments` (count), `truth/length` (sum over the filaments) and `truth/width`
    (diameter of a filament), both in nm.
    """
    clouds = list(simulate_filaments(settings, seed, index_of(name)))
    write_clouds(
        out,
        (cloud.points for cloud in clouds),
        Form("stacked", "point_clouds", "nm", np.dtype(np.float32)),
        extras={
            "truth/filaments": (np.array([cloud.filaments for cloud in clouds]), None),
            "truth/length": (np.array([cloud.length for cloud in clouds]), "nm"),
            "truth/width": (np.array([cloud.width for cloud in clouds]), "nm"),
        },
    )
