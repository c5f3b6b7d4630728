"""Asked to stop: by SIGTERM, Ctrl-C or the clock."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """Why a training is to stop at the next occasion, if it is."""

    def __init__(self, max_minutes: float | None) -> None:
        self._until = time.monotonic() + 60 * max_minutes if max_minutes else float("inf")
        self._signal: signal.Signals | None = None

    @property
    def by_signal(self) -> str | None:
        """Which signal asked, in words."""
        return f"asked by {self._signal.name}" if self._signal else None

    @property
    def reason(self) -> str | None:
        """Who or what asks, in words."""
        over = time.monotonic() > self._until
        return self.by_signal or ("machine.max_minutes are over" if over else None)

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal. A second Ctrl-C ends the process at once; SIGTERM may come by several ways."""
        self._signal = signal.Signals(number)
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def interruption(max_minutes: float | None) -> Iterator[Interruption]:
    """Catch the signals that ask a process to end, while the block runs."""
    found = Interruption(max_minutes)
    before = {each: signal.signal(each, found.note) for each in SIGNALS}
    try:
        yield found
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
