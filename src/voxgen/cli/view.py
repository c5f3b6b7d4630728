"""`voxgen view`: volumes or clouds in 3D, in a page that this machine alone can open."""

import os
import re
import sys
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from threading import Lock, Thread

from voxgen.cli.cloud_files import told_apart
from voxgen.cli.listing import Listing, listed
from voxgen.cli.serving import PageServer
from voxgen.errors import InputError
from voxgen.pages.view_page import Shown, item, page, policy

ITEM = re.compile(r"/items/([0-9]{1,9})")
SCREENS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")


def view(arguments: Sequence[str], port: int, *, browser: bool) -> Iterator[str]:
    """Serve what lies at one or two paths until Ctrl-C; the line to print says where.

    Arguments of the form KEY=VALUE are settings of the section data, for HDF5 and CSV files.

    Raises:
        InputError: there is nothing to show, or the port cannot be used.
        KeyboardInterrupt: Ctrl-C; all is closed.
    """
    paths, given = told_apart(arguments)
    if len(paths) not in (1, 2):
        raise InputError(f"{len(paths)} paths, expected one, or two to see side by side; voxgen view PATH")
    with ExitStack() as stack:
        site = Site(paths, [stack.enter_context(listed(path, given)) for path in paths])
        server = stack.enter_context(PageServer(port, site, policy()))
        count, kind = len(site.names[0]), site.lists[0].kind
        yield f"{count} {kind}{'' if count == 1 else 's'} at {server.address} (Ctrl-C ends)"
        if browser and _has_screen():
            Thread(target=webbrowser.open, args=[server.address], daemon=True).start()
        server.serve_forever()


class Site:
    """The page at / and the entries of the first list at /items/0, /items/1, ..., each with its partner.

    A path is compared with these, and never becomes part of a file's name.
    """

    def __init__(self, paths: Sequence[Path], lists: Sequence[Listing]) -> None:
        self.paths, self.lists = paths, lists
        self.names = [one.names for one in lists]
        self.lock = Lock()  # one entry at a time is in memory

    def __call__(self, path: str) -> str | None:
        if path == "/":
            return page([str(path) for path in self.paths], self.names[0])
        found = ITEM.fullmatch(path)
        if not found or int(found[1]) >= len(self.names[0]):
            return None
        with self.lock:
            return item([self._read(side, int(found[1])) for side in range(len(self.lists))])

    @cached_property
    def partners(self) -> dict[str, int]:
        """Numbers in the second list by name; empty where no name is in both lists."""
        first, second = self.names
        numbers = {name: number for number, name in enumerate(second)}
        return {} if numbers.keys().isdisjoint(first) else numbers

    def partner(self, number: int) -> int | None:
        """What stands beside an entry: the only one, that of its name, or where no names agree its number."""
        first, second = self.names
        if len(second) == 1:
            return 0
        if self.partners:
            return self.partners.get(first[number])
        return number if number < len(second) else None

    def _read(self, side: int, number: int) -> Shown | InputError:
        own = number if side == 0 else self.partner(number)
        if own is None:
            how = f"named {self.names[0][number]}" if self.partners else f"with the number {number}"
            return InputError(f"{self.paths[side]}: nothing {how} to stand beside it")
        try:
            return self.lists[side].read(own)
        except InputError as error:
            return error


def _has_screen() -> bool:
    """Whether a browser can open a window; without one, Python would start a browser in the terminal."""
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, SCREENS))
