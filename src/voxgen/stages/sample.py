"""Gather the new volumes: one folder, one table, clouds in the input's layout, and a preview."""

import shutil
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from voxgen.figures.sheet import quantity_of
from voxgen.figures.volume_sheets import save_preview
from voxgen.generation.sampled_clouds import like_clouds, write_sampled_clouds
from voxgen.io.files import read_json, read_table, write_json, write_table
from voxgen.settings.clouds import CloudSettings
from voxgen.settings.conditions import LABEL
from voxgen.volumes.grid import Grid
from voxgen.volumes.manifest import Split
from voxgen.volumes.nifti import read_volume

PREVIEWED = 6
Row = dict[str, str]


def sample(
    shards: Sequence[Path],
    raw: Sequence[Path],
    grid: Path,
    train: Split,
    out: Path,
    settings: CloudSettings,
    label: str | None = None,
) -> None:
    """Write the volumes, config.json, samples.csv, preview.png and, of counts, samples.h5 into `out`.

    Clouds are like those of the files `raw` (see `like_clouds`), and config.json says how they are. Tables by
    offsets or counts become a table by column, which is read without these settings, and clouds of variable
    length one dataset per cloud. A volume without counts has no cloud; the column `points` of samples.csv
    says 0 and samples.h5 leaves it out. Where counts were drawn each of them is a point, so that a cloud of
    as many points has that volume. What samples were asked to be lies beside the clouds, one value each: the
    class under the name `label` that it has in the raw files.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = [row for shard in shards for row in read_table(shard / "manifest.csv")]
    for shard in shards:
        for volume in sorted(shard.glob("**/*.nii.gz")):
            copy = out / volume.relative_to(shard)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(volume, copy)
    config, placed = read_json(shards[0] / "config.json"), Grid.from_json(read_json(grid))
    if placed.holds_counts:
        clouds = like_clouds(raw, settings, placed, label or LABEL, counted=bool(config.get("drawn")))
        write_sampled_clouds(out, rows, clouds, placed)
        config["clouds"] = clouds.to_json()
    write_json(out / "config.json", config)
    write_table(out / "samples.csv", rows, list(rows[0]))
    manifest, folder = train
    real, generated, classes = previewed(read_table(manifest), rows)
    save_preview(
        out / "preview.png",
        [read_volume(folder / f"{row['id']}.nii.gz") for row in real],
        [read_volume(out / f"{row['id']}.nii.gz") for row in generated],
        placed.spacing,
        placed.unit,
        quantity=quantity_of(placed.holds_counts),
        titles=classes,
    )


def previewed(real: Sequence[Row], generated: Sequence[Row]) -> tuple[list[Row], list[Row], list[str]]:
    """The first of each; where samples were asked for classes, of each class in turn, and these classes."""
    classes = sorted({row[LABEL] for row in real if row.get(LABEL)} & {row.get(LABEL) for row in generated})
    if not classes:
        return list(real[:PREVIEWED]), list(generated[:PREVIEWED]), []
    of_class = [
        [[row for row in rows if row.get(LABEL) == one] for rows in (real, generated)] for one in classes
    ]
    turns = zip_longest(*(zip(*both, strict=False) for both in of_class))
    columns = [column for turn in turns for column in turn if column is not None][:PREVIEWED]
    above, below = ([column[number] for column in columns] for number in (0, 1))
    return above, below, [row[LABEL] for row in below]
