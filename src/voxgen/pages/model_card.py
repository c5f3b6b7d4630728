"""The card of a model: what it was made from, how, how good it is, and how it is used. Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from voxgen.pages.provenance import data_rows
from voxgen.pages.report_tables import word_verdict
from voxgen.pages.score_tables import WORDS, Json
from voxgen.settings.data import DataSettings

USE = """\
In Python, with voxgen installed; `model` is this folder, wherever it lies:

```python
import voxgen

model = voxgen.load("model")
model.sample(4, seed=0{told})[0].save("sample.nii.gz")
```

On a command line:

```
voxgen sample model -n 100{option} --out new
```

In the workflow: name `model/autoencoder` in `autoencoder.source` and `model/prior` in `prior.source`."""
LIMITS = (
    "It makes volumes of this shape, of voxels of this size, and no others.",
    "It knows what its train volumes show. What they lack, samples lack; what is wrong in them, it learned.",
    "Samples are no measurements: they prove nothing of what was measured, and no diagnosis rests on them.",
    "The scores compare samples with test volumes of the same source. They say nothing of other data.",
)
UNSTATED = (
    "Not stated. Ask who made the data before you pass the model on, and set `data.licence`; the licence of "
    "voxgen says nothing about models."
)


@dataclass(frozen=True)
class Parts:
    """The config.json of samples, of the autoencoder and of the prior."""

    samples: Json
    autoencoder: Json
    prior: Json


def model_card(
    parts: Parts, data: DataSettings, grid: Path, splits: Mapping[str, Path], summary: Json
) -> str:
    """The card of a model that was trained on the `splits` (manifests) in a `grid` (grid.json).

    `summary` holds the verdicts of the evaluation. The first lines are for machines.
    """
    kinds = [part["settings"]["kind"] for part in (parts.autoencoder, parts.prior)]
    sections = {
        "Use": [_use(parts.prior.get("conditions"))],
        "Data": list(_data(data, grid, splits)),
        "Licence": [data.licence or UNSTATED],
        "Scores": [word_verdict(summary), *_scores(summary)],
        "Limits": [_listed([*LIMITS, *_differences(summary)])],
        "Settings": [_settings(parts), *_digests(parts)],
    }
    head = yaml.safe_dump({"license": data.licence or "unknown", "library_name": "voxgen"}, sort_keys=False)
    blocks = [f"---\n{head}---", f"# Volumes like those of {', '.join(data.files) or data.source}"]
    blocks += [f"A model made by voxgen: first stage of kind {kinds[0]}, prior of kind {kinds[1]}."]
    for title, content in sections.items():
        blocks += [f"## {title}", *content]
    return "\n\n".join(blocks) + "\n"


def _use(conditions: Json | None) -> str:
    """How it is used; with conditions, how it is asked, and for what."""
    if conditions is None:
        return USE.format(told="", option="")
    label = {"label": conditions["classes"][0]} if conditions["classes"] else {}
    asked = label | {name: round(mean, 3) for name, (mean, _) in conditions["covariates"].items()}
    option = " ".join(f"{name}={value}" for name, value in asked.items())
    known = [f"label: {', '.join(conditions['classes'])}"] if label else []
    known += [f"{name}: a number" for name in conditions["covariates"]]
    use = USE.format(told=f", condition={asked}", option=f" --condition {option}")
    return f"{use}\n\nWhat it can be asked for:\n\n{_listed(known)}"


def _data(data: DataSettings, grid: Path, splits: Mapping[str, Path]) -> Iterator[str]:
    yield _table(["", ""], [["source", data.source], *data_rows(grid, splits)])
    mirrored = [f"mirrored along {axis}" for axis in data.flips]
    if views := [*mirrored, *(f"turned in the plane {plane}" for plane in data.rotations)]:
        yield f"Trained on them as they are and {', '.join(views)}."


def _scores(summary: Json) -> Iterator[str]:
    """A table of each section's gated scores."""
    for name, section in summary["sections"].items():
        rows = [
            [one["metric"], one["value"], one["gate"], WORDS.get(one["verdict"], one["verdict"])]
            for one in section["gates"]
        ]
        if rows:
            yield _table([name, "found", "asked for", "verdict"], rows)


def _differences(summary: Json) -> list[str]:
    """What samples are known to lack or to have too much of."""
    return [f"{one['words']} ({one['effect']})." for one in summary["worst"]]


def _settings(parts: Parts) -> str:
    settings = {
        "autoencoder": parts.autoencoder["settings"],
        "prior": parts.prior["settings"],
        "sampling": parts.samples["sampling"],
        "seed": parts.samples["seed"],
    }
    return f"```yaml\n{yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)}```"


def _digests(parts: Parts) -> Iterator[str]:
    told = [f"{name} {digest}" for name, digest in parts.samples["made_from"].items()]
    yield f"Digests of the weights: {', '.join(told)}."


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [columns, ["---"] * len(columns), *lines])
