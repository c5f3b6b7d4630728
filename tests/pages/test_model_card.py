"""The card of a model: what a reader of it finds, and what machines do."""

from pathlib import Path

import pytest
import yaml

from report_fixture import COUNTS, write_data, write_scores
from voxgen.io.files import read_json
from voxgen.pages.model_card import Parts, _use, model_card
from voxgen.settings.sections import Settings

SAMPLES = {"sampling": {"steps": 5}, "seed": 3, "made_from": {"autoencoder": "abc", "prior": "def"}}


def card(folder: Path, settings: Settings, **data: object) -> str:
    scores, written = write_scores(folder, label="mass | volume"), write_data(folder, COUNTS)
    parts = Parts(SAMPLES, *({"settings": {"kind": kind}} for kind in ("vq", "diffusion")))
    given = settings.data.model_copy(update=data)
    return model_card(parts, given, written.grid, written.splits, read_json(scores.summary))


def part(text: str, title: str) -> str:
    """What stands below a title."""
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_it_tells_data_scores_limits_and_settings(tmp_path: Path, settings: Settings) -> None:
    text = card(tmp_path, settings, files={"mitochondria": "/home/somebody/raw/*.h5"}, flips=("x",))
    assert "# Volumes like those of mitochondria\n" in text
    assert "first stage of kind vq, prior of kind diffusion" in text
    assert "somebody" not in text
    data = part(text, "Data")
    assert "| grid | 24 × 24 × 8 voxels |" in data
    assert "| train | 6 volumes, 18,000 points |" in data
    assert "mirrored along x." in data
    scores = part(text, "Scores")
    assert scores.strip().startswith("Worth a look: samples.")
    assert "| SSIM | 0.97 [0.95, 0.99] | at least 0.95 | passed |" in scores
    assert "| mass \\| volume | 0.97 [0.95, 0.99] | at least 0.95 | look |" in scores
    assert "memorisation | found" not in scores  # it has no gates here
    assert "- samples do not mix (mass | volume: mean -16 %, p < 0.001)." in part(text, "Limits")
    settings_part = part(text, "Settings")
    told = yaml.safe_load(settings_part.partition("```yaml\n")[2].partition("```")[0])
    assert (told["autoencoder"], told["sampling"], told["seed"]) == ({"kind": "vq"}, {"steps": 5}, 3)
    assert "Digests of the weights: autoencoder abc, prior def." in settings_part


@pytest.mark.parametrize(("licence", "told"), [("cc-by-4.0", "cc-by-4.0"), (None, "unknown")])
def test_the_licence_stands_where_machines_look(
    licence: str | None, told: str, tmp_path: Path, settings: Settings
) -> None:
    text = card(tmp_path, settings, licence=licence)
    assert text.startswith("---\n")
    head = yaml.safe_load(text.split("---\n")[1])
    assert head == {"license": told, "library_name": "voxgen"}
    words = part(text, "Licence").strip()
    assert words == licence if licence else words.startswith("Not stated.")


def test_a_card_says_what_a_model_can_be_asked_for() -> None:
    use = _use({"classes": ["mass", "normal"], "covariates": {"age": [51.25, 8.0]}, "dropped": 0.1})
    assert "model.sample(4, seed=0, condition={'label': 'mass', 'age': 51.25})" in use
    assert "voxgen sample model -n 100 --condition label=mass age=51.25 --out new" in use
    assert "- label: mass, normal\n- age: a number" in use
    assert "condition" not in _use(None)
