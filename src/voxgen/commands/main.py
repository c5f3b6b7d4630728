"""The command `voxgen`: what a user asks outside the workflow."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from voxgen.errors import InputError

INSPECT = """Print what voxgen finds in raw files, and a section of the settings to paste.

Files are HDF5, CSV or NIfTI; several share a layout. KEY=VALUE overrides what is found out, with the keys of
the section data: voxgen inspect locs.hdf5 z=0.0 'tile=[5000, 5000]'"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; 1 for what a user can mend, said in one message."""
    parser = argparse.ArgumentParser(prog="voxgen", description="Helpers of the voxgen workflow.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    inspect = commands.add_parser(
        "inspect",
        help="print what is in raw files, and settings that read them",
        description=INSPECT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inspect.add_argument("files", nargs="+", metavar="FILE", help="file, folder of scans, or KEY=VALUE")
    inspect.set_defaults(run=_inspect)
    doctor = commands.add_parser(
        "doctor",
        help="look at software, GPU, memory, disk, and try a step of a training",
        description="Say what this machine has for voxgen, what is missing, and what helps. Start it where "
        "results/ is or will be.",
    )
    doctor.add_argument("--json", type=Path, metavar="FILE", help="write all of it to FILE as well")
    doctor.set_defaults(run=_doctor)
    given = parser.parse_args(arguments)
    try:
        given.run(given)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
        return 1
    except InputError as error:
        sys.stdout.flush()
        print(f"voxgen: {error}", file=sys.stderr)
        return 1
    return 0


def _inspect(given: argparse.Namespace) -> None:
    from voxgen.commands.inspect import inspect

    for line in inspect(given.files):
        print(line)


def _doctor(given: argparse.Namespace) -> None:
    from voxgen.commands.doctor import doctor

    for line in doctor(given.json):
        print(line, flush=True)
