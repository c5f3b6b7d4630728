"""Stage evaluate_memorisation: whether samples are copies of train volumes."""

from collections.abc import Iterator
from pathlib import Path

from voxgen.batches.views import views
from voxgen.evaluation.copy_search import search_copies, span_latents, span_voxels
from voxgen.evaluation.volume_streams import Batch, read_batches
from voxgen.io.files import read_json, read_table, write_json
from voxgen.io.latent_shards import read_latents
from voxgen.models.codec import Codec, load_autoencoder
from voxgen.models.folder import refuse_mismatch
from voxgen.models.whitening import Whitening
from voxgen.settings.machine import Machine
from voxgen.volumes.grid import Grid
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.manifest import Split


def evaluate_memorisation(
    samples: Split,
    train: Split,
    test: Split,
    latents: Path,
    scale: Path,
    grid: Path,
    intensity: Path,
    autoencoder: Path,
    scores: Path,
    longest: int,
    confidence: float,
    permutations: int,
    seed: int,
    machine: Machine,
) -> None:
    """Find each sample's nearest train volumes, in any allowed view, and test whether some are copies.

    `latents` holds the train split's posterior means in all views, `scale` (scale.json) whitens them.
    `longest` is the longest axis of pooled volumes in voxels, `confidence` the coverage of the intervals.
    Writes `scores` (JSON): for the space of latents and that of pooled voxels the share of samples that are
    closer to one train volume than all but 1 % of real volumes, its p-value, and the nearest pairs.

    Raises:
        InputError: latents and autoencoder do not belong together, or volumes have another grid.
    """
    frame, law = Grid.from_json(read_json(grid)), Intensity.from_json(read_json(intensity))
    config = read_json(latents / "config.json")
    first = load_autoencoder(autoencoder, machine)
    made_with = {"autoencoder": config["made_from"]["autoencoder"]}
    refuse_mismatch(latents, made_with, {"autoencoder": first.digest}, ("autoencoder",))
    codec = Codec(first, Whitening.from_json(read_json(scale)))
    allowed = views(config["flips"], config["rotations"])

    def batches(source: Split) -> Iterator[Batch]:
        ids = [row["id"] for row in read_table(source[0])]
        return read_batches(ids, source[1], frame.shape, machine.batch)

    means = (mean for mean, _ in read_latents(latents))
    spaces = {
        "latent": span_latents(means, read_table(latents / "index.csv"), codec),
        "voxels": span_voxels(batches(train), allowed, law, longest),
    }
    found = search_copies(spaces, batches(samples), batches(test), confidence, permutations, seed)
    write_json(scores, {"device": first.fabric.device.type, **found})
