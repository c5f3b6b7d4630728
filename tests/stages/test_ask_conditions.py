"""Conditions through the stages on 8-cubes: the prior's vocabulary, what is asked, and how it travels."""

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import voxgen
from conditioned import CONDITION, conditioned, told_latents
from voxgen.errors import InputError
from voxgen.io.files import read_json, read_table, write_table
from voxgen.io.shards import Shard
from voxgen.settings.conditions import Guidance
from voxgen.settings.sections import Settings
from voxgen.sources.clouds.opening import open_clouds
from voxgen.stages.ask_conditions import ask_conditions
from voxgen.stages.draw_samples import draw_samples
from voxgen.stages.sample import previewed, sample
from voxgen.stages.train_diffusion import train_diffusion
from voxgen.volumes.nifti import read_volume


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, results: Path, settings: Settings) -> Path:
    """A folder with split.csv and a prior that is told of label and age."""
    folder = tmp_path_factory.mktemp("told")
    latents = told_latents(results / "latents", folder / "latents")
    train_diffusion(
        *(latents / "train", latents / "val", latents / "scale.json", results / "autoencoder"),
        *(folder / "prior", folder / "state", conditioned(settings).prior, settings.seed, settings.machine),
    )
    rows = {row["id"]: row | {"split": "train"} for row in read_table(latents / "train" / "index.csv")}
    stranger = {"id": "other", "split": "test", "label": "top", "attributes": '{"age": 99}'}
    write_table(
        folder / "split.csv",
        [{name: row[name] for name in stranger} for row in (*rows.values(), stranger)],
        list(stranger),
    )
    return folder


def ask(told: Path, out: Path, wanted: Any = None, table: Path | None = None) -> Path:
    ask_conditions(told / "split.csv", table, out / "asked.csv", wanted, CONDITION, 8, 0)
    return out / "asked.csv"


def drawn(
    results: Path,
    prior: Path,
    out: Path,
    settings: Settings,
    asked: Path | None,
    batch: int = 4,
    **changes: Any,
) -> np.ndarray:
    draw_samples(
        *(results / "autoencoder", prior, results / "latents/scale.json", results / "grid.json", out),
        *(Shard(0, 1), settings.sampling.model_copy(update=changes), settings.seed),
        settings.machine.model_copy(update={"batch": batch}),
        asked,
    )
    return np.stack([read_volume(path) for path in sorted(out.glob("*.nii.gz"))])


def test_a_prior_says_what_it_is_told(told: Path, results: Path) -> None:
    config = read_json(told / "prior/config.json")
    ages = [30, 31, 32, 33, 34, 35]
    assert config["conditions"] == {
        "classes": ["left", "right"],
        "covariates": {"age": [np.mean(ages), np.std(ages)]},
        "dropped": 0.25,
    }
    assert read_json(results / "prior/config.json")["conditions"] is None


def test_samples_are_what_was_asked_in_any_batch_and_say_it(
    told: Path, results: Path, voxels: Path, tmp_path: Path, settings: Settings
) -> None:
    asked = ask(told, tmp_path)
    wanted = [(row["label"], row["attributes"]) for row in read_table(asked)]
    assert {label for label, _ in wanted} == {"left", "right"}
    together, alone = (
        drawn(results, told / "prior", tmp_path / name, settings, asked, batch)
        for name, batch in (("shard", 4), ("alone", 1))
    )
    np.testing.assert_allclose(together, alone, atol=1e-4 * np.ptp(together))
    left = drawn(
        results, told / "prior", tmp_path / "left", settings, ask(told, tmp_path / "l", {"label": "left"})
    )
    changed = (together != left).any(axis=(1, 2, 3))
    assert changed[[label == "right" for label, _ in wanted]].all()
    manifest = read_table(tmp_path / "shard/manifest.csv")
    assert [(row["label"], row["attributes"]) for row in manifest] == wanted
    train = (voxels / "train.csv", voxels / "train")
    found = settings.data.clouds
    sample(
        [tmp_path / "shard"],
        [voxels / "raw.h5"],
        results / "grid.json",
        train,
        tmp_path / "out",
        found,
        "side",
    )
    rows = read_table(tmp_path / "out/samples.csv")
    assert [(row["label"], row["attributes"]) for row in rows] == wanted
    with_points = [i for i, row in enumerate(rows) if row["points"] != "0"]
    with h5py.File(tmp_path / "out/samples.h5") as file:
        assert file["side"].asstr()[()].tolist() == [wanted[i][0] for i in with_points]
        assert file["age"][()].tolist() == [json.loads(wanted[i][1])["age"] for i in with_points]
    with open_clouds([tmp_path / "out/samples.h5"], found, ["side"]) as clouds:
        read = [(cloud.attributes["side"], cloud.attributes["age"]) for cloud in clouds.read(0, len(clouds))]
    assert read == [(wanted[i][0], json.loads(wanted[i][1])["age"]) for i in with_points]


def test_the_preview_shows_each_class_in_turn_above_and_below() -> None:
    real = [{"id": f"r{i}", "label": label} for i, label in enumerate("aaabbc")]
    generated = [{"id": f"g{i}", "label": label} for i, label in enumerate("bbbaaa")]
    above, below, classes = previewed(real, generated)
    assert classes == ["a", "b", "a", "b", "a"]
    assert [row["id"] for row in above] == ["r0", "r3", "r1", "r4", "r2"]
    assert [row["id"] for row in below] == ["g3", "g0", "g4", "g1", "g5"]
    plain = [{"id": str(i)} for i in range(9)]
    assert previewed(plain, plain[:2]) == (plain[:6], plain[:2], [])


def test_guidance_changes_samples(told: Path, results: Path, tmp_path: Path, settings: Settings) -> None:
    asked = ask(told, tmp_path, {"label": "left"})
    guided, plain = (
        drawn(results, told / "prior", tmp_path / name, settings, asked, guidance=guidance)
        for name, guidance in (("guided", Guidance(scale=4.0, interval=(0.0, 1.0))), ("plain", None))
    )
    assert not np.allclose(guided, plain, atol=1e-4 * np.ptp(plain))
    assert read_json(tmp_path / "guided/config.json")["sampling"]["guidance"]["scale"] == 4


def test_a_table_is_read_row_by_row_and_refused_where_it_is_none(told: Path, tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("label,age\nright,33\nleft,\n")
    rows = read_table(ask(told, tmp_path, "mine.csv", table))
    assert [row["label"] for row in rows] == ["right", "left"] * 4
    assert {json.loads(row["attributes"])["age"] for row in rows[::2]} == {33}
    for text, words in (
        (
            "label\nright\ntop\n",
            r"mine.csv, row 1: label top; the classes of the train split are left, right",
        ),
        ("size\n3\n", r"mine.csv: size; the prior is told of label, age"),
        ("label,age\nright\n", r"mine.csv, row 0: expected a cell for each name"),
        ("label\n", r"mine.csv: no rows"),
    ):
        table.write_text(text)
        with pytest.raises(InputError, match=words):
            ask(told, tmp_path, "mine.csv", table)


def test_a_prior_with_other_conditions_than_are_asked_is_refused(
    told: Path, results: Path, tmp_path: Path, settings: Settings
) -> None:
    asked = ask(told, tmp_path)
    with pytest.raises(InputError, match=r"prior: is told of label, age, but prior.condition says nothing"):
        drawn(results, told / "prior", tmp_path / "a", settings, None)
    with pytest.raises(InputError, match=r"prior: is told of nothing, but prior.condition says age, label"):
        drawn(results, results / "prior", tmp_path / "b", settings, asked)
    rows = [{**row, "label": ""} for row in read_table(asked)]
    write_table(tmp_path / "fewer.csv", rows, list(rows[0]))
    with pytest.raises(
        InputError, match=r"prior: is told of label, age, but prior.condition says age; set it"
    ):
        drawn(results, told / "prior", tmp_path / "d", settings, tmp_path / "fewer.csv")
    rows = [{**row, "label": "top"} for row in read_table(asked)]
    write_table(tmp_path / "strange.csv", rows, list(rows[0]))
    with pytest.raises(InputError, match=r"strange.csv: label top; the prior knows left, right"):
        drawn(results, told / "prior", tmp_path / "c", settings, tmp_path / "strange.csv")


def test_a_told_model_in_python_draws_what_the_rule_does(
    told: Path, results: Path, tmp_path: Path, settings: Settings
) -> None:
    wanted = {"label": "right", "age": 33}
    theirs = drawn(
        results, told / "prior", tmp_path / "samples", settings, ask(told, tmp_path, wanted), samples=4
    )
    shutil.copytree(told / "prior", tmp_path / "prior")
    shutil.copytree(results / "autoencoder", tmp_path / "autoencoder")
    model = voxgen.load(tmp_path)
    ours = [one.array for one in model.sample(4, seed=settings.seed, condition=wanted)]
    np.testing.assert_array_equal(ours, theirs)
    free = [one.array for one in model.sample(4, seed=settings.seed)]
    assert not np.array_equal(free, theirs)
    mask = np.zeros(theirs[0].shape, bool)
    mask[:4] = True
    painted = [
        model.inpaint(theirs[0], mask, condition={"label": one, "age": 33}) for one in ("left", "right")
    ]
    assert not np.array_equal(painted[0].array, painted[1].array)
    with pytest.raises(InputError, match="without age; the prior was told all or nothing of label, age"):
        model.sample(1, condition={"label": "left"})
    with pytest.raises(InputError, match="label middle; the classes of the train split are left, right"):
        model.sample(1, condition={"label": "middle", "age": 33})


def test_a_shard_without_samples_is_no_reason_to_refuse(
    told: Path, results: Path, tmp_path: Path, settings: Settings
) -> None:
    draw_samples(
        *(results / "autoencoder", told / "prior", results / "latents/scale.json", results / "grid.json"),
        *(tmp_path / "shard", Shard(0, 2), settings.sampling.model_copy(update={"samples": 1}), 0),
        *(settings.machine, ask(told, tmp_path)),
    )
    assert read_table(tmp_path / "shard/manifest.csv") == []
