"""Text files as bytes: their encoding, the lines of a part, and a part as a stream."""

import codecs
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Bytes that are no text survive decoding and encoding, so that the place of a line in the file is known.
REVERSIBLE = {
    "utf-8": "surrogateescape",
    "utf-16-le": "surrogatepass",
    "utf-16-be": "surrogatepass",
    "latin-1": "strict",
}
BUFFER = 1 << 20


def find_encoding(head: bytes) -> tuple[str, int]:
    """Encoding of a file that begins with `head`, and the bytes that its byte order mark takes."""
    for mark, name in BOMS:
        if head.startswith(mark):
            return name, len(mark)
    zeros = [head[parity:4096:2].count(0) for parity in (0, 1)]
    if len(head) > 16 and max(zeros) * 4 > len(head[:4096]) and min(zeros) * 40 < len(head[:4096]):
        return ("utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"), 0
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # a character may be cut at the end
    except UnicodeDecodeError:
        return "latin-1", 0
    return "utf-8", 0


def read_lines(path: Path, encoding: str, start: int, stop: int) -> list[str]:
    """The lines among the bytes start <= i < stop of a file, with their ends; both ends may cut one."""
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(stop - start)
    data = data[: len(data) - len(data) % 2] if encoding.startswith("utf-16") else data
    return list(io.StringIO(data.decode(encoding, REVERSIBLE[encoding]), newline=""))


def count_bytes(lines: Iterable[str], encoding: str) -> int:
    """Bytes that lines take in their file."""
    return len("".join(lines).encode(encoding, REVERSIBLE[encoding]))


def open_part(path: Path, encoding: str, start: int, stop: int, errors: str = "replace") -> TextIO:
    """The bytes start <= i < stop of a file as a stream of text, with the ends of lines as they are."""
    raw = io.BufferedReader(_Part(path, start, stop), BUFFER)
    return io.TextIOWrapper(raw, encoding=encoding, errors=errors, newline="")


class _Part(io.RawIOBase):
    """Bytes start <= i < stop of a file."""

    def __init__(self, path: Path, start: int, stop: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._file.seek(start)
        self._left = stop - start

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        read = self._file.readinto(memoryview(buffer)[: self._left])
        self._left -= read
        return read

    def close(self) -> None:
        self._file.close()
        super().close()
