"""The command `voxgen`: what a user asks outside the workflow."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from voxgen.errors import InputError
from voxgen.machine.threads import spin_briefly

INSPECT = """Print what voxgen finds in raw files, and a section of the settings to paste.

Files are HDF5, CSV or NIfTI; several share a layout. KEY=VALUE overrides what is found out, with the keys of
the section data: voxgen inspect locs.hdf5 z=0.0 'tile=[5000, 5000]'"""

NETWORKS = "medicalnet_resnet10, medicalnet_resnet50 or imagenet_resnet50"
VIEW = """Show volumes or clouds in 3D, in a page that this machine alone can open, until Ctrl-C.

PATH is a NIfTI file, a folder of NIfTI files, or an HDF5 or CSV file of clouds. What lies at a second one
stands beside what has the same name, or else number, in the first. KEY=VALUE says how clouds are read, as in
voxgen inspect."""


IMPORT = """Make a model folder of MONAI's or monai-generative's AutoencoderKL, VQVAE or DiffusionModelUNet.

FILE is a checkpoint of torch, of which no code is run, or safetensors; OUT is a new folder, to be named in
autoencoder.source or prior.source. What weights do not tell is asked for as KEY=VALUE: without any, it says
what that is. part=KEY names one of several networks in FILE."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; 1 for what a user can mend, said in one message."""
    spin_briefly()
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
    compare = commands.add_parser(
        "compare",
        help="put finished runs side by side: settings, scores, samples",
        description="Hold runs against the first: settings that differ, scores with their intervals, times; "
        "with --html also their samples in 3D.",
    )
    compare.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="project whose run has ended, or its results"
    )
    compare.add_argument("--html", type=Path, metavar="FILE", help="write a page that opens offline as well")
    compare.set_defaults(run=_compare)
    view = commands.add_parser(
        "view",
        help="show volumes or clouds in 3D in the browser",
        description=VIEW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    view.add_argument("paths", nargs="+", metavar="PATH", help="file, folder of volumes, or KEY=VALUE")
    view.add_argument(
        "--port", type=int, default=0, metavar="N", help="port on 127.0.0.1 (default: a free one)"
    )
    view.add_argument("--no-browser", action="store_true", help="print the address alone")
    view.set_defaults(run=_view)
    fetch = commands.add_parser(
        "fetch-weights",
        help="download weights of pretrained networks, for the perceptual loss",
        description="Download the weights of pretrained networks into the cache folder, where trainings look "
        "for them. On a machine without network: fetch elsewhere with --into, and copy the files.",
    )
    fetch.add_argument("networks", nargs="+", metavar="NETWORK", help=NETWORKS)
    fetch.add_argument("--into", type=Path, metavar="FOLDER", help="instead of the cache folder")
    fetch.set_defaults(run=_fetch_weights)
    importing = commands.add_parser(
        "import-checkpoint",
        help="make a model folder of weights that MONAI's networks were trained to",
        description=IMPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    importing.add_argument("arguments", nargs="+", metavar="FILE OUT KEY=VALUE", help="see above")
    importing.set_defaults(run=_import_checkpoint)
    sample = commands.add_parser(
        "sample",
        help="draw new volumes of a trained model",
        description="Draw new volumes of a trained model into a folder, as the workflow does: NIfTI, "
        "samples.csv, and samples.h5 where the data are clouds.",
    )
    sample.add_argument("folder", type=Path, metavar="RESULTS", help="of a run, or a copy of results/model")
    sample.add_argument(
        "-n", "--number", type=int, default=1, metavar="N", help="volumes to draw (default: 1)"
    )
    sample.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="new folder to write into")
    sample.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the draws (default: 0)")
    sample.add_argument("--first", type=int, default=0, metavar="I", help="index of the first (default: 0)")
    sample.add_argument("--steps", type=int, metavar="N", help="of the sampler (default: those of the run)")
    sample.add_argument(
        "--condition",
        nargs="+",
        metavar="WHAT",
        help="what they are to be, of a model with conditions: a class, or NAME=NUMBER",
    )
    sample.set_defaults(run=_sample)
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
    from voxgen.cli.inspect import inspect

    for line in inspect(given.files):
        print(line)


def _doctor(given: argparse.Namespace) -> None:
    from voxgen.cli.doctor import doctor

    for line in doctor(given.json):
        print(line, flush=True)


def _compare(given: argparse.Namespace) -> None:
    from voxgen.cli.compare import compare

    for line in compare(given.folders, given.html):
        print(line)


def _view(given: argparse.Namespace) -> None:
    try:
        from voxgen.cli.view import view

        for line in view(given.paths, given.port, browser=not given.no_browser):
            print(line, flush=True)
    except KeyboardInterrupt:
        print()


def _fetch_weights(given: argparse.Namespace) -> None:
    from voxgen.cli.fetch_weights import fetch_weights

    for line in fetch_weights(given.networks, given.into):
        print(line, flush=True)


def _import_checkpoint(given: argparse.Namespace) -> None:
    from voxgen.cli.import_checkpoint import import_checkpoint

    for line in import_checkpoint(given.arguments):
        print(line)


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    return (name, value) if equals else ("label", text)


def _sample(given: argparse.Namespace) -> None:
    from voxgen.cli.sample_model import sample_model

    changes = {} if given.steps is None else {"steps": given.steps}
    named = [_named(text) for text in given.condition or ()]
    condition = {name: value for name, value in named if value.strip()} or None
    if len(dict(named)) < len(named):
        raise InputError(f"--condition {' '.join(given.condition)}: one class, and each number once")
    for line in sample_model(
        given.folder, given.out, given.number, given.seed, given.first, changes, condition
    ):
        print(line, flush=True)
