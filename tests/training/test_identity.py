"""State folders: what names them, and how they are carried on after a change that was accepted."""

import os
from pathlib import Path
from typing import Any

import pytest

from voxgen.io.files import read_json
from voxgen.training import identity
from voxgen.training.identity import IDENTITY, carry_states, state_folder

STAGE = "voxgen.stages.train_diffusion"
SETTINGS = {
    "network": {"channels": (8, 16)},
    "training": {"epochs": 2, "patience": None, "weights": "last", "batch": 4},
}
INPUTS = {"train": "a1", "val": "b2"}


def folder(place: Path, settings: dict[str, Any] = SETTINGS, **more: Any) -> Path:
    return state_folder(place, STAGE, settings=settings, inputs=INPUTS, **more)


def trained_for(**changed: Any) -> dict[str, Any]:
    return {**SETTINGS, "training": {**SETTINGS["training"], **changed}}


def test_a_folder_follows_what_makes_another_training(tmp_path: Path) -> None:
    assert folder(tmp_path, seed=0) == folder(tmp_path, seed=0)
    others = [folder(tmp_path, seed=1), folder(tmp_path, trained_for(batch=8), seed=0)]
    assert len({folder(tmp_path, seed=0), *others}) == 3


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("end", [{"epochs": 9}, {"patience": 3}, {"weights": "best"}])
def test_what_ends_a_training_goes_on_in_the_same_folder(
    tmp_path: Path, deep: bool, end: dict[str, Any]
) -> None:
    def nested(settings: dict[str, Any]) -> dict[str, Any]:
        return {"kind": "diffusion", "diffusion": settings} if deep else settings

    assert folder(tmp_path, nested(SETTINGS)) == folder(tmp_path, nested(trained_for(**end)))


def test_states_are_carried_on_after_a_change_of_formulas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folder(tmp_path)
    (before / "state-00001-0000000.pt").write_text("state")
    monkeypatch.setattr(identity, "formula_digest", lambda stage: f"new {stage}")
    (carried,) = carry_states(tmp_path)
    assert carried == folder(tmp_path)
    assert not before.exists()
    assert (carried / "state-00001-0000000.pt").read_text() == "state"
    assert read_json(carried / IDENTITY)["formulas"] == f"new {STAGE}"
    assert carry_states(tmp_path) == []


def test_what_was_trained_since_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = folder(tmp_path)
    monkeypatch.setattr(identity, "formula_digest", lambda stage: "new")
    since = folder(tmp_path)
    (since / "state").write_text("of today")
    assert carry_states(tmp_path) == []
    assert before.exists()
    assert (since / "state").read_text() == "of today"


def test_the_one_written_to_last_is_carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, digest in enumerate(("first", "second", "third")):
        monkeypatch.setattr(identity, "formula_digest", lambda stage, digest=digest: digest)
        made = folder(tmp_path)
        (made / "state").write_text(digest)
        os.utime(made, (place, place))
    monkeypatch.setattr(identity, "formula_digest", lambda stage: "today")
    (carried,) = carry_states(tmp_path)
    assert (carried / "state").read_text() == "third"
