"""Verdicts from scores and gates, and the run that ends where they say fail."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from voxgen.errors import InputError
from voxgen.evaluation.verdicts import judge
from voxgen.io.files import write_json
from voxgen.settings.gates import Gates
from voxgen.settings.loading import load_settings
from voxgen.stages.check_verdict import check_verdict
from voxgen.stages.summarise import summarise

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config" / "config.yaml").read_text())
GATES = Gates(
    stop_on_fail=False,
    ssim=(0.9, 0.8),
    count_error=(0.05, 0.2),
    occupancy=(0.05, 0.25),
    sharpness=(0.05, 0.25),
    nearest_neighbour=(0.05, 0.2),
    latent_std=(0.03, 0.1),
    memorised=(0.05, 0.2),
)


def estimate(value: float, half: float = 0.01) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half, "n": 9}


def metric(label: str, direction: str, samples: Any, train: Any) -> dict[str, Any]:
    about = {"label": label, "unit": "%", "direction": direction, "meaning": "", "group": ""}
    return about | {"samples": samples, "train": train}


def judged(**changed: Any) -> dict[str, Any]:
    """The summary of good scores, but for those that are `changed`."""
    given: dict[str, Any] = {
        "ssim": estimate(0.95),
        "count_error": estimate(0.03),
        "occupancy": estimate(-0.02),
        "sharpness": estimate(0.02),
        "nna": estimate(0.52),
        "floor": estimate(0.5),
        "std": 1.01,
        "latent": estimate(0.0, 0.0),
        "voxels": estimate(0.02),
        "expected": 0.01,
        "n": 9,
    } | changed
    reconstruction = {
        "metrics": {name: {"model": given[name]} for name in ("ssim", "count_error") if given[name]}
    }
    metrics = {
        name: metric(name, "towards 0", given[name], estimate(0.0)) for name in ("occupancy", "sharpness")
    }
    if given["nna"]:
        metrics["1-nna chamfer"] = metric("1-NNA", "towards 0.5", given["nna"], given["floor"])
    samples = {"metrics": metrics, "latent": {"std": given["std"], "n": given["n"]}}
    spaces = {
        name: {"label": name, "share": given[name], "expected": given["expected"], "n_test": given["n"]}
        for name in ("latent", "voxels")
    }
    return judge(reconstruction, samples, {"spaces": spaces}, GATES)


def verdicts(content: dict[str, Any]) -> list[str]:
    return [section["verdict"] for section in content["sections"].values()]


def test_good_scores_pass() -> None:
    content = judged()
    assert content["verdict"] == "pass"
    assert verdicts(content) == ["pass"] * 3
    assert [len(section["gates"]) for section in content["sections"].values()] == [2, 4, 2]
    assert content["sections"]["reconstruction"]["gates"][1] == {
        "metric": "count error",
        "value": "3.0 % [2.0, 4.0]",
        "gate": "at most 5 %, fails above 20 %",
        "verdict": "pass",
        "finding": "count error 3.0 % [2.0, 4.0]; at most 5 %, fails above 20 %: pass",
    }


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"ssim": estimate(0.85)}, ["look", "pass", "pass"]),
        ({"ssim": estimate(0.79, 0.02)}, ["look", "pass", "pass"]),  # its interval reaches 0.8
        ({"ssim": estimate(0.75)}, ["fail", "pass", "pass"]),
        ({"count_error": estimate(0.3)}, ["fail", "pass", "pass"]),
        ({"occupancy": estimate(-0.3)}, ["pass", "fail", "pass"]),
        ({"occupancy": estimate(0.3)}, ["pass", "fail", "pass"]),
        ({"sharpness": estimate(-0.2, 0.3)}, ["pass", "look", "pass"]),
        ({"nna": estimate(0.6)}, ["pass", "look", "pass"]),
        ({"nna": estimate(0.6), "floor": estimate(0.56)}, ["pass", "pass", "pass"]),
        ({"nna": estimate(0.2)}, ["pass", "fail", "pass"]),  # copies
        ({"nna": estimate(0.9)}, ["pass", "fail", "pass"]),
        ({"std": 0.95}, ["pass", "look", "pass"]),
        ({"std": 1.2}, ["pass", "fail", "pass"]),
        ({"voxels": estimate(0.1)}, ["pass", "pass", "look"]),
        ({"voxels": estimate(0.1), "expected": 0.06}, ["pass", "pass", "pass"]),
        ({"ssim": estimate(0.1) | {"n": 4}}, ["look", "pass", "pass"]),  # too few to fail, or to pass
        ({"ssim": estimate(0.99) | {"n": 4}}, ["look", "pass", "pass"]),
        ({"latent": estimate(0.9), "n": 4}, ["pass", "look", "look"]),
        ({"latent": estimate(0.4)}, ["pass", "pass", "fail"]),
    ],
)
def test_each_gate(changed: dict[str, Any], expected: list[str]) -> None:
    content = judged(**changed)
    assert verdicts(content) == expected
    assert content["verdict"] == max(expected, key=["pass", "look", "fail"].index)


def test_few_volumes_tell_too_little() -> None:
    (gate, _) = judged(ssim=estimate(0.99) | {"n": 1})["sections"]["reconstruction"]["gates"]
    assert gate["gate"] == "at least 0.9, fails below 0.8; n = 1 is too few"


def test_scores_worse_than_the_floor_are_named_gated_or_not() -> None:
    assert judged()["worse_than_floor"] == []
    content = judged(occupancy=estimate(-0.03), sharpness=estimate(0.04), floor=estimate(0.9))
    assert content["worse_than_floor"] == ["occupancy", "sharpness"]


def test_volumes_without_counts_have_fewer_gates() -> None:
    content = judged(count_error=None, nna=None)
    assert [len(section["gates"]) for section in content["sections"].values()] == [1, 3, 2]


def test_the_run_ends_only_on_fail(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("summary.json", "verdict.txt")]
    write_json(files[0], judged(std=0.95))
    check_verdict(*files)
    lines = files[1].read_text().splitlines()
    assert len(lines) == 8
    assert "standard deviation of latents 0.950; within 0.03 of 1, fails beyond 0.1: look" in lines
    files[1].unlink()
    write_json(files[0], judged(std=0.5))
    with pytest.raises(InputError, match=r"stop_on_fail.*standard deviation of latents 0\.500"):
        check_verdict(*files)
    assert not files[1].exists()


def test_the_stage_reads_and_writes_files(tmp_path: Path) -> None:
    ssim, nothing = {"ssim": {"model": estimate(0.95)}}, {"metrics": {}, "latent": {"std": 1.0, "n": 9}}
    space = {"label": "latents", "share": estimate(0.5), "expected": 0.01, "n_test": 9}
    contents = {
        "reconstruction": {"metrics": ssim},
        "samples": nothing,
        "memorisation": {"spaces": {"latent": space}},
    }
    for name, content in contents.items():
        write_json(tmp_path / f"{name}.json", content)
    scores = [tmp_path / f"{name}.json" for name in contents]
    summarise(*scores, tmp_path / "summary.json", GATES, {"seed": 3})
    written = json.loads((tmp_path / "summary.json").read_text())
    assert written["verdict"] == "fail"
    assert written["settings"] == {"seed": 3}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gates": {"ssim": [0.8, 0.9]}}, "ssim: .*lies below the first"),
        ({"gates": {"occupancy": [0.3, 0.1]}}, "occupancy: .*lies above the first"),
        ({"gates": {"occupency": [0.1, 0.3]}}, "did you mean occupancy"),
        ({"matched_points": 4096}, "matched_points: 4096 is more than points: 512"),
        ({"ssim_window": 4}, "ssim_window: 4 is even"),
        ({"gates": {"memorised": [5, 20]}}, "memorised.*less than or equal to 1"),  # per cent
        ({"gates": {"ssim": [97, 90]}}, "ssim.*less than or equal to 1"),
        ({"bootstrap": 1}, "bootstrap.*greater than or equal to 20"),
    ],
)
def test_settings_that_make_no_sense(change: dict[str, Any], message: str) -> None:
    evaluation = CONFIG["evaluation"]
    gates = CONFIG["gates"] | change.pop("gates", {})
    with pytest.raises(InputError, match=message):
        load_settings(CONFIG | {"evaluation": evaluation | change, "gates": gates})
    load_settings(CONFIG)
