"""From a job to a call of its rule's stage: what a stage is given is found by its parameters.

A parameter gets the input, the output, the wildcard or the setting of its name; `out` the folder that holds
all outputs, where none is called so; `machine` that section of the settings. Inputs, outputs and settings
must be asked for; but inputs without a name are found by the stage itself.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

import __main__
from voxgen.errors import InputError
from voxgen.io.denied import denied_in_words
from voxgen.io.plain_paths import path_as_given
from voxgen.io.shards import Shard
from voxgen.machine.threads import spin_briefly
from voxgen.settings.loading import given_by, load_settings

ENVIRONMENT = Path("results/logs/environment.json")
STATES = Path("results/state")

Stage = Callable[..., None]
Call = Callable[[Stage], None]

log = logging.getLogger("voxgen")


@contextmanager
def job() -> Iterator[Call]:
    """Yield what calls the job's stage, which is to be imported inside: threads are set before.

    An InputError ends the job with its message alone, and so does a disk that denies something; anything else
    with a traceback. All go to the log.
    """
    this = __main__.snakemake  # Snakemake puts it before a script
    with _ended_clearly(this):
        yield lambda stage: stage(**arguments(stage, this))


@contextmanager
def training() -> Iterator[Call]:
    """The same for a training, of which each attempt is recorded, in as many processes as it is to have."""
    this = __main__.snakemake
    with _ended_clearly(this):
        from voxgen.training.distributed.attempts import attempt

        state = STATES / Path(this.output[0]).parent.name
        with attempt(state, this.resources.attempt):
            yield lambda stage: _together(stage, arguments(stage, this, state=state))


def arguments(stage: Stage, this: Any, **more: Any) -> dict[str, Any]:
    """What a stage is called with in the job `this`; `more` is given beside what the job has.

    Raises:
        TypeError: a parameter has no source, several, or one of another type; or a source has no parameter.
    """
    hints = get_type_hints(stage)
    del hints["return"]
    outputs = dict(this.output.items())
    if "out" in hints and "out" not in outputs:
        outputs = {"out": this.output}
    settings = load_settings(this.config)
    machine = settings.machine.model_copy(update={"threads": _threads(this)})
    inputs = [(name, _as_given(value)) for name, value in this.input.items()]
    given = [(name, _files(value, hints.get(name))) for name, value in (*inputs, *outputs.items())]
    given += [(name, _word(value, hints[name])) for name, value in this.wildcards.items() if name in hints]
    given += [*given_by(settings, this.params.science).items(), *more.items()]
    given += [("machine", machine)] if "machine" in hints else []
    names = [name for name, _ in given]
    _refuse(this.rule, hints.keys() - set(names), "the stage asks for it, but nothing gives it")
    _refuse(this.rule, set(names) - hints.keys(), "the stage does not ask for it")
    _refuse(this.rule, (name for name in hints if names.count(name) > 1), "it is given more than once")
    return {name: _typed(this.rule, name, value, hints[name]) for name, value in given}


def _refuse(rule: str, names: Iterable[str], why: str) -> None:
    for name in sorted(names):
        raise TypeError(f"rule {rule}, parameter {name}: {why}")


def _as_given(value: str | Sequence[str]) -> str | list[str]:
    return path_as_given(value) if isinstance(value, str) else list(map(path_as_given, value))


def _files(value: str | Sequence[str], hint: Any) -> Any:
    """An input or output: one file or the folder that holds several, where a single path is asked for."""
    files = [value] if isinstance(value, str) else list(value)
    if hint not in (Path, Path | None):
        return files
    return os.path.commonpath(files) if files else None


def _word(value: str, hint: Any) -> Any:
    return Shard.named(value) if hint is Shard else value


def _typed(rule: str, name: str, value: Any, hint: Any) -> Any:
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        raise TypeError(f"rule {rule}, parameter {name}: {error.errors()[0]['msg']}, found {value}") from None


def _together(stage: Stage, given: dict[str, Any]) -> None:
    from voxgen.training.distributed.together import together

    together(stage, ENVIRONMENT, **given)


def _threads(this: Any) -> int:
    return int(min(this.threads, len(os.sched_getaffinity(0))))


@contextmanager
def _ended_clearly(this: Any) -> Iterator[None]:
    """Log to the rule's log, and end with what is wrong; a disk may deny any stage something."""
    os.environ["OMP_NUM_THREADS"] = str(_threads(this))
    spin_briefly()
    if not os.access(os.path.expanduser("~"), os.W_OK):  # noqa: PTH111 (there may be no home at all)
        os.environ.setdefault("MPLCONFIGDIR", str(Path(".snakemake/matplotlib").absolute()))
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    logging.raiseExceptions = False  # a disk that is full takes no log either
    logging.basicConfig(
        level=logging.INFO,
        handlers=[logging.StreamHandler(), *_log_file(this.log[0])],
        format=f"%(asctime)s {this.rule}: %(message)s",
        force=True,
    )
    try:
        yield
    except InputError as error:
        log.error("%s", error)
        sys.exit(1)
    except Exception as error:
        message = denied_in_words(error, Path(os.path.commonpath(this.output)))
        if message is None:
            log.exception("failed")
        else:
            log.error("%s", message)
        sys.exit(1)


def _log_file(path: str) -> Iterator[logging.Handler]:
    with suppress(OSError):
        yield logging.FileHandler(path, mode="w")
