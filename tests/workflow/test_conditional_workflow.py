"""The overlays with conditions: refusals before any training, and a run from raw files to the report."""

import json

import h5py
import pytest
import yaml
from snakemake.utils import update_config

from project import ROOT, TRAIN_AUTOENCODER, Project
from voxgen.io.files import read_json, read_table

pytestmark = [pytest.mark.workflow, pytest.mark.heavy]

COUNTED = "truth/filaments"
ASKED = "results/conditions/asked.csv"


def overlay(**sampling):
    """Both overlays, with the number of filaments as the label too."""
    merged = {}
    for name in ("conditional.yaml", "conditional-filaments.yaml"):
        update_config(merged, yaml.safe_load((ROOT / "config" / name).read_text()))
    told = {
        "prior": {"condition": {"label": True}},
        "data": {"label": COUNTED, "synthetic": {"filaments": [2, 3]}},
    }
    update_config(merged, told | {"sampling": sampling})
    return merged


def test_what_the_prior_cannot_know_is_refused_before_a_training(tmp_path):
    project = Project(tmp_path)
    for wanted, words in (
        ({"condition": {"label": 7}}, "label 7; the classes of the train split are 2, 3"),
        (
            {"condition": {"length": 3}},
            f"sampling.condition: length; the prior is told of label, {COUNTED} alone",
        ),
        ({"condition": "nowhere.csv"}, "sampling.condition"),
    ):
        result = project.run("--cores", "1", ASKED, overlay=overlay(**wanted))
        assert result.returncode != 0
        assert words in result.stdout
    assert not (tmp_path / TRAIN_AUTOENCODER).exists()


def test_a_prior_with_conditions_runs_to_the_report(tmp_path):
    project = Project(tmp_path)
    (tmp_path / "mine.csv").write_text(f"label,{COUNTED}\n2,2\n3,3\n3,\n")
    given = overlay(condition="mine.csv", guidance={"scale": 2.0, "interval": [0.1, 0.9]})
    result = project.run("--cores", "2", overlay=given)
    assert result.returncode == 0, result.stdout
    results = tmp_path / "results"
    conditions = read_json(results / "prior/config.json")["conditions"]
    assert (conditions["classes"], list(conditions["covariates"])) == (["2", "3"], [COUNTED])
    rows = read_table(results / "samples/samples.csv")
    assert [row["label"] for row in rows] == ["2", "3", "3", "2", "3", "3", "2", "3"]
    assert [json.loads(rows[i]["attributes"])[COUNTED] for i in (0, 1, 3)] == [2, 3, 2]
    with h5py.File(results / "samples/samples.h5") as file:
        assert file[COUNTED][()].tolist() == [int(row["label"]) for row in rows if row["points"] != "0"]
    scores = read_json(results / "evaluation/conditions.json")
    assert set(scores["scores"]["length"]["by_class"]) == {"2", "3"}
    assert -1 <= scores["covariates"][COUNTED]["samples"]["all"]["value"] <= 1
    report = (results / "report.html").read_text()
    assert "Are samples what was asked?" in report
    assert "Class by class" in report
    assert not project.stale(overlay=given)
    other = overlay(condition={"label": "3"}, guidance=given["sampling"]["guidance"])
    again = project.stale("results/samples", overlay=other)
    assert set(again) == {"ask_conditions", "draw_samples", "sample"}
