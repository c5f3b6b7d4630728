"""Stage summarise: a verdict for each section of the evaluation."""

from pathlib import Path

from voxgen.evaluation.verdicts import summary
from voxgen.io.files import read_json, write_json
from voxgen.settings.evaluation import Gates


def summarise(reconstruction: Path, samples: Path, memorisation: Path, out: Path, gates: Gates) -> None:
    """Hold the scores of the three evaluations (JSON) against the gates; write summary.json."""
    write_json(out, summary(read_json(reconstruction), read_json(samples), read_json(memorisation), gates))
