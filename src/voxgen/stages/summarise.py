"""Stage summarise: a verdict for each section of the evaluation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxgen.evaluation.verdicts import judge
from voxgen.io.files import read_json, write_json
from voxgen.settings.gates import Gates


def summarise(
    reconstruction: Path,
    samples: Path,
    memorisation: Path,
    out: Path,
    gates: Gates,
    settings: Mapping[str, Any],
) -> None:
    """Hold the scores of the three evaluations (JSON) against the gates; write summary.json.

    `settings` are those of the whole run, plain; they are kept beside the verdicts, to compare runs by.
    """
    judged = judge(read_json(reconstruction), read_json(samples), read_json(memorisation), gates)
    write_json(out, {**judged, "settings": settings})
