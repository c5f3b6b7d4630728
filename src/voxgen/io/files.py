"""Small files, written whole or not at all."""

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from voxgen.errors import InputError


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced to disk and takes its place.

    One that is not `durable` is not synced: whole after a kill, but not surely after a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        if durable:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def clear_half_written(folder: Path) -> None:
    """Remove what killed processes left of files that `replacing` was to write into `folder`."""
    for path in folder.glob(".[0-9]*.*"):
        path.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON; NaN and infinity are refused, since JSON has neither."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}); delete it and run again") from None


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write rows as CSV with exactly `columns`; floats keep every digit."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def iterate_table(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV, one dictionary of strings each, read as they are asked for."""
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV, one dictionary of strings each."""
    return list(iterate_table(path))


def digest(*paths: Path) -> str:
    """A short digest of the contents of files, in the given order."""
    combined = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            combined.update(hashlib.file_digest(file, "sha256").digest())
    return combined.hexdigest()[:16]


def size_and_date(path: str) -> str:
    """Path, size and date of a file as a line that is equal while no other file takes its place."""
    try:
        found = Path(path).stat()
    except OSError as error:
        return f"{path} {error.strerror}"
    return f"{path} {found.st_size} {found.st_mtime_ns}"
