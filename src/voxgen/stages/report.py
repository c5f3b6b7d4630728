"""Stage report: everything about a run in one HTML file that opens offline."""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import yaml

from voxgen.io.files import read_json, replacing
from voxgen.metrics.bootstrap import Estimate

TEMPLATE = Path(__file__).with_name("report.html")
REFERENCES = {"zero": "all-zero", "blurred": "blurred", "train_vs_test": "floor (train)"}


def report(
    out: Path,
    title: str,
    settings: Mapping[str, Any],
    reconstruction: Path,
    samples: Path,
    preview: Path,
    reconstructions: Path,
    histories: Mapping[str, Path],
) -> None:
    """Write the report: figures are embedded, nothing is loaded from elsewhere.

    `settings` is plain (dictionaries, lists, numbers, strings); `reconstruction` and `samples` are the
    JSON of the two evaluations; `preview` and `reconstructions` are PNGs; `histories` maps a caption to
    the PNG of each training.
    """
    first, second = read_json(reconstruction), read_json(samples)
    page = Template(TEMPLATE.read_text()).substitute(
        title=escape(title),
        preview=_figure(preview, "Maximum projections; one colour scale for real and generated volumes."),
        samples_n=_samples_n(second),
        samples_table=_table(second["metrics"], "samples_vs_test", "samples"),
        samples_readings=_readings(second["reading"]),
        reconstruction_n=f"{first['n']} test volumes, on {escape(first['device'])}",
        reconstruction_table=_table(first["metrics"], "model", "autoencoder"),
        reconstruction_readings=_readings([metric["reading"] for metric in first["metrics"].values()]),
        reconstructions=_figure(reconstructions, "The best, the median and the worst test volume by SSIM."),
        histories="\n".join(_figure(path, caption) for caption, path in histories.items()),
        settings=escape(yaml.safe_dump(dict(settings), sort_keys=False)),
    )
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _samples_n(scores: Mapping[str, Any]) -> str:
    text = f"{scores['n']} volumes a set"
    if scores["counts"]:
        text += f"; clouds: {scores['n_clouds']} a set, {scores['points']} points each"
    empty = scores["empty"]["samples"]
    return f"{text}; {empty} empty samples" if empty else text


def _table(metrics: Mapping[str, Mapping[str, Any]], model: str, heading: str) -> str:
    """One row a metric: its meaning, its value and each reference with its interval, the good direction."""
    shown = [key for key in REFERENCES if any(key in metric for metric in metrics.values())]
    head = "".join(f"<th>{name}</th>" for name in ["", heading, *(REFERENCES[k] for k in shown), "good is"])
    rows = "".join(
        f"<tr><td><strong>{escape(metric['label'])}</strong>"
        f'<span class="meaning">{escape(metric["meaning"])}</span></td>'
        f"{''.join(_number(metric, key) for key in [model, *shown])}"
        f'<td><span class="tag">{escape(_direction(metric))}</span></td></tr>'
        for metric in metrics.values()
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _number(metric: Mapping[str, Any], key: str) -> str:
    return f'<td class="number">{escape(Estimate.from_json(metric[key]).text(metric["unit"]))}</td>'


def _direction(metric: Mapping[str, Any]) -> str:
    return (
        "near 50 %"
        if metric["direction"] == "towards 0.5"
        else str(metric["direction"]).replace("towards", "near")
    )


def _readings(lines: list[str]) -> str:
    return f'<ul class="note">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'


def _figure(path: Path, caption: str) -> str:
    image = base64.b64encode(path.read_bytes()).decode()
    text = escape(caption)
    picture = f'<img alt="{text}" src="data:image/png;base64,{image}">'
    return f"<figure>{picture}<figcaption>{text}</figcaption></figure>"
