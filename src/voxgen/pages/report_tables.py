"""Tables and sentences of the report besides the scores: verdicts, copies, the worst volumes."""

from typing import Any

from voxgen.metrics.bootstrap import Estimate
from voxgen.pages.score_tables import Json, in_digits

CLOSEST = 5  # pairs of sample and train volume in a table; the figure shows more


def describe_sizes(scores: Json) -> str:
    """How many volumes and clouds the samples' scores rest on, and how many samples are empty."""
    text = f"{scores['n']} volumes per set"
    if scores["counts"]:
        text += f"; {scores['n_clouds']} clouds per set, {scores['points']} points per cloud"
    empty = scores["empty"].get("samples", 0)
    return f"{text}; empty samples: {empty}" if empty else text


def word_verdict(summary: Json) -> str:
    """The whole verdict in one sentence: what asks for attention first."""
    names: dict[str, list[str]] = {"fail": [], "look": [], "pass": []}
    for name, section in summary["sections"].items():
        names[section["verdict"]].append(name)
    if not names["fail"] and not names["look"]:
        return "All gates are passed."
    starts = {"fail": "Failed", "look": "Worth a look", "pass": "Passed"}
    return " ".join(f"{starts[key]}: {', '.join(some)}." for key, some in names.items() if some)


def list_worst(reconstruction: Json) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the worst test volumes, with their own scores."""
    metrics = reconstruction["metrics"]
    by_id = {volume["id"]: volume for volume in reconstruction["volumes"]}
    present = [name for name in metrics if all(name in by_id[one] for one in reconstruction["worst"])]
    rows = [
        [one, *(in_digits(by_id[one][name], metrics[name]["unit"]) for name in present)]
        for one in reconstruction["worst"]
    ]
    return ["volume", *(metrics[name]["label"] for name in present)], rows


def list_copies(memorisation: Json) -> list[dict[str, Any]]:
    """For each space of the search for copies: label, finding, facts in words, rows of the closest pairs."""
    return [
        {
            "label": space["label"],
            "finding": space["finding"],
            "facts": [
                (
                    "closer to one train volume than the threshold",
                    Estimate.from_json(space["share"]).text("%"),
                ),
                ("expected of unseen volumes", in_digits(space["expected"], "%")),
                ("threshold of the ratio", in_digits(space["threshold"])),
                ("median ratio of real volumes", in_digits(space["median_real"])),
                ("median ratio of samples", in_digits(space["median_samples"])),
                ("train volumes", str(space["n_train"])),
            ],
            "pairs": [
                # three decimals of the ratio: what tells is on which side of the threshold it lies
                [pair["sample"], pair["train"], in_digits(pair["distance"]), f"{pair['ratio']:.3f}"]
                for pair in space["pairs"][:CLOSEST]
            ],
        }
        for space in memorisation["spaces"].values()
    ]
