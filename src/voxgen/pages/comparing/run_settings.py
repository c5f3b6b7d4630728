"""Settings of runs as their artefacts recorded them; a file of settings may have changed since."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from voxgen.io.files import digest, iterate_table
from voxgen.pages.comparing.finished_runs import FinishedRun
from voxgen.pages.provenance import Rows
from voxgen.pages.score_tables import NONE, Json

NOT_SETTINGS = ("kind", "made_from", "grid", "intensity", "scale", "latent_shape")  # of a config.json
SPLITS = ("train", "val", "test")
ALL = "All settings except those of the machine are compared, as evaluation/summary.json recorded them."
SOME = (
    "Not every run recorded its settings in evaluation/summary.json: what other results record is compared, "
    "which leaves out how raw data were read, the autoencoder's loss and patches, and most of the evaluation."
)


def list_differences(runs: Sequence[FinishedRun]) -> Rows:
    """The name and each run's value of settings that differ between the runs that recorded their part.

    A part that a run does not have makes no difference: it is missing as a whole.
    """
    whole = _all_recorded(runs)
    recorded = [
        {f"split {split}": words for split in SPLITS if (words := _split(run, split))}
        | ({"settings": dict(_flat(run.parts["summary"]["settings"], ""))} if whole else _recorded(run))
        for run in runs
    ]
    found: Rows = []
    for part in dict.fromkeys(part for one in recorded for part in one):
        holding = [one[part] for one in recorded if part in one]
        for name in dict.fromkeys(name for settings in holding for name in settings):
            if any(settings.get(name, NONE) != holding[0].get(name, NONE) for settings in holding):
                values = [one.get(part, {}).get(name, NONE) for one in recorded]
                found.append([name, *_in_words(values)])
    return found


def describe_extent(runs: Sequence[FinishedRun]) -> str:
    """Which settings are compared, in words."""
    return ALL if _all_recorded(runs) else SOME


def _all_recorded(runs: Sequence[FinishedRun]) -> bool:
    return all("settings" in run.parts.get("summary", {}) for run in runs)


def _recorded(run: FinishedRun) -> dict[str, dict[str, Any]]:
    """Part to its settings, named as in config.yaml where it has them."""
    found: dict[str, dict[str, Any]] = {}
    for part in ("grid", "intensity"):
        content = run.contract(part)
        if content is not None:
            found[part] = dict(_flat(content, f"data.{part}."))
    if "latents" in run.parts:
        config = run.parts["latents"]
        found["latents"] = {f"data.{name}": config[name] for name in ("flips", "rotations") if name in config}
    for part in ("autoencoder", "prior"):
        if part in run.parts:
            config = {key: value for key, value in run.parts[part].items() if key not in NOT_SETTINGS}
            found[part] = dict(_flat(config.pop("settings", {}) | config, f"{part}."))
    if "sampling" in run.parts:
        config = run.parts["sampling"]
        drawn = {**config.get("sampling", {}), "seed": config.get("seed")}
        found["sampling"] = dict(_flat(drawn, "sampling."))
    if "points" in run.parts.get("samples", {}):
        found["evaluation"] = {"evaluation.points": run.parts["samples"]["points"]}
    return found


def _split(run: FinishedRun, split: str) -> dict[str, Any]:
    """How many volumes a split has, and the digest of its manifest, which changes with their voxels."""
    manifest = run.results / "voxels" / f"{split}.csv"
    if not manifest.is_file():
        return {}
    n = sum(1 for _ in iterate_table(manifest))
    return {f"{split} volumes": f"{n} (digest {digest(manifest)[:8]})"}


def _flat(content: Json, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _in_words(values: Sequence[Any]) -> list[str]:
    """Values with six digits, or with all of them where six do not tell them apart."""
    short = [_words(value, ".6g") for value in values]
    if len(set(short)) == len({_words(value, "") for value in values}):
        return short
    return [_words(value, "") for value in values]


def _words(value: Any, digits: str) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return format(value, digits)
    if isinstance(value, list):
        return f"[{', '.join(_words(one, digits) for one in value)}]"
    return str(value)
