"""Volumes as a training sees them: views, patches, the cache, and reading ahead."""

import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path

import numpy as np
import pytest

from conftest import VOLUMES, trained_for
from voxgen.batches import volume_batches as stored_volumes
from voxgen.batches.views import View, drawn_view, views
from voxgen.batches.volume_batches import VolumeBatches, Volumes
from voxgen.errors import InputError
from voxgen.io.files import read_json, read_table, write_table
from voxgen.io.latent_shards import read_latents
from voxgen.machine import ahead as reading
from voxgen.machine.ahead import ahead
from voxgen.models.codec import load_autoencoder
from voxgen.models.kinds import build_first_stage
from voxgen.models.objective import Objective
from voxgen.randomness import generator
from voxgen.settings.sections import Settings
from voxgen.stages.encode_latents import encode_latents
from voxgen.stages.train_autoencoder import train_autoencoder
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.nifti import read_volume, write_volume

CUBE = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
LAW = Intensity("linear", 1.0)
N, SHAPE, PATCH = 7, (6, 8, 10), (4, 2, 8)
PLANES = {"xy": (0, 1), "xz": (0, 2), "yz": (1, 2)}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A manifest and the folder of its volumes, in which every voxel has a value of its own."""
    folder = tmp_path_factory.mktemp("stored")
    voxels = np.arange(N * np.prod(SHAPE), dtype=np.float32).reshape(N, *SHAPE)
    for i, volume in enumerate(voxels):
        write_volume(folder / f"v{i}.nii.gz", volume, (0, 0, 0), (1, 1, 1), "um")
    write_table(folder / "train.csv", [{"id": f"v{i}"} for i in range(N)], ["id"])
    return folder / "train.csv", folder


@pytest.fixture(scope="module")
def objective(settings: Settings) -> Objective:
    return build_first_stage(settings.autoencoder.model_dump(mode="json"), (8, 8, 8)).objective()


def kinds(flips: tuple[str, ...], rotations: tuple[str, ...]) -> set[bytes]:
    """What the views of a cube look like; fails if two look alike."""
    seen = [view(CUBE).tobytes() for view in views(flips, rotations)]
    assert len(set(seen)) == len(seen)
    return set(seen)


def batches_of(source: VolumeBatches, epoch: int = 0) -> list[dict[str, np.ndarray]]:
    """All batches of one order, as a training asks for them."""
    orders = np.array_split(np.random.default_rng(epoch).permutation(len(source)), 3)
    with ahead(lambda items: source.batch(items, epoch), orders) as batches:
        return [{name: part.numpy() for name, part in batch.items()} for batch in batches]


@pytest.mark.parametrize("flips", [(), ("x",), ("z", "x"), ("x", "y", "z")])
def test_mirrored_views_are_numbered_by_the_bits_of_their_axes(flips: tuple[str, ...]) -> None:
    made = views(flips, ())
    assert len(made) == 2 ** len(flips)
    for number, view in enumerate(made):
        axes = tuple("xyz".index(axis) for bit, axis in enumerate(flips) if number >> bit & 1)
        np.testing.assert_array_equal(view(CUBE), np.flip(CUBE, axes))
    assert views(flips, ("xy",))[: len(made)] == made


@pytest.mark.parametrize(
    ("flips", "rotations", "n"),
    [
        ((), ("xy",), 4),
        (("x",), ("xy",), 8),
        (("x", "y"), ("xy",), 8),
        (("z",), ("xy",), 8),
        (("x", "y", "z"), ("xy",), 16),
        ((), ("xy", "yz"), 24),
        (("x",), ("xy", "xz", "yz"), 48),
    ],
)
def test_views_are_all_that_flips_and_turns_lead_to(
    flips: tuple[str, ...], rotations: tuple[str, ...], n: int
) -> None:
    seen = kinds(flips, rotations)
    assert len(seen) == n
    np.testing.assert_array_equal(views(flips, rotations)[0](CUBE), CUBE)
    for view in views(flips, rotations):
        for axis in flips:
            assert np.flip(view(CUBE), "xyz".index(axis)).tobytes() in seen
        for plane in rotations:
            assert np.rot90(view(CUBE), axes=PLANES[plane]).tobytes() in seen


@pytest.mark.parametrize("plane", PLANES)
def test_turns_are_quarters_in_their_plane_and_copy_nothing(plane: str) -> None:
    volume = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    for quarters, view in enumerate(views((), (plane,))):
        turned = view(volume)
        np.testing.assert_array_equal(turned, np.rot90(volume, quarters, PLANES[plane]))
        assert np.shares_memory(turned, volume)


def test_each_view_is_as_likely_and_addressed() -> None:
    among = views(("x", "y"), ("xy",))
    drawn = [drawn_view(among, 3, 5, item) for item in range(4000)]
    counts = np.array([drawn.count(view) for view in among])
    assert np.all(np.abs(counts - 500) < 5 * np.sqrt(500))
    assert drawn[7] == among[generator(3, "flip", 5, 7).integers(8)]  # where earlier versions drew it
    for other in ((4, 5), (3, 6)):
        assert [drawn_view(among, *other, item) for item in range(50)] != drawn[:50]


def reading_threads() -> int:
    return sum(thread.name.startswith(("ahead", "reader")) for thread in threading.enumerate())


def place(patch: np.ndarray, volume: np.ndarray) -> tuple[int, ...]:
    """Where a patch of a volume without equal voxels starts; fails if it is no patch of it."""
    start = np.argwhere(volume == patch[0, 0, 0])[0]
    there = tuple(slice(low, low + size) for low, size in zip(start, patch.shape, strict=True))
    np.testing.assert_array_equal(patch, volume[there])
    return tuple(start.tolist())


def test_patches_lie_anywhere_in_training(stored: tuple[Path, Path], objective: Objective) -> None:
    volumes = Volumes(*stored, LAW, 1.0)
    source = VolumeBatches(volumes, objective, views((), ()), PATCH, 0, "train")
    seen = []
    for epoch in range(60):
        batch = source.batch(np.arange(N), epoch)
        x = batch["volume"]
        assert (x.shape, batch["noise"].shape) == ((N, 1, *PATCH), (N, 2, 2, 1, 1))
        seen += [place(patch, volumes[i]) for i, patch in enumerate(x[:, 0].numpy())]
    free = [range(size - part + 1) for size, part in zip(SHAPE, PATCH, strict=True)]
    assert set(seen) == set(product(*free))  # 63 places, 420 draws
    for axis, places in enumerate(free):
        counts = np.bincount([start[axis] for start in seen], minlength=len(places))
        expected = len(seen) / len(places)
        assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))


def test_patches_are_cut_from_the_view(stored: tuple[Path, Path], objective: Objective) -> None:
    volumes = Volumes(*stored, LAW, 1.0)
    upside_down = View((0, 1, 2), (False, False, True))
    x, straight = (
        VolumeBatches(volumes, objective, among, PATCH, 0, "train").batch(np.arange(N), 0)["volume"]
        for among in ([upside_down], views((), ()))
    )
    for i in range(N):
        start = place(x[i, 0].numpy(), volumes[i][:, :, ::-1])
        assert start == place(straight[i, 0].numpy(), volumes[i])


@pytest.mark.parametrize("patch", [None, PATCH])
def test_a_validation_sees_the_middle_as_it_is(
    stored: tuple[Path, Path], objective: Objective, patch: tuple[int, int, int] | None
) -> None:
    volumes = Volumes(*stored, LAW, 1.0)
    source = VolumeBatches(volumes, objective, (), patch, 0, "validation")
    expected = volumes[4] if patch is None else volumes[4][1:5, 3:5, 1:9]
    for epoch in (0, 1):
        np.testing.assert_array_equal(source.batch(np.array([4]), epoch)["volume"][0, 0], expected)


def test_a_batch_depends_on_its_items_and_the_epoch_alone(
    stored: tuple[Path, Path], objective: Objective
) -> None:
    source = VolumeBatches(
        Volumes(*stored, LAW, 1.0), objective, views(("x", "y", "z"), ()), PATCH, 0, "train"
    )
    together = source.batch(np.arange(N), 2)
    for items in ([5], [6, 1, 3]):
        part = source.batch(np.array(items), 2)
        assert part.keys() == together.keys()
        assert all(part[name].equal(whole[items]) for name, whole in together.items())
    later = source.batch(np.arange(N), 3)
    assert not any(later[name].equal(together[name]) for name in ("volume", "noise"))


@pytest.mark.parametrize("readers", [1, 3])
@pytest.mark.parametrize("volumes_kept", [0, 3, N])
def test_batches_do_not_depend_on_cache_and_readers(
    stored: tuple[Path, Path], objective: Objective, readers: int, volumes_kept: int
) -> None:
    one = 4 * np.prod(SHAPE) / 1e9
    plain, tried = (
        VolumeBatches(Volumes(*stored, LAW, gb, threads), objective, views(("x",), ()), None, 0, "train")
        for gb, threads in ((1.0, 1), (volumes_kept * one * 1.01, readers))
    )
    for epoch in range(3):
        for ours, theirs in zip(batches_of(tried, epoch), batches_of(plain, epoch), strict=True):
            assert ours.keys() == theirs.keys() == {"volume", "noise", "latent_size"}
            for name in ours:
                np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize("readers", [1, 3])
def test_the_cache_is_filled_and_not_overfilled(
    stored: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, readers: int
) -> None:
    volumes = Volumes(*stored, LAW, 3.5 * 4 * np.prod(SHAPE) / 1e9, readers)
    volumes.read(range(N))
    opened = []
    monkeypatch.setattr(
        Volumes, "path", lambda self, item: opened.append(item) or stored[1] / f"v{item}.nii.gz"
    )
    for _ in range(2):
        volumes.read(range(N))
    assert len(opened) == 2 * (N - 3)
    assert len(set(opened)) == N - 3


def test_readers_read_at_once(stored: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = threading.Barrier(3, timeout=10)

    def path(self: Volumes, item: int) -> Path:
        meeting.wait()
        return stored[1] / f"v{item}.nii.gz"

    monkeypatch.setattr(Volumes, "path", path)
    read = Volumes(*stored, LAW, 0.0, readers=3).read([4, 0, 2])
    assert [volume[0, 0, 0] / np.prod(SHAPE) for volume in read] == [4, 0, 2]


def test_reading_ahead_keeps_the_order_and_stays_a_few_ahead() -> None:
    made: list[int] = []
    with ahead(lambda i: made.append(i) or -i, range(50)) as results:
        for i, result in enumerate(results):
            assert result == -i
            assert len(made) <= i + 1 + reading.AHEAD
        assert made == list(range(50))


def test_reading_goes_on_while_a_batch_is_worked_on() -> None:
    second = threading.Event()

    def make(i: int) -> int:
        if i == 1:
            second.set()
        return i

    with ahead(make, range(2)) as results:
        next(results)
        assert second.wait(timeout=10)


def endless() -> Iterator[int]:
    yield from iter(int, 1)


def test_threads_end_with_the_block() -> None:

    def interrupted() -> None:
        with ahead(lambda i: i, endless()) as results:
            assert list(islice(results, 5)) == [0] * 5
            assert reading_threads() == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert reading_threads() == 0


def test_what_is_not_wanted_any_more_is_not_made() -> None:
    made: list[int] = []

    def make(i: int) -> None:
        made.append(i)
        time.sleep(0.05)

    with ahead(make, range(9)) as results:
        next(results)
    assert len(made) <= 2


def test_an_error_comes_where_its_result_would_have_come() -> None:
    def make(i: int) -> int:
        if i == 2:
            raise OSError("volume 2 is broken")
        return i

    with ahead(make, range(9)) as results:
        assert list(islice(results, 2)) == [0, 1]
        with pytest.raises(OSError, match="volume 2 is broken"):
            next(results)


@pytest.mark.parametrize("readers", [1, 3])
def test_a_volume_that_cannot_be_read_stops_the_training_by_its_name(
    voxels: Path, settings: Settings, tmp_path: Path, readers: int
) -> None:
    broken = tmp_path / "train"
    broken.mkdir()
    for path in (voxels / "train").iterdir():
        (broken / path.name).symlink_to(path)
    (broken / "cloud-000003.nii.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"cloud-000003\.nii\.gz"):
        train_autoencoder(
            (voxels / "train.csv", broken),
            (voxels / "val.csv", voxels / "val"),
            *(voxels / "grid.json", voxels / "intensity.json", tmp_path / "out", tmp_path / "state"),
            *(settings.autoencoder, ("x",), (), 0),
            settings.machine.model_copy(update={"readers": readers, "cache_gb": 1e-9}),
        )
    assert reading_threads() == 0


def test_a_training_on_patches_reads_ahead_and_does_not_depend_on_the_machine(
    voxels: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: Counter[threading.Thread] = Counter()

    def noted(path: Path) -> np.ndarray:
        threads[threading.current_thread()] += 1
        return read_volume(path)

    monkeypatch.setattr(stored_volumes, "read_volume", noted)
    patches = trained_for(settings.autoencoder, epochs=2).model_copy(update={"patch": (4, 8, 8)})
    weights = set()
    for cache, readers in ((1.0, 1), (1e-9, 3)):
        out = tmp_path / str(readers)
        train_autoencoder(
            *((voxels / f"{split}.csv", voxels / split) for split in ("train", "val")),
            *(voxels / "grid.json", voxels / "intensity.json", out, out / "state"),
            *(patches, ("x",), ("xy",), 0),
            settings.machine.model_copy(update={"readers": readers, "cache_gb": cache}),
        )
        weights.add((out / "model.safetensors").read_bytes())
        assert read_json(out / "config.json")["grid"]["shape"] == [8, 8, 8]
    assert len(weights) == 1
    assert threads[threading.current_thread()] == VOLUMES["val"]  # for pictures; where there is one reader


def test_latents_are_encoded_in_every_view(voxels: Path, settings: Settings, tmp_path: Path) -> None:
    described = voxels / "grid.json", voxels / "intensity.json"
    train_autoencoder(
        *((voxels / f"{split}.csv", voxels / split) for split in ("train", "val")),
        *(*described, tmp_path / "model", tmp_path / "state"),
        trained_for(settings.autoencoder, epochs=1),
        *(("x",), ("xz",), 0, settings.machine),
    )
    split, out = (voxels / "val.csv", voxels / "val"), tmp_path / "latents"
    encode_latents("train", split, *described, tmp_path / "model", out, ("x",), ("xz",), settings.machine)
    autoencoder = load_autoencoder(tmp_path / "model", settings.machine)
    volumes = Volumes(*split, autoencoder.intensity, 1.0)
    expected = [
        (str(number), name, autoencoder.encode(view(volumes[i])[None])[0][0])
        for number, view in enumerate(views(("x",), ("xz",)))
        for i, name in enumerate(volumes.ids)
    ]
    rows = read_table(out / "index.csv")
    assert [(row["view"], row["id"]) for row in rows] == [(view, name) for view, name, _ in expected]
    assert len(rows) == 8 * len(volumes)
    means = np.concatenate([mean for mean, _ in read_latents(out)])
    np.testing.assert_allclose(means, [mean for _, _, mean in expected], rtol=2e-3, atol=2e-3)
    config = read_json(out / "config.json")
    assert (config["flips"], config["rotations"]) == (["x"], ["xz"])


def test_a_volume_that_is_not_finite_is_refused_by_its_name(voxels: Path, tmp_path: Path) -> None:
    split = tmp_path / "val"
    shutil.copytree(voxels / "val", split)
    first = sorted(split.iterdir())[0]
    volume = read_volume(first)
    volume[0, 0, 0] = np.nan
    write_volume(first, volume, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "nm")
    volumes = Volumes(voxels / "val.csv", split, Intensity("linear", 1.0), 1.0)
    with pytest.raises(InputError, match=rf"{first.name}: holds values that are not finite"):
        volumes.read(range(len(volumes)))
