"""Stage pack_model: a trained model in one folder that can be copied, with its card."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from voxgen.io.files import read_json, replacing, write_json
from voxgen.models.folder import CONFIG, WEIGHTS
from voxgen.pages.model_card import Parts, model_card
from voxgen.settings.data import DataSettings


def pack_model(
    autoencoder: Path,
    prior: Path,
    samples: Path,
    grid: Path,
    splits: Sequence[Path],
    summary: Path,
    out: Path,
    settings: DataSettings,
) -> None:
    """Write autoencoder/, prior/, config.json and README.md into `out`: all that `voxgen.load` needs.

    `samples` is the config.json of samples: how they are drawn, their grid, whitening and clouds. The card
    tells of `settings`, the manifests `splits`, and the verdicts of `summary` (JSON).
    """
    out.mkdir(parents=True, exist_ok=True)
    for folder, name in ((autoencoder, "autoencoder"), (prior, "prior")):
        (out / name).mkdir(exist_ok=True)
        for file in (WEIGHTS, CONFIG):
            shutil.copyfile(folder / file, out / name / file)
    config = {**read_json(samples), "kind": "model"}
    config["sampling"] = {name: value for name, value in config["sampling"].items() if name != "condition"}
    write_json(out / CONFIG, config)
    parts = Parts(config, read_json(autoencoder / CONFIG), read_json(prior / CONFIG))
    card = model_card(parts, settings, grid, {path.stem: path for path in splits}, read_json(summary))
    with replacing(out / "README.md") as temporary:
        temporary.write_text(card, encoding="utf-8")
