"""What makes a training the same training: the name of its state folder. No torch.

    python -m voxgen.training.identity results/state

carries states on after a change of formulas that was accepted as harmless.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from voxgen.errors import InputError
from voxgen.io.files import read_json, write_json
from voxgen.settings.formulas import formula_digest
from voxgen.training.lock import locked, room

IDENTITY = "identity.json"
ENDS = ("epochs", "patience", "weights")


def state_folder(
    trainings: Path, stage: str, *, settings: dict[str, Any], inputs: dict[str, str], **more: Any
) -> Path:
    """The folder below `trainings` of the states of one training, named by all that makes it another one.

    That is the module of its `stage` with its formulas, its `settings`, digests of its `inputs`, and `more`.
    What says when a section `training` ends and which weights it keeps is left out: changing it continues.

    Raises:
        InputError: the disk is full.
    """
    known = {"stage": stage, "formulas": formula_digest(stage), "inputs": inputs, **more}
    identity = json.loads(json.dumps({**known, "settings": _without_ends(settings)}))
    folder = trainings / _name(identity)
    if not (folder / IDENTITY).is_file():
        with room(folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / IDENTITY, identity)
    return folder


def carry_states(trainings: Path) -> list[Path]:
    """Rename the state folders below `trainings` to what today's formulas make of them; returns the new ones.

    A folder that is there already stays; of several that claim one name, the one written to last gets it.

    Raises:
        InputError: a training is at work in one of them.
    """
    carried = []
    for folder in sorted(trainings.glob(f"*/{IDENTITY}"), key=lambda path: -path.parent.stat().st_mtime):
        identity = read_json(folder)
        now = formula_digest(identity["stage"])
        renamed = folder.parent.with_name(_name({**identity, "formulas": now}))
        if now != identity["formulas"] and not renamed.exists():
            with locked(folder.parent):
                write_json(folder, {**identity, "formulas": now})
                folder.parent.rename(renamed)
            carried.append(renamed)
    return carried


def _without_ends(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without what ends a training, however deep their section `training` lies."""
    kept = {}
    for name, value in settings.items():
        if name == "training":
            value = {key: given for key, given in value.items() if key not in ENDS}
        elif isinstance(value, dict):
            value = _without_ends(value)
        kept[name] = value
    return kept


def _name(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]


if __name__ == "__main__":
    try:
        for training in sorted(Path(sys.argv[1]).glob("*")):
            for state in carry_states(training):
                print(f"carried on: {state}")
    except InputError as error:
        sys.exit(str(error))
