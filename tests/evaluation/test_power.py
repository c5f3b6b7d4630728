"""The benchmark of the scores' power runs, and its damages do what they say."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "power.py"


@pytest.fixture(scope="module")
def power() -> ModuleType:
    spec = importlib.util.spec_from_file_location("power", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["power"] = module
    spec.loader.exec_module(module)
    module.TRAIN = 6
    return module


def test_damages_and_trials(power: ModuleType) -> None:
    pool = power.simulate(18, 0, None)
    real = pool.sets[power.REAL]
    assert pool.sets["15 % dimmer"]["counts"] == pytest.approx(0.85 * real["counts"], rel=1e-4)
    assert pool.sets["total counts x 0.8"]["counts"].mean() == pytest.approx(
        0.8 * real["counts"].mean(), rel=0.01
    )
    assert pool.sets["blurred by 1 voxel"]["sharpness"].max() < real["sharpness"].min()
    assert pool.sets["filaments cut in halves"]["longest"].mean() < 0.85 * real["longest"].mean()
    assert pool.sets["clutter removed"]["specks"].mean() < 0.1 * real["specks"].mean()
    most, least = pool.allowed.values()
    assert real["length"][most].mean() < real["length"].mean() < real["length"][least].mean()
    ids = power.draw(pool, power.COPIES, 20 // 4, power.generator(0, "draw"))
    assert not set(ids["test"]) & set(ids["samples"])
    found, old = power.trial(pool, power.REAL, 5, 19, 0)
    assert {"counts", "specks", "length", "classifier", "copies"} <= found.keys()
    assert all(0 < p <= 1 for p in found.values())
    assert set(old.values()) <= {0.0, 1.0}
