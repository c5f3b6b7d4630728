"""How OpenMP's threads wait in a job of the workflow, as OpenMP itself says it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from voxgen.machine.threads import WAITING

SCRIPTS = Path(__file__).parents[2] / "workflow/scripts"
JOB = """
import sys
from types import SimpleNamespace
from adapter import _ended_clearly
assert "torch" not in sys.modules
with _ended_clearly(SimpleNamespace(rule="some", threads=1, log=["log"], output=["made"])):
    import torch
"""
COMMAND = "from voxgen.cli.main import main; main(['inspect', 'none.csv']); import torch"


@pytest.mark.parametrize(
    ("code", "given", "expected"),
    [
        (JOB, {}, {"GOMP_SPINCOUNT": "1000", "OMP_NUM_THREADS": "1"}),
        (JOB, {"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
        (JOB, {"GOMP_SPINCOUNT": "77"}, {"GOMP_SPINCOUNT": "77"}),
        (COMMAND, {}, {"GOMP_SPINCOUNT": "1000"}),
    ],
    ids=["job", "policy of the user", "count of the user", "command"],
)
def test_threads_soon_sleep_while_they_wait_unless_the_user_chose(
    tmp_path: Path, code: str, given: dict[str, str], expected: dict[str, str]
) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in WAITING}
    environment |= {"OMP_DISPLAY_ENV": "VERBOSE", "PYTHONPATH": os.pathsep.join([str(SCRIPTS), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment | given,
        capture_output=True,
        text=True,
        check=True,
    )
    for name, value in expected.items():
        said = re.findall(rf"{name}\s*=\s*'?([A-Z0-9]+)", done.stderr)
        assert said, done.stderr
        assert set(said) == {value}
