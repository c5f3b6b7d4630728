"""How often the scores of samples find a known damage: their power, and their false alarms.

    python benchmarks/power.py > benchmarks/results/power.md
    python benchmarks/power.py --trials 100 --autoencoder results/autoencoder

Volumes are simulated with the default settings of the data, and damaged in ways whose size is known. A
trial draws n real volumes as the test split, n others as samples, damaged, and 384 others as the train split,
without overlap, and asks the gates of the table as an evaluation does: a score finds a damage if its p-value,
corrected for the number of gates, is below its part of the level of 5 % (3.75 %; copies 1.25 %). Trials share
the simulated pool. Left out for their time: 1-NNA (a Chamfer distance takes a millisecond per pair) and
diversity (MS-SSIM). Copies are looked for in pooled voxels alone. Without --autoencoder the classifier has
the numbers per volume alone.

The former rules stand beside them. Gates: occupancy and sharpness agree within 5 %. Intervals: the 95 %
interval of a number does not overlap that of train volumes. Copies: at most 5 points more samples than
expected lie nearer to a train volume than the 1 % quantile of test volumes.
"""

import argparse
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from voxgen.batches.views import views
from voxgen.evaluation.metric_table import SAMPLES
from voxgen.evaluation.sample_scores import REAL as REAL_PER_SAMPLE
from voxgen.evaluation.set_items import add_real, take_numbers
from voxgen.evaluation.set_tests import compare_set
from voxgen.evaluation.volume_sets import SCALARS, Description, Features, VolumeSet
from voxgen.metrics.bootstrap import Bootstrap
from voxgen.metrics.memorisation import NEIGHBOURS, closeness, copies_test, pooled
from voxgen.metrics.permutation import p_value, permuted
from voxgen.metrics.volume_statistics import relative_difference
from voxgen.models.codec import load_autoencoder
from voxgen.randomness import generator
from voxgen.settings.loading import load_settings
from voxgen.settings.sections import Settings
from voxgen.sources import filaments
from voxgen.volumes.grid import Grid, fixed_grid, rasterize
from voxgen.volumes.intensity import Intensity, fit, volume_level

Volumes = NDArray[np.float32]
Array = NDArray[np.float64]

ROOT = Path(__file__).parents[1]
LEVEL = 0.0375
LEVEL_OF_COPIES = 0.0125
TRAIN = 384  # volumes, as by default
POOL = 1000  # volumes, at least
COPIED = 0.05  # share of the samples
DROPPED = 0.2  # share of the real volumes
COPIES = "5 % exact copies"
REAL = "real volumes (false alarms)"
GATED = [entry for entry in SAMPLES if entry.gate]
OLD = ("occupancy", "sharpness")  # gates of the former rule; it compared more numbers with the floor
COMPARED = ("occupancy", "sharpness", "pieces", "specks")


@dataclass(frozen=True)
class Pool:
    """Simulated volumes, described: as they are and damaged.

    Attributes:
        sets: by the damage, all volumes in one order.
        allowed: which volumes of a set are drawn as samples (missing: all).
        apart: distances (N, N) of pooled volumes, damaged, to real ones in their nearest view.
        kinds: of features.
    """

    sets: Mapping[str, VolumeSet]
    allowed: Mapping[str, NDArray[np.intp]]
    apart: Mapping[str, Array]
    kinds: list[str]


def halved(settings: Settings, seed: int) -> Iterator[NDArray[np.float32]]:
    """Clouds whose filaments are cut in the middle of their length; each half lies elsewhere in the box."""
    synthetic = settings.data.synthetic
    box = np.asarray(synthetic.box)
    for cloud in range(synthetic.clouds):
        rng = generator(seed, "filaments", 0, cloud)
        count = int(rng.integers(synthetic.filaments[0], synthetic.filaments[1] + 1))
        paths, lengths, step = filaments._grow(synthetic, [rng], [count])
        halves = []
        for forth, back, far, near in zip(paths[::2], paths[1::2], lengths[::2], lengths[1::2], strict=True):
            whole = np.concatenate([back[: int(near / step) + 1][::-1], forth[1 : int(far / step) + 1]])
            middle = len(whole) // 2
            halves += [half for half in (whole[: middle + 1], whole[middle:]) if len(half) > 1]
        moved = [half - half.min(0) + rng.random(3) * (box - np.ptp(half, axis=0)) for half in halves]
        longest = max(len(half) for half in moved) + 1
        padded = np.stack([np.pad(half, ((0, longest - len(half)), (0, 0)), mode="edge") for half in moved])
        inside = np.array([(len(half) - 1) * step for half in moved])
        yield filaments._localise(synthetic, rng, padded, inside, step)


def damages(settings: Settings, grid: Grid, seed: int) -> tuple[dict[str, Volumes], Array]:
    """The volumes by their damage, and the length of filaments that was drawn for each [nm]."""
    synthetic = settings.data.synthetic
    clouds = list(filaments.simulate_filaments(synthetic, seed, 0))
    clean = filaments.simulate_filaments(synthetic.model_copy(update={"clutter": 0.0}), seed, 0)
    kept = round(0.8 * synthetic.points)

    def voxels(points: Iterable[NDArray[np.float32]]) -> Volumes:
        return np.stack([rasterize(one.astype(np.float64), grid)[0] for one in points])

    real = voxels(one.points for one in clouds)
    made = {
        REAL: real,
        "15 % dimmer": np.float32(0.85) * real,
        "total counts x 0.8": voxels(one.points[:kept] for one in clouds),  # points are in random order
        "blurred by 1 voxel": np.stack([gaussian_filter(x, 1.0) for x in real]),
        "filaments cut in halves": voxels(halved(settings, seed)),
        "clutter removed": voxels(one.points for one in clean),
    }
    return made, np.array([one.length for one in clouds])


def simulate(count: int, seed: int, autoencoder: Path | None) -> Pool:
    """A pool of `count` volumes and their damages."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["data"]["synthetic"] |= {"files": 1, "clouds": count}
    settings = load_settings(config)
    chosen = settings.data.grid
    grid = fixed_grid(chosen.shape, chosen.bounds, "nm", chosen.method, chosen.sigma)
    made, length = damages(settings, grid, seed)
    law = fit("log1p", [volume_level(x, settings.data.intensity.quantile) for x in made[REAL][:TRAIN]])
    features: dict[str, Features] = {}
    if autoencoder:
        first = load_autoencoder(autoencoder, settings.machine)
        features["autoencoder"] = lambda x, _: first.features(first.intensity.to_network(x))
    evaluation = settings.evaluation.model_copy(update={"points": 1})
    how = Description(grid, law, features, evaluation, seed)
    batch = 16

    def described(volumes: Volumes) -> VolumeSet:
        batches = (
            (
                [str(i) for i in range(start, start + len(volumes[start : start + batch]))],
                volumes[start : start + batch],
            )
            for start in range(0, len(volumes), batch)
        )
        return how.describe("pool", batches, ())

    sets = {name: described(volumes) for name, volumes in made.items()}
    longest, most = np.quantile(length, 1 - DROPPED), "the fifth with most filament dropped"
    sets[most] = sets[COPIES] = sets[REAL]
    least = "the fifth with least filament dropped"
    sets[least] = sets[REAL]
    allowed = {
        most: np.flatnonzero(length < longest),
        least: np.flatnonzero(length > np.quantile(length, DROPPED)),
    }
    seen = np.stack(
        [
            small(np.stack([view(x) for x in made[REAL]]), law, settings)
            for view in views(settings.data.flips, settings.data.rotations)
        ]
    )
    apart = {
        name: np.min([cdist(small(x, law, settings), view) for view in seen], axis=0)
        for name, x in made.items()
    }
    same = dict.fromkeys((most, least, COPIES), apart[REAL])
    return Pool(sets, allowed, {**apart, **same}, list(features))


def small(volumes: Volumes, law: Intensity, settings: Settings) -> NDArray[np.float32]:
    """Pooled volumes (N, F) in the network's range, as the search for copies has them."""
    return np.stack([pooled(x, settings.evaluation.pooled).ravel() for x in law.to_network(volumes)])


def draw(pool: Pool, damage: str, n: int, rng: np.random.Generator) -> dict[str, NDArray[np.intp]]:
    """Which volumes of the pool are samples, test and train volumes; 5 % of the copies are train volumes."""
    count = len(pool.apart[REAL])
    samples = rng.choice(pool.allowed.get(damage, np.arange(count)), n, replace=False)
    rest = rng.permutation(np.setdiff1d(np.arange(count), samples))
    ids = {"samples": samples, "test": rest[:n], "train": rest[n : n + TRAIN]}
    if damage == COPIES:
        copies = round(COPIED * n)
        ids["samples"] = np.concatenate([samples[copies:], ids["train"][:copies]])
    return ids


def trial(
    pool: Pool, damage: str, n: int, permutations: int, seed: int
) -> tuple[dict[str, float], dict[str, float]]:
    """p-values of the gates, corrected, and which of the former rules find something (0 or 1)."""
    ids = draw(pool, damage, n, generator(seed, f"trial {damage}", n))
    sets = {
        name: {
            item: values[ids[name][:n]]
            for item, values in pool.sets[damage if name == "samples" else REAL].items()
            if len(values) == len(pool.apart[REAL])
        }
        for name in ids
    }
    items, _ = take_numbers(sets, pool.kinds)
    train = ids["train"][: REAL_PER_SAMPLE * n]
    add_real(items, {item: pool.sets[REAL][item][train] for item in SCALARS})
    tested = compare_set(GATED, items, "samples", permutations, seed)
    found = {key: test["corrected"] for key, test in tested.items() if "corrected" in test}
    copies, old_copies = search(pool, damage, ids, permutations, seed)
    bootstrap = Bootstrap(200, 0.95, seed)
    old = {"former: copies": old_copies}
    worse, gates = [], []
    for key in COMPARED:
        test = items[key]["test"]
        a, floor = (
            bootstrap.pair(relative_difference, items[key][name], test, key) for name in ("samples", "train")
        )
        worse.append(not a.overlaps(floor) and abs(a.value) > abs(floor.value))
        gates.append(key in OLD and abs(a.value) > 0.05)
    old |= {"former: gates": float(any(gates)), "former: intervals": float(any(worse))}
    return found | {"copies": copies}, old


def search(
    pool: Pool, damage: str, ids: Mapping[str, NDArray[np.intp]], permutations: int, seed: int
) -> tuple[float, float]:
    """The p-value of copies in pooled voxels, and whether the former rule calls samples copies."""
    train = ids["train"]
    drawn = pool.apart[damage][np.ix_(ids["samples"], train)]
    tested, own = (pool.apart[REAL][np.ix_(some, train)] for some in (ids["test"], train))
    np.fill_diagonal(own, np.inf)
    near = [np.sort(one, axis=1)[:, :NEIGHBOURS] for one in (drawn, tested, own)]
    test = copies_test(np.concatenate([closeness(one) for one in near]))
    p = p_value(permuted(test, len(drawn), len(tested) + len(own), permutations, seed))
    limit = np.quantile(near[1][:, 0], 0.01, method="weibull")
    share, expected = float((near[0][:, 0] < limit).mean()), max(0.01, 1 / (len(tested) + 1))
    return p, float(share > expected + 0.05)


def finds(found: Mapping[str, float], key: str) -> bool:
    """Whether a gate finds a difference."""
    return found[key] < (LEVEL_OF_COPIES if key == "copies" else LEVEL)


def table(pool: Pool, n: int, trials: int, alarms: int, permutations: int) -> list[str]:
    """Rows of one n: the share of trials in which each score finds each damage."""
    header: list[str] = []
    lines = []
    for damage in pool.sets:
        number = alarms if damage == REAL else trials
        both = [trial(pool, damage, n, permutations, seed) for seed in range(number)]
        shares = {key: np.mean([finds(found, key) for found, _ in both]) for key in both[0][0]}
        gates = [key for key in shares if key != "copies"]
        samples = np.mean([any(finds(found, key) for key in gates) for found, _ in both])
        any_gate = np.mean([any(finds(found, key) for key in found) for found, _ in both])
        old = {key: np.mean([one[key] for _, one in both]) for key in both[0][1]}
        header = header or ["damage", "trials", "any gate of samples", *shares, "any", *old]
        values = [samples, *shares.values(), any_gate, *old.values()]
        lines.append(
            f"| {damage} | {number} | " + " | ".join(f"{100 * value:.0f}" for value in values) + " |"
        )
        print(lines[-1], flush=True)
    return [f"| {' | '.join(header)} |", "|---|" + "---:|" * (len(header) - 1), *lines]


def main() -> None:
    """Measure, and print rows as they come and the tables last."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--trials", type=int, default=100, help="trials of each damage (default: 100)")
    options.add_argument("--alarms", type=int, default=200, help="trials of real volumes (default: 200)")
    options.add_argument("--permutations", type=int, default=999, help="labellings of a test (default: 999)")
    options.add_argument("--sizes", type=int, nargs="+", default=[64, 300], help="volumes per set")
    options.add_argument("--autoencoder", type=Path, help="folder of an autoencoder, for its features")
    given = options.parse_args()
    pool = simulate(max(POOL, TRAIN + 2 * max(given.sizes) + 16), 0, given.autoencoder)
    tables = {n: table(pool, n, given.trials, given.alarms, given.permutations) for n in given.sizes}
    features = ("the autoencoder's features and " if pool.kinds else "") + "the numbers per volume"
    print("\n# Which damages the evaluation finds\n")
    print("Made by `benchmarks/power.py`, which says what is compared. Per cent of trials in which a score")
    print("finds the damage, its p-value corrected for the number of gates and below 3.75 % (copies 1.25 %).")
    print(
        f"Pool: {len(pool.apart[REAL])} simulated volumes of the default data, {TRAIN} of them train volumes;"
    )
    print(f"{given.permutations} labellings; the classifier has {features}.")
    print(f"Python {platform.python_version()}, numpy {np.__version__},", end=" ")
    print(f"scikit-image {version('scikit-image')}, scikit-learn {version('scikit-learn')}.")
    for n, lines in tables.items():
        print(f"\n## n = {n} in each set\n")
        print("\n".join(lines))


if __name__ == "__main__":
    main()
