"""Whether the scores of two runs may be compared at all."""

from dataclasses import dataclass

from voxgen.pages.comparing.finished_runs import TEST, FinishedRun
from voxgen.pages.score_tables import Json
from voxgen.volumes.intensity import Intensity

GRID = ("shape", "origin", "spacing", "unit", "method", "sigma", "placement", "cloud_unit")
DIVISOR = 0.01  # relative difference of the law's divisor: more train volumes move it, errors scale with it
SIZES = {"reconstruction": "test volumes", "samples": "volumes per set"}


@dataclass(frozen=True)
class Comparability:
    """What stands between two runs.

    Attributes:
        reasons: why none of their scores may be compared.
        doubts: what holds for some scores only, or could not be checked.
    """

    reasons: list[str]
    doubts: list[str]


def check_comparability(first: FinishedRun, other: FinishedRun) -> Comparability:
    """What stands between a run and the first."""
    reasons = [
        *_test(first, other),
        *_grid(first.contract("grid"), other.contract("grid")),
        *_law(first.contract("intensity"), other.contract("intensity")),
    ]
    unknown = [run.name for run in (first, other) if run.test is None]
    doubts = [f"{name} has no {TEST}: whether the test splits are the same is unknown" for name in unknown]
    return Comparability(reasons, doubts + _sizes(first, other))


def _test(first: FinishedRun, other: FinishedRun) -> list[str]:
    if first.test is None or other.test is None or first.test == other.test:
        return []
    shared = first.test.keys() & other.test.keys()
    same = sum(first.test[one] == other.test[one] for one in shared)
    sizes = f"{len(first.test)} and {len(other.test)} volumes"
    if len(shared) == len(first.test) == len(other.test):
        return [f"other test volumes: the ids are the same, but {len(shared) - same} of {sizes} differ"]
    return [f"other test volumes: of {sizes} {same} are the same"]


def _grid(first: Json | None, other: Json | None) -> list[str]:
    if first is None or other is None:
        return []
    found = [
        f"{name} {_short(first.get(name))} and {_short(other.get(name))}"
        for name in GRID
        if first.get(name) != other.get(name)
        and not (name == "sigma" and "gaussian" not in (first.get("method"), other.get("method")))
    ]
    return [f"another grid: {'; '.join(found)}"] if found else []


def _law(first: Json | None, other: Json | None) -> list[str]:
    if first is None or other is None:
        return []
    one, two = Intensity.from_json(first), Intensity.from_json(other)
    away = abs(one.divisor - two.divisor) / max(one.divisor, two.divisor)
    if one.law == two.law and away <= DIVISOR:
        return []
    laws = (f"{law.law}, divided by {law.divisor:.4g}" for law in (one, two))
    return [f"another intensity law: {', and '.join(laws)}"]


def _sizes(first: FinishedRun, other: FinishedRun) -> list[str]:
    """Sets of different sizes: distances between sets are biased by how many volumes they hold."""
    found = []
    for part, words in SIZES.items():
        a, b = (run.parts.get(part, {}).get("n") for run in (first, other))
        if None not in (a, b) and a != b:
            found.append(
                f"scores ({part}) rest on {a} and {b} {words}: those of different n are not compared"
            )
    return found


def _short(value: object) -> str:
    if isinstance(value, list):
        return " × ".join(f"{one:g}" for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
