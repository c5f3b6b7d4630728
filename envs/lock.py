"""Write the lock files beside this script from what the running environment has installed.

`requirements.lock` holds the packages that `dependencies` in pyproject.toml need, directly or not;
`requirements-test.lock` adds those that only the extra `test` needs. Whatever else is installed is left
out, so are the installers and local version tags (2.13.0+cpu is written as 2.13.0).
"""

import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
INSTALLERS = {"pip", "setuptools", "wheel"}
HEADER = "# Written by `make lock`; see envs/README.md.\n"


def closure(requirements: list[str]) -> set[str]:
    """Pins of all packages that `requirements` need in this environment.

    Raises:
        PackageNotFoundError: one of them is not installed.
    """
    pins = set()
    pending = [Requirement(requirement) for requirement in requirements]
    visited = set()
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if name in INSTALLERS or (name, *sorted(requirement.extras)) in visited:
            continue
        visited.add((name, *sorted(requirement.extras)))
        found = distribution(requirement.name)
        pins.add(f"{found.metadata['Name']}=={found.version.partition('+')[0]}")
        for line in found.requires or []:
            needed = Requirement(line)
            extras = ["", *requirement.extras]
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                pending.append(needed)
    return pins


def write(name: str, pins: set[str], first: str = "") -> None:
    """Write one lock file, sorted by name."""
    lines = [f"{pin}\n" for pin in sorted(pins, key=str.lower)]
    (HERE / name).write_text(HEADER + first + "".join(lines))


project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
runtime = closure(project["dependencies"])
write("requirements.lock", runtime)
tests = closure(project["optional-dependencies"]["test"])
write("requirements-test.lock", tests - runtime, first="-r requirements.lock\n")
