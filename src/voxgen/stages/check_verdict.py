"""Stage check_verdict: end the run where the evaluation failed."""

from pathlib import Path

from voxgen.errors import InputError
from voxgen.io.files import read_json, replacing


def check_verdict(summary: Path, out: Path) -> None:
    """Write the verdicts of summary.json as text, one gate per line.

    Raises:
        InputError: the verdict is `fail`; names the gates that failed.
    """
    content = read_json(summary)
    gates = [gate for section in content["sections"].values() for gate in section["gates"]]
    failed = [gate["finding"] for gate in gates if gate["verdict"] == "fail"]
    if failed:
        found = "; ".join(failed)
        raise InputError(f"the evaluation failed (gates.stop_on_fail): {found}; look at results/report.html")
    with replacing(out) as temporary:
        temporary.write_text("".join(f"{gate['finding']}\n" for gate in gates), encoding="utf-8")
