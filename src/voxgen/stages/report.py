"""Stage `report`: scores, volumes and figures of a run -> one HTML file that opens offline."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voxgen.io.files import replacing
from voxgen.pages.report_inputs import Data, Run, Scores
from voxgen.pages.report_page import report_page

TITLE = "voxgen report"


def report(
    summary: Path,
    reconstruction: Path,
    scores: Path,
    memorisation: Path,
    grid: Path,
    splits: Sequence[Path],
    test: Path,
    dropped: Sequence[Path],
    samples: Path,
    data: Path,
    preview: Path,
    spectrum: Path,
    pairs: Path,
    reconstructions: Path,
    histories: Sequence[Path],
    intensity: Path,
    autoencoder: Path,
    scale: Path,
    prior: Path,
    settings: Mapping[str, Any],
    out: Path,
    conditions: Path | None = None,
) -> None:
    """Write the report: figures and volumes are embedded, nothing is loaded from elsewhere.

    JSON: `summary`, `reconstruction`, `memorisation` and, of samples, `scores` and `conditions`. Volumes: the
    manifests `splits` and the folders `test` and `samples`. Figures (PNG): `data` to `histories`, each of
    which lies in a folder called as its training. Digests are told of `grid`, `intensity` and all that
    follows. Beside `out` may lie logs/environment.json and benchmarks/.
    """
    artefacts = {"grid": grid, "intensity": intensity}
    artefacts |= {"autoencoder": autoencoder, "scale": scale, "prior": prior}
    page = report_page(
        TITLE,
        Scores(summary, scores, reconstruction, memorisation, conditions),
        Data(grid, {path.stem: path for path in splits}, test, dropped, samples),
        Run(settings, artefacts, out.parent / "logs" / "environment.json", out.parent / "benchmarks"),
        {
            "samples": preview,
            "spectrum": spectrum,
            "memorisation": pairs,
            "reconstructions": reconstructions,
            "data": data,
        },
        {path.parent.name.capitalize(): path for path in histories},
    )
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
