"""Draw one shard of new volumes."""

import json
from collections.abc import Sequence
from pathlib import Path

from voxgen.batches.conditions import Row, coded
from voxgen.errors import InputError
from voxgen.generation.drawing import draw, load_models
from voxgen.generation.sample_files import ASKED, COLUMNS, write_sample
from voxgen.io.files import read_json, read_table, write_json, write_table
from voxgen.io.shards import Shard
from voxgen.models.folder import weights_digest
from voxgen.models.vocabulary import Vocabulary
from voxgen.settings.conditions import LABEL
from voxgen.settings.machine import Machine
from voxgen.settings.sections import SamplingSettings
from voxgen.volumes.grid import Grid


def draw_samples(
    autoencoder: Path,
    prior: Path,
    scale: Path,
    grid: Path,
    out: Path,
    shard: Shard,
    settings: SamplingSettings,
    seed: int,
    machine: Machine,
    asked: Path | None = None,
) -> None:
    """Write the shard's volumes as NIfTI, manifest.csv and config.json into `out`.

    Volumes are counts, or normalised intensities, as the train volumes are. Where the autoencoder decodes
    rates, counts are drawn from them, and `settings.rates` keeps the rates too, in the folder rates/.

    Sample i is the same in whichever shard and batch it is drawn. Volumes lie where `grid` (grid.json)
    says, also where the autoencoder was trained elsewhere. Row i of `asked` says what a prior is told of it,
    and comes into the manifest.

    Raises:
        InputError: the prior was trained on another autoencoder's latents, with another scale or with other
            conditions, or cannot be sampled so; or rates are asked for where there are none.
    """
    recorded = read_json(scale)
    codec, drawing = load_models(autoencoder, prior, recorded, machine)
    first_stage = codec.autoencoder
    if settings.rates and not first_stage.draws_counts:
        raise InputError(
            f"{autoencoder}: decodes volumes, not rates of counts, but sampling.rates is true; set it to "
            "false, or give an autoencoder of likelihood poisson"
        )
    placed = Grid.from_json(read_json(grid))
    indices = range(settings.samples)[shard.part(settings.samples)]
    sampling = settings.model_dump(mode="json")
    drawing.refuse(sampling)
    told = _told(prior, drawing.vocabulary, asked)
    known = coded(told, drawing.vocabulary, str(asked)) if drawing.vocabulary else {}
    given = {name: values[indices.start : indices.stop] for name, values in known.items()}
    rows = [
        write_sample(out, drawn, seed, placed, machine.compression, rates=settings.rates)
        for drawn in draw(codec, drawing, indices, seed, sampling, machine.batch, given)
    ]
    for row, wanted in zip(rows, told[indices.start : indices.stop], strict=False):
        row |= {name: wanted[name] for name in ASKED}
    write_table(out / "manifest.csv", rows, (*COLUMNS, *(ASKED if asked else ())))
    config = {
        "kind": "samples",
        "sampling": sampling,
        "drawn": first_stage.draws_counts,
        "seed": seed,
        "grid": placed.to_json(),
        "intensity": first_stage.intensity.to_json(),
        "scale": recorded,
        "made_from": {"autoencoder": first_stage.digest, "prior": weights_digest(prior)},
    }
    write_json(out / "config.json", config)


def _told(prior: Path, vocabulary: Vocabulary | None, asked: Path | None) -> Sequence[Row]:
    """What the prior is told of each sample; empty for one that is told nothing."""
    rows = [] if asked is None else read_table(asked)
    known = vocabulary.names if vocabulary else ()
    wanted = [*json.loads(rows[0]["attributes"]), *([LABEL] if rows[0][LABEL] else [])] if rows else []
    if {*known} != {*wanted}:
        raise InputError(
            f"{prior}: is told of {', '.join(known) or 'nothing'}, but prior.condition says "
            f"{', '.join(wanted) or 'nothing'}; set it as this prior was trained"
        )
    return rows
