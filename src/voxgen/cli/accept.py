"""Take present results as good after a change that does not touch them.

    python -m voxgen.cli.accept [TARGET ...] [--configfile FILE ...]

What is missing or half-written is named and left out: it will be made, and what follows from it. Arguments
are those of Snakemake.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

JOB = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)+)", re.M)
HALF_WRITTEN = re.compile(r"^    reason: .*(?:Forced execution|Incomplete output files)", re.M)


def accept(arguments: Sequence[str]) -> int:
    """Let Snakemake record the outputs that a run would make again, where they are whole; its exit code.

    `snakemake --touch` alone exits with 0 and records half-written outputs as good, too.
    """
    plan = _snakemake("--dry-run", *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if plan.returncode:
        print(plan.stdout, file=sys.stderr)
        return plan.returncode
    undone = list(unfinished(plan.stdout))
    for rule, output, why in undone:
        print(f"not accepted: {rule} and what follows it, since {output} is {why}")
    left_out = ["--omit-from", *(output for _, output, _ in undone)] if undone else []
    return _snakemake("--touch", *arguments, *left_out).returncode


def unfinished(plan: str) -> Iterator[tuple[str, str, str]]:
    """Rule, output and what is wrong with it, of the jobs in a dry run whose outputs are not whole.

    An interrupted job shows up as a forced execution (rerun-incomplete in profiles/default).
    """
    for rule, said in JOB.findall(plan):
        (line,) = re.findall(r"^    output: (.*)$", said, re.M) or [""]
        outputs = line.split(", ") if line else []
        if missing := [output for output in outputs if not Path(output).exists()]:
            yield rule, missing[0], "missing"
        elif outputs and HALF_WRITTEN.search(said):
            yield rule, outputs[0], "half-written"


def _snakemake(*arguments: str, **how: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    return subprocess.run(command, text=True, check=False, **how)  # type: ignore[call-overload,no-any-return]


if __name__ == "__main__":
    sys.exit(accept(sys.argv[1:]))
