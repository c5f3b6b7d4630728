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
    level=0.05,
    counts=0.25,
    occupancy=0.25,
    sharpness=0.25,
    specks=0.5,
    pieces=0.25,
    length=0.1,
    longest=0.1,
    thickness=0.1,
    diversity=0.05,
    classifier=0.2,
    nearest_neighbour=0.2,
    ssim=(0.9, 0.8),
    count_error=(0.05, 0.2),
    latent_std=(0.03, 0.1),
    memorised=0.05,
)

SPACES = {
    "latent": {
        "label": "latents",
        "share": {"value": 0.0, "low": 0.0, "high": 0.0, "n": 9},
        "expected": 0.01,
        "test": {"p": 0.4, "corrected": 0.5, "effect": "0 %"},
    }
}


def estimate(value: float, half: float = 0.01) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half, "n": 9}


def drawn(value: float, p: float) -> tuple[dict[str, Any], float]:
    return estimate(value), p


def metric(label: str, direction: str, samples: Any, train_p: float) -> dict[str, Any]:
    about = {"label": label, "unit": "%", "direction": direction, "meaning": "", "group": ""}
    found, p = samples
    tests = {
        name: {"p": one / 2, "corrected": one, "effect": f"{100 * found['value']:.0f} %"}
        for name, one in (("samples", p), ("train", train_p))
    }
    return about | {"samples": found, "train": estimate(0.0), "tests": tests}


def judged(**changed: Any) -> dict[str, Any]:
    """The summary of good scores, but for those that are `changed`."""
    given: dict[str, Any] = {
        "ssim": estimate(0.95),
        "count_error": estimate(0.03),
        "occupancy": drawn(-0.02, 0.4),
        "sharpness": drawn(0.02, 1.0),
        "nna": drawn(0.52, 0.3),
        "floor": 1.0,
        "std": 1.01,
        "latent": (estimate(0.0) | {"n": 64}, 0.9),
        "voxels": (estimate(0.02) | {"n": 64}, 0.4),
        "n": 9,
        "drawn": 64,
        "clouds": 64,
    } | changed
    reconstruction = {
        "metrics": {name: {"model": given[name]} for name in ("ssim", "count_error") if given[name]}
    }
    metrics = {name: metric(name, "towards 0", given[name], 1.0) for name in ("occupancy", "sharpness")}
    if given["nna"]:
        metrics["1-nna chamfer"] = metric("1-NNA", "towards 0.5", given["nna"], given["floor"])
    metrics["mmd chamfer"] = metric("matching", "lower", drawn(0.9, 1.0), 1.0)  # which no gate judges
    latent = {"std": given["std"], "n": given["n"]}
    samples = {"metrics": metrics, "latent": latent, "n": given["drawn"], "n_clouds": given["clouds"]}
    spaces = {
        name: {"label": name, "share": share, "test": {"p": p, "corrected": p, "effect": f"{share['value']}"}}
        for name, (share, p) in ((name, given[name]) for name in ("latent", "voxels"))
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
        ({"occupancy": drawn(-0.3, 0.001)}, ["pass", "fail", "pass"]),
        ({"occupancy": drawn(0.3, 0.001)}, ["pass", "fail", "pass"]),
        ({"occupancy": drawn(0.3, 0.06)}, ["pass", "pass", "pass"]),  # chance makes such a difference
        ({"occupancy": drawn(0.0, 0.001)}, ["pass", "look", "pass"]),  # equal means, other tails
        ({"occupancy": drawn(0.24, 0.001)}, ["pass", "look", "pass"]),
        ({"drawn": 63}, ["pass", "look", "pass"]),  # too few for a pass
        ({"clouds": 63}, ["pass", "look", "pass"]),
        ({"occupancy": drawn(0.3, 0.001), "drawn": 9}, ["pass", "fail", "pass"]),  # enough to fail
        ({"nna": drawn(0.6, 0.01)}, ["pass", "look", "pass"]),
        ({"nna": drawn(0.6, 0.01), "floor": 0.01}, ["pass", "look", "pass"]),
        ({"nna": drawn(0.2, 1.0)}, ["pass", "pass", "pass"]),  # below 50 %: no difference, no copies
        ({"nna": drawn(0.9, 0.001)}, ["pass", "fail", "pass"]),
        ({"std": 0.95}, ["pass", "look", "pass"]),
        ({"std": 1.2}, ["pass", "fail", "pass"]),
        ({"voxels": (estimate(0.04) | {"n": 64}, 0.01)}, ["pass", "pass", "look"]),  # a few copies
        (
            {"voxels": (estimate(0.1) | {"n": 64}, 0.06)},
            ["pass", "pass", "pass"],
        ),  # chance puts as many there
        ({"voxels": (estimate(0.0) | {"n": 63}, 0.9)}, ["pass", "pass", "look"]),  # too few for a pass
        ({"ssim": estimate(0.1) | {"n": 4}}, ["look", "pass", "pass"]),  # too few to fail, or to pass
        ({"ssim": estimate(0.99) | {"n": 4}}, ["look", "pass", "pass"]),
        ({"n": 4}, ["pass", "look", "pass"]),
        ({"latent": (estimate(0.4) | {"n": 64}, 0.001)}, ["pass", "pass", "fail"]),
    ],
)
def test_each_gate(changed: dict[str, Any], expected: list[str]) -> None:
    content = judged(**changed)
    assert verdicts(content) == expected
    assert content["verdict"] == max(expected, key=["pass", "look", "fail"].index)


def test_few_volumes_tell_too_little() -> None:
    (gate, _) = judged(ssim=estimate(0.99) | {"n": 1})["sections"]["reconstruction"]["gates"]
    assert gate["gate"] == "at least 0.9, fails below 0.8; n = 1 is too few"


def test_few_samples_never_pass_and_are_told_why() -> None:
    gates = judged(occupancy=drawn(0.0, 0.4), drawn=20)["sections"]["samples"]["gates"]
    assert gates[0] == {
        "metric": "occupancy",
        "value": "0 %: no difference found, p = 0.4",
        "gate": "fails beyond 25 % more or less than in test volumes; "
        "n = 20: the tests' power was measured from n = 64 on",
        "verdict": "look",
        "finding": f"occupancy {gates[0]['value']}; {gates[0]['gate']}: look",
    }


def test_a_score_that_too_few_volumes_allow_no_test_of_asks_for_a_look() -> None:
    alone = metric("occupancy", "towards 0", drawn(0.4, 0.001), 1.0) | {"tests": {}}
    latent = {"std": 1.0, "n": 9}
    samples = {"metrics": {"occupancy": alone}, "latent": latent, "n": 1, "n_clouds": 1}
    reconstruction = {"metrics": {"ssim": {"model": estimate(0.95)}}}
    content = judge(reconstruction, samples, {"spaces": SPACES}, GATES)
    (gate, _) = content["sections"]["samples"]["gates"]
    assert gate["verdict"] == "look"


def test_differences_are_named_of_samples_and_of_train_volumes() -> None:
    assert judged()["differences"] == {"samples": [], "train": []}
    content = judged(occupancy=drawn(-0.03, 0.01), nna=drawn(0.6, 0.03), floor=0.02)
    assert content["differences"] == {"samples": ["occupancy", "1-NNA"], "train": ["1-NNA"]}


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
    ssim, nothing = (
        {"ssim": {"model": estimate(0.95)}},
        {"metrics": {}, "latent": {"std": 1.0, "n": 9}, "n": 9, "n_clouds": 9},
    )
    found = {"share": estimate(0.5), "test": {"p": 0.01, "corrected": 0.01, "effect": ""}}
    spaces = {"latent": SPACES["latent"] | found}
    contents = {
        "reconstruction": {"metrics": ssim},
        "samples": nothing,
        "memorisation": {"spaces": spaces},
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
        ({"gates": {"latent_std": [0.3, 0.1]}}, "latent_std: .*lies above the first"),
        ({"gates": {"occupancy": [0.05, 0.25]}}, "occupancy.*valid number"),  # has one limit
        ({"gates": {"level": 5}}, "level.*less than 1"),  # per cent
        ({"permutations": 99}, "permutations.*greater than or equal to 999"),
        ({"gates": {"occupency": [0.1, 0.3]}}, "did you mean occupancy"),
        ({"matched_points": 4096}, "matched_points: 4096 is more than points: 512"),
        ({"ssim_window": 4}, "ssim_window: 4 is even"),
        ({"gates": {"latent_std": [5, 20]}}, "latent_std.*less than or equal to 1"),  # per cent
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
