"""`voxgen sample`: new volumes of a trained model, without the workflow."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

import voxgen
from voxgen.batches.conditions import as_number
from voxgen.errors import InputError
from voxgen.generation.sample_files import ASKED, write_sample
from voxgen.generation.sampled_clouds import write_sampled_clouds
from voxgen.io.files import write_json, write_table
from voxgen.settings.conditions import LABEL

COMPRESSION = 1  # as in config/config.yaml, which may not be at hand


def sample_model(
    folder: Path,
    out: Path,
    number: int,
    seed: int,
    first: int,
    changes: Mapping[str, Any],
    condition: Mapping[str, str] | None,
) -> Iterator[str]:
    """Write samples of the model in `folder` into `out` as rule `sample` does, but for the preview.

    `changes` are those of the section `sampling`, `condition` is what samples are to be. A bar on stderr
    shows how many are done.

    Raises:
        InputError: the folder holds no model, `out` holds files, or a number cannot be.
    """
    if number < 1 or first < 0 or seed < 0:
        raise InputError(
            f"-n {number} --first {first} --seed {seed}: expected 1 or more samples, and no number below 0"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out}: holds something already; name a new folder")
    model = voxgen.load(folder)
    sampling = {name: value for name, value in model.sampling(**changes).items() if name != "condition"}
    drawn = model.draw(range(first, first + number), seed, condition, **changes)
    rows = [
        write_sample(out, one, seed, model.grid, COMPRESSION, rates=sampling.get("rates", False))
        for one in tqdm(drawn, total=number, unit="volume", dynamic_ncols=True)
    ]
    if condition is not None:
        numbers = {name: as_number(value) for name, value in condition.items() if name != LABEL}
        told = dict(zip(ASKED, (condition.get(LABEL, ""), json.dumps(numbers)), strict=True))
        rows = [row | told for row in rows]
    if model.clouds is not None:
        write_sampled_clouds(out, rows, model.clouds, model.grid)
    write_table(out / "samples.csv", rows, list(rows[0]))
    asked = {**sampling, "samples": number, **({} if condition is None else {"condition": dict(condition)})}
    write_json(out / "config.json", {**model.config, "kind": "samples", "sampling": asked, "seed": seed})
    yield f"{number} samples of {folder}, from index {first} on: {out}"
